"""What must hold for all objects of a tenant together, after every change of a plan.

The single changes of the API check the same in SQL, one object at a time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from nizam.document.links import slots
from nizam.document.plan import Change, Known, Present, document_resources
from nizam.errors import FieldError
from nizam.model.registry import resources
from nizam.model.resource import Resource
from nizam.slices import Sliced

Node = tuple[str, str]
"""(type, id) of an object."""

Edge = tuple[Node, Node]
"""A call that reaches the first goes on to the second by itself."""


@attrs.frozen
class _Object:
    """One object as it will be."""

    resource: Resource
    id: str
    body: Mapping[str, Any]
    path: str | None
    """Where the document has it; None if the plan leaves it as it is."""

    @property
    def words(self) -> str:
        return f"{self.resource.name.replace('_', ' ')} {self.id}"


def check_together(
    present: Present,
    changes: Sequence[Change],
    quotas: Mapping[str, int],
    edges: Sequence[Edge],
) -> Sliced[list[FieldError]]:
    """Everything that would be wrong: numbers and other unique fields that two objects have, what
    others still refer to, used up quotas, and calls that go round.

    `quotas` are the tenant's limits by their names; `edges` are those of the objects that are
    there now.
    """
    errors: list[FieldError] = []
    numbers: dict[str, _Object] = {}
    deleted: dict[Node, Change] = {}
    by_type: defaultdict[str, list[Change]] = defaultdict(list)
    for change in changes:
        by_type[change.resource.name].append(change)
        if change.operation == "delete":
            deleted[change.resource.name, str(change.id)] = change
        yield
    dialled = any(resources()[name].is_dialled for name in by_type)
    for resource in document_resources():
        if not (resource.name in by_type or (dialled and resource.is_dialled) or deleted):
            continue
        taken: defaultdict[tuple[str, ...], dict[tuple[Any, ...], _Object]] = defaultdict(dict)
        count = 0
        own = by_type.get(resource.name, ())
        for it in _afterwards(resource, present.get(resource.name, ()), own):
            yield
            if it is None:
                continue
            count += 1
            errors += _unique_fields(it, taken)
            if resource.is_dialled:
                errors += _numbers(it, numbers)
            if it.path is None and deleted:
                errors += _deleted_references(it, deleted)
        errors += _quota(resource, count, quotas, changes)
    errors += yield from _loops(changes, edges)
    # A number that is unique among extensions is unique among all numbers, too. What is to be
    # deleted has no place in the document, and can be in use by several.
    distinct = {(it.path, it.code, it.message * (it.code == "in_use")): it for it in errors}
    return list(distinct.values())


def _afterwards(
    resource: Resource, present: Sequence[Known], changes: Sequence[Change]
) -> Iterator[_Object | None]:
    """The objects of one type as they will be, those that stay as they are first; None for what
    takes its time and is none of them."""
    changed = {it.id for it in changes}
    for known in present:
        stays = known.id not in changed
        yield _Object(resource, str(known.id), known.body, None) if stays else None
    for it in changes:
        gone = it.operation == "delete"
        yield None if gone else _Object(resource, str(it.id), it.body, it.path)


def _unique_fields(
    it: _Object, taken: Mapping[tuple[str, ...], dict[tuple[Any, ...], _Object]]
) -> Iterator[FieldError]:
    for unique in it.resource.unique:
        values = tuple(it.body.get(name) for name in unique.columns)
        if None in values or (unique.only_true and values != (True,)):
            continue
        first = taken[unique.columns].setdefault(values, it)
        if first is not it and it.path is not None:
            for name in unique.columns:
                place = first.path or first.words
                yield FieldError(f"{it.path}/{name}", "taken", f"is what {place} has, too")


def _numbers(it: _Object, numbers: dict[str, _Object]) -> Iterator[FieldError]:
    for number in it.resource.numbers(it.body):
        first = numbers.setdefault(number, it)
        wrong, other = (it, first) if it.path is not None else (first, it)
        if first is not it and wrong.path is not None:
            field = wrong.resource.numbers(wrong.body)[number]
            message = f"the number {number} belongs to {other.path or other.words}"
            yield FieldError(f"{wrong.path}{field}", "taken", message)


def _deleted_references(it: _Object, deleted: Mapping[Node, Change]) -> Iterator[FieldError]:
    for slot in slots(it.resource.body, it.body):
        gone = deleted.get((slot.type, slot.value))
        if gone is not None:
            yield FieldError(
                f"/{gone.resource.table}",
                "in_use",
                f"{gone.resource.name.replace('_', ' ')} {gone.key} is to be deleted, but "
                f"{it.words} refers to it",
            )


def _quota(
    resource: Resource, count: int, quotas: Mapping[str, int], changes: Sequence[Change]
) -> Iterator[FieldError]:
    limit = 0 if resource.quota is None else quotas.get(resource.quota, 0)
    more = any(it.operation == "create" and it.resource is resource for it in changes)
    if limit and more and count > limit:
        words = resource.table.replace("_", " ")
        message = f"the tenant may have {limit} {words}, and this makes {count}"
        yield FieldError(f"/{resource.table}", "quota_exceeded", message)


def _loops(changes: Sequence[Change], edges: Sequence[Edge]) -> Sliced[list[FieldError]]:
    """Calls that would go round, each named where the document closes the circle."""
    changed: dict[Node, Change] = {}
    following: defaultdict[Node, list[Node]] = defaultdict(list)
    for change in changes:
        node = (change.resource.name, str(change.id))
        changed[node] = change
        onwards = [(it.type, str(it.id)) for it in change.references if it.by_itself]
        if onwards:
            following[node] = onwards
        yield
    for start, end in edges:
        if start not in changed:
            following[start].append(end)
        yield
    errors: list[FieldError] = []
    for node in (yield from _on_circles(following)):
        it = changed.get(node)
        first = None if it is None else next((r for r in it.references if r.by_itself), None)
        if it is not None and first is not None:
            message = "leads back here without anybody answering"
            errors.append(FieldError(f"{it.path}{first.path}", "loop", message))
    return errors


def _on_circles(following: Mapping[Node, Sequence[Node]]) -> Sliced[list[Node]]:
    """The nodes that lie on a circle: Tarjan's strongly connected components, without recursion."""
    order: dict[Node, int] = {}
    low: dict[Node, int] = {}
    stack: list[Node] = []
    on_stack: set[Node] = set()
    found: list[Node] = []
    for root in following:
        if root in order:
            continue
        waiting: list[tuple[Node, Iterator[Node]]] = []

        def enter(node: Node, waiting: list[tuple[Node, Iterator[Node]]] = waiting) -> None:
            order[node] = low[node] = len(order)
            stack.append(node)
            on_stack.add(node)
            waiting.append((node, iter(following.get(node, ()))))

        enter(root)
        while waiting:
            node, rest = waiting[-1]
            step = next(rest, None)
            if step is None:
                waiting.pop()
                if waiting:
                    low[waiting[-1][0]] = min(low[waiting[-1][0]], low[node])
                if low[node] == order[node]:
                    found += _component(node, stack, on_stack, following)
            elif step not in order:
                enter(step)
            elif step in on_stack:
                low[node] = min(low[node], order[step])
            yield
    return found


def _component(
    node: Node, stack: list[Node], on_stack: set[Node], following: Mapping[Node, Sequence[Node]]
) -> list[Node]:
    """The component that `node` heads, if it is a circle; it is taken off the stack."""
    members: list[Node] = []
    while True:
        member = stack.pop()
        on_stack.discard(member)
        members.append(member)
        if member == node:
            break
    return members if len(members) > 1 or node in following.get(node, ()) else []
