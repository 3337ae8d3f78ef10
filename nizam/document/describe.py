"""Plans as programs and as people read them: what each change does to which field."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import orjson

from nizam.document.form import form, tenant_form
from nizam.document.plan import Change, Plan
from nizam.model.pointer import pointer
from nizam.slices import Sliced

HIDDEN = "***"
_SIGNS: Mapping[str, str] = {"create": "+", "update": "~", "delete": "-"}

Redact = Callable[[Any], Any]
"""A value without what passwords, PINs and credentials in it say."""


def described(plan: Plan, redact: Redact) -> Sliced[list[dict[str, Any]]]:
    """Each change as a JSON object: `operation`, `type`, `key`, `id` of what is there already,
    `path` in the document, and `fields` with their values before and after."""
    found: list[dict[str, Any]] = []
    for change in plan.changes:
        found.append(_described(change, plan, redact))
        yield
    return found


def summary(plan: Plan) -> dict[str, Any]:
    """How many objects are made, changed, deleted and left alone, in all and by type."""
    counted = Counter(it.operation for it in plan.changes)
    by_type: dict[str, dict[str, int]] = {}
    for it in plan.changes:
        of_type = by_type.setdefault(it.resource.name, {})
        of_type[it.operation] = of_type.get(it.operation, 0) + 1
    return {
        **{name: counted.get(name, 0) for name in _SIGNS},  # type: ignore[call-overload]
        "unchanged": plan.unchanged,
        "by_type": by_type,
    }


def missing_secrets(plan: Plan) -> list[dict[str, str]]:
    """The secrets that the document only marks, of objects that are new: somebody must set them."""
    return [
        {"type": it.resource.name, "key": it.key, "field": field, "path": it.path}
        for it in plan.changes
        for field in it.missing
    ]


def as_text(changes: Sequence[Mapping[str, Any]], counted: Mapping[str, Any]) -> Sliced[str]:
    """The plan for people: a line for each object, and below it one for each field."""
    lines: list[str] = []
    for it in changes:
        lines.append(f"{_SIGNS[it['operation']]} {it['type']} {it['key']}")
        for field in it["fields"]:
            name = field["path"].lstrip("/").replace("/", ".")
            after = _plain(field, "after")
            if it["operation"] == "create":
                lines.append(f"    {name}: {after}")
            else:
                lines.append(f"    {name}: {_plain(field, 'before')} -> {after}")
        yield
    numbers = ", ".join(
        f"{counted[name]} to {name}" for name in ("create", "update", "delete") if counted[name]
    )
    lines.append(f"{numbers or 'nothing to do'}; {counted['unchanged']} unchanged")
    return "\n".join(lines) + "\n"


def field_changes(
    before: Mapping[str, Any], after: Mapping[str, Any], redact: Redact
) -> list[dict[str, Any]]:
    """What differs: the JSON Pointer of each field with its values; a side that lacks it, lacks
    it here, too."""
    found: list[dict[str, Any]] = []
    for path, old, new in _differences(before, after, ()):
        shown: dict[str, Any] = {"path": pointer(path)}
        for name, side in (("before", old), ("after", new)):
            if side:
                # What is sensitive is known by its name.
                shown[name] = redact({str(path[-1]): side[0]})[str(path[-1])]
        found.append(shown)
    return found


def _described(change: Change, plan: Plan, redact: Redact) -> dict[str, Any]:
    def names(kind: str, identifier: str) -> str | None:
        return plan.names.get((kind, identifier))

    def shape(body: Mapping[str, Any]) -> dict[str, Any]:
        if change.resource.name == "tenant":
            return tenant_form(body)
        return form(change.resource, body, names)

    before = {} if change.before is None else shape(change.before.body)
    after = {} if change.operation == "delete" else shape(change.body)
    fields = [] if change.operation == "delete" else field_changes(before, after, redact)
    for field in sorted(_changed_secrets(change)):
        place = {"path": pointer(field.split("."))}
        had = change.before is not None and field in change.before.secrets
        fields.append({**place, **({"before": HIDDEN} if had else {}), "after": HIDDEN})
    return {
        "operation": change.operation,
        "type": change.resource.name,
        "key": change.key,
        "id": None if change.before is None else change.id,
        "path": change.path or None,
        "fields": fields,
    }


def _changed_secrets(change: Change) -> set[str]:
    if change.sealed is None:
        return set(change.given)
    present = {} if change.before is None else change.before.secrets
    return {
        name for name in {*change.sealed, *present} if change.sealed.get(name) != present.get(name)
    }


Side = tuple[Any, ...]
"""The value in a tuple, or an empty one."""


def _differences(
    before: Mapping[str, Any], after: Mapping[str, Any], path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Side, Side]]:
    for name in [*after, *(it for it in before if it not in after)]:
        old = (before[name],) if name in before else ()
        new = (after[name],) if name in after else ()
        if old == new:
            continue
        if all(isinstance(it, dict) for it in (*old, *new)):
            first = old[0] if old else {}
            second = new[0] if new else {}
            if first or second:
                yield from _differences(first, second, (*path, name))
                continue
        yield (*path, name), old, new


def _plain(field: Mapping[str, Any], side: str) -> str:
    return orjson.dumps(field[side]).decode() if side in field else "(default)"
