"""Plans as JSON: what each change does to which field, and what was done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import orjson

from nizam.document.form import form, tenant_form
from nizam.document.plan import Change, Plan
from nizam.model.pointer import pointer
from nizam.slices import Sliced

HIDDEN = "***"
OPERATIONS = ("create", "update", "delete")

Redact = Callable[[Any], Any]
"""A value without what passwords, PINs and credentials in it say."""


class Written(Protocol):
    """An object that was made or changed."""

    @property
    def revealed(self) -> Mapping[str, str]:
        """Secrets that are new, in clear."""


def proposal(plan: Plan, revision: int, lacking: Sequence[str], redact: Redact) -> Sliced[bytes]:
    """The plan as JSON: each change with the values of its fields before and after. `revision` is
    what it was made against, `lacking` are permissions that whoever asks would need to apply it.
    """
    changes: list[bytes] = []
    for change in plan.changes:
        changes.append(orjson.dumps(_described(change, plan, redact)))
        yield
    return _joined(
        {
            "revision": revision,
            "summary": summary(plan),
            "missing_secrets": missing_secrets(plan),
            "missing_permissions": list(lacking),
        },
        changes=changes,
    )


def report(plan: Plan, written: Sequence[Written], revision: int) -> Sliced[bytes]:
    """What was done as JSON: each change by its key and id, and the secrets that were made, which
    are shown this once. `written` are what became of the changes that delete nothing, in order."""
    objects = iter(written)
    changes: list[bytes] = []
    secrets: list[bytes] = []
    for change in plan.changes:
        named = {"type": change.resource.name, "key": change.key, "id": change.id}
        changes.append(orjson.dumps({"operation": change.operation, **named}))
        if change.operation != "delete":
            revealed = next(objects).revealed
            if revealed:
                secrets.append(orjson.dumps({**named, "secrets": dict(revealed)}))
        yield
    return _joined(
        {
            "revision": revision,
            "summary": summary(plan),
            "missing_secrets": missing_secrets(plan),
        },
        changes=changes,
        secrets=secrets,
    )


def summary(plan: Plan) -> dict[str, Any]:
    """How many objects are made, changed, deleted and left alone, in all and by type."""
    counted = Counter(it.operation for it in plan.changes)
    by_type: dict[str, dict[str, int]] = {}
    for it in plan.changes:
        of_type = by_type.setdefault(it.resource.name, {})
        of_type[it.operation] = of_type.get(it.operation, 0) + 1
    return {
        **{name: counted.get(name, 0) for name in OPERATIONS},  # type: ignore[call-overload]
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


def _joined(members: Mapping[str, Any], **lists: Sequence[bytes]) -> bytes:
    """A JSON object with these members and lists, whose elements are JSON already."""
    parts = [orjson.dumps(members)[:-1]]
    parts += [b',"%s":[%s]' % (name.encode(), b",".join(it)) for name, it in lists.items()]
    return b"".join([*parts, b"}"])


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
                shown[name] = _redacted(path, side[0], redact)
        found.append(shown)
    return found


def _redacted(path: Sequence[str], value: Any, redact: Redact) -> Any:
    """The value at a path; what is sensitive is known by the names on the way."""
    for name in reversed(path):
        value = {name: value}
    value = redact(value)
    for name in path:
        value = value[name]
    return value


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
    if change.operation != "delete":
        fields += _secret_changes(change)
    return {
        "operation": change.operation,
        "type": change.resource.name,
        "key": change.key,
        "id": None if change.before is None else change.id,
        "path": change.path or None,
        "fields": fields,
    }


def _secret_changes(change: Change) -> Iterator[dict[str, str]]:
    """Which secrets are set, changed or removed; their values are nobody's."""
    before = {} if change.before is None else change.before.secrets
    if change.sealed is not None:
        changed = {
            it for it in {*before, *change.sealed} if before.get(it) != change.sealed.get(it)
        }
        left = set(change.sealed)
    else:
        changed = {*change.given, *change.cleared}
        left = {*before, *change.given} - set(change.cleared)
    yield from hidden_changes(changed, before, left)


def hidden_changes(
    changed: Iterable[str], before: Container[str], after: Container[str]
) -> Iterator[dict[str, str]]:
    """Changes of these secrets, each where it was there before and is there after."""
    for field in sorted(changed):
        sides = {"before": before, "after": after}
        shown = {name: HIDDEN for name, side in sides.items() if field in side}
        yield {"path": pointer(field.split(".")), **shown}


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
