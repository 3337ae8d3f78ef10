"""Whether every promise held, decided from a history alone: no I/O, no clock, no chance.

Each module has a `check` that takes a history and gives what is wrong in words. Whoever adds one
adds to its tests a history with the violation in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from tests.chaos.checkers import (
    calls,
    deliveries,
    gaps,
    live,
    order,
    probes,
    records,
    tenants,
    writes,
)
from tests.chaos.history import History, Trouble

CHECKERS: Final[Mapping[str, Callable[[History], list[str]]]] = {
    "calls": calls.check,
    "deliveries": deliveries.check,
    "gaps": gaps.check,
    "live": live.check,
    "order": order.check,
    "probes": probes.check,
    "records": records.check,
    "tenants": tenants.check,
    "writes": writes.check,
    "trouble": lambda history: [it.text for it in history.of(Trouble)],
}


def check(history: History) -> dict[str, list[str]]:
    """What each checker finds; an empty mapping if all is well."""
    found = {name: checker(history) for name, checker in CHECKERS.items()}
    return {name: problems for name, problems in found.items() if problems}
