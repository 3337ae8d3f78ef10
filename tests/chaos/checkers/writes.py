"""What the API acknowledged is there, once, and whoever wrote it reads it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from tests.chaos.history import History, Operation


def check(history: History) -> list[str]:
    """Everything that is wrong."""
    return write_problems(history.of(Operation))


def write_problems(operations: Iterable[Operation]) -> list[str]:
    """Acknowledged writes that are lost, and reads of what cannot have been there.

    Each object has one client, which does one thing at a time. A write without an answer may
    have been done or may still be: until the next acknowledged one both are right.
    """
    by_object: dict[tuple[str, str], list[Operation]] = defaultdict(list)
    for it in operations:
        by_object[it.tenant_id, it.object].append(it)
    found = []
    for (tenant_id, name), them in by_object.items():
        found += [f"object {name} of {tenant_id}: {it}" for it in _object_problems(them)]
    return found


def _object_problems(operations: Iterable[Operation]) -> list[str]:
    possible: set[str | None] = {None}
    found = []
    finals = 0
    for it in operations:
        if it.action in ("read", "final"):
            finals += it.action == "final"
            if it.outcome == "done" and it.value not in possible:
                word = "reads" if it.action == "read" else "ends as"
                found.append(f"{word} {it.value!r}, should be {_words(possible)}")
                possible = {it.value}  # told once
            continue
        written = None if it.action == "delete" else it.value
        if it.outcome == "done":
            possible = {written}
        elif it.outcome == "unknown":
            possible.add(written)
        elif it.status == 404 and None not in possible:
            found.append(f"{it.action} finds nothing, should be {_words(possible)}")
        elif it.action == "create":
            found.append(f"{it.action} was answered {it.status}, though it was only repeated")
    if finals > 1:
        found.append(f"is there {finals} times")
    return found


def _words(possible: Iterable[str | None]) -> str:
    return " or ".join(sorted("nothing" if it is None else repr(it) for it in possible))
