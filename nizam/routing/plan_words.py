"""A plan as JSON data, for people and programs that look at one."""

from __future__ import annotations

from typing import Final, get_args

import attrs

from nizam.routing.plan import (
    Caller,
    Diversion,
    Elsewhere,
    GatewayLeg,
    Leg,
    Location,
    Phone,
    Phones,
    Plan,
    Step,
    UserLeg,
)


def describe(plan: Plan) -> list[dict[str, object]]:
    """The plan as JSON data: each step's name and what it holds."""
    return [_described(step) for step in plan]


def _described(step: Step | Leg | Phones | Phone | Elsewhere) -> dict[str, object]:
    name, fields = _SHAPES[type(step)]
    found: dict[str, object] = {"step": name}
    for field in fields:
        held = getattr(step, field)
        if held is not None:
            found[field] = held if type(held) in _SCALARS else _plain(held)
    return found


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, UserLeg | GatewayLeg | Phones | Phone | Elsewhere):
        return _described(value)
    if isinstance(value, Caller | Diversion | Location):
        return {name: _plain(it) for name, it in attrs.asdict(value, recurse=False).items()}
    return value


_SCALARS: Final = frozenset({str, int, bool, float})


def _snake(name: str) -> str:
    return "".join(f"_{it.lower()}" if it.isupper() else it for it in name).lstrip("_")


_SHAPES: Final = {
    kind: (_snake(kind.__name__), tuple(field.name for field in attrs.fields(kind)))
    for kind in (*get_args(Step), *get_args(Leg), Phones, Phone, Elsewhere)
}
"""The name of each kind of step, and of its fields: a plan is described for every call."""
