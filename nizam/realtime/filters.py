"""Which events somebody wants: by type, call, extension and queue."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any, Final
from uuid import UUID

import attrs

from nizam.errors import FieldError
from nizam.model.event_types import is_subscription
from nizam.model.events import Event

MOST_VALUES: Final = 100
"""Of one list of a subscription."""

EVERY: Final = "*"


@attrs.frozen(slots=False)
class Subject:
    """What subscriptions look at in one event, found once however many there are."""

    event: Event

    @property
    def type(self) -> str:
        """The event's type."""
        return self.event.type

    @cached_property
    def family(self) -> str:
        """`call.*` for `call.answered`."""
        return f"{self.event.type.partition('.')[0]}.*"

    @cached_property
    def call(self) -> str | None:
        """The id of the call."""
        return None if self.event.call_id is None else str(self.event.call_id)

    @cached_property
    def extensions(self) -> frozenset[str]:
        """Every extension that the event is about or names: of the leg, of the other one, of all
        legs of a call that ended, of whoever parked or fetched it."""
        return self._named("extension")

    @cached_property
    def queues(self) -> frozenset[str]:
        """Every queue that it is about."""
        return self._named("queue")

    def _named(self, kind: str) -> frozenset[str]:
        found: set[str] = set()
        for name, value in self.event.data.items():
            if name.endswith(f"{kind}_id") and isinstance(value, str):
                found.add(value)
            elif name == f"{kind}_ids" and isinstance(value, list):
                found.update(it for it in value if isinstance(it, str))
        if self.event.type.startswith(f"{kind}.") and isinstance(self.event.data.get("id"), str):
            found.add(self.event.data["id"])
        return frozenset(found)


@attrs.frozen(kw_only=True)
class Filter:
    """One subscription: events of one of `types`, about one of `calls` and of `extensions` and of
    `queues`, where those are given. `within` narrows it to what whoever gave the access allows."""

    types: frozenset[str] = frozenset({EVERY})
    calls: frozenset[str] = frozenset()
    extensions: frozenset[str] = frozenset()
    queues: frozenset[str] = frozenset()
    within: Filter | None = None

    def wants(self, subject: Subject) -> bool:
        """Whether the event is one of those."""
        types = self.types
        return (
            (EVERY in types or subject.type in types or subject.family in types)
            and (not self.calls or subject.call in self.calls)
            and (not self.extensions or not self.extensions.isdisjoint(subject.extensions))
            and (not self.queues or not self.queues.isdisjoint(subject.queues))
            and (self.within is None or self.within.wants(subject))
        )

    def shown(self) -> dict[str, list[str]]:
        """As it was given, without what was not."""
        lists = {name: sorted(getattr(self, field)) for name, field in FIELDS.items()}
        return {name: it for name, it in lists.items() if it}


Filters = frozenset[Filter]
"""The subscriptions of one client: an event is wanted if one of them wants it."""

FIELDS: Final[Mapping[str, str]] = {
    "types": "types",
    "call_ids": "calls",
    "extension_ids": "extensions",
    "queue_ids": "queues",
}
"""The names in requests."""


def wanted_types(filters: Filters) -> frozenset[str]:
    """Types and families that hold all that is wanted; nothing where that is everything."""
    found = frozenset().union(*(it.types for it in filters)) if filters else frozenset[str]()
    return frozenset() if EVERY in found else found


def wanted_call(filters: Filters) -> UUID | None:
    """The one call that everything wanted is about, if it is so."""
    calls = {it.calls for it in filters}
    if len(calls) == 1:
        (only,) = calls
        if len(only) == 1:
            return UUID(next(iter(only)))
    return None


def parse_filter(given: Mapping[str, Any], at: str = "") -> tuple[Filter, list[FieldError]]:
    """The subscription that a JSON object asks for, and everything wrong with it; fields that are
    not of a subscription are the caller's. `at` is the object's place."""
    errors: list[FieldError] = []

    def values(name: str, check: Callable[[str], str | None], message: str) -> frozenset[str]:
        raw = given.get(name, [])
        place = f"{at}/{name}"
        if not isinstance(raw, list):
            errors.append(FieldError(place, "not_a_list", "a list of strings is needed"))
            return frozenset()
        if len(raw) > MOST_VALUES:
            errors.append(FieldError(place, "too_long", f"at most {MOST_VALUES}"))
            return frozenset()
        found = set()
        for index, it in enumerate(raw):
            right = check(it) if isinstance(it, str) else None
            if right is None:
                errors.append(FieldError(f"{place}/{index}", "not_valid", message))
            else:
                found.add(right)
        return frozenset(found)

    ids = "this is no UUID"
    it = Filter(
        types=values("types", _type, "no type of event, family such as call.*, or *")
        or frozenset({EVERY}),
        calls=values("call_ids", _id, ids),
        extensions=values("extension_ids", _id, ids),
        queues=values("queue_ids", _id, ids),
    )
    return it, errors


def from_query(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """What `?types=call.*,recording.completed&call_ids=...` says, as JSON would; other parameters
    are the caller's."""
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        if name in FIELDS:
            found.setdefault(name, []).extend(it for it in value.split(",") if it)
    return found


def _type(value: str) -> str | None:
    return value if is_subscription(value) else None


def _id(value: str) -> str | None:
    try:
        return str(UUID(value))
    except ValueError:
        return None
