"""A bounded run: a minute of every kind of fault, drawn from three seeds one after the other.

`python -m tests.chaos --seed N --minutes M` runs for longer; docs/chaos.md says how.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import attrs
import pytest

from tests.chaos.run import Plan, run
from tests.chaos.schedule import FAULTS, Step, chosen, draw

SEEDS: Final = (71, 177, 378)
SECONDS: Final = 12.0


def steps() -> Iterator[Step]:
    """The faults of one seed after those of another."""
    for number, seed in enumerate(SEEDS):
        for step in draw(seed, chosen(["all"]), SECONDS, pause=(0.3, 0.8), stretch=0.3):
            yield attrs.evolve(step, at=step.at + number * SECONDS)


@pytest.mark.time_limit(400)
async def test_every_promise_holds_whatever_breaks(tmp_path: Path) -> None:
    from twisted.internet import reactor

    plan = Plan(SEEDS[0], len(SEEDS) * SECONDS, tuple(steps()), calls_per_second=4.0)
    assert {it.kind.name for it in plan.steps} >= FAULTS.keys()
    said: list[str] = []
    outcome = await run(reactor, plan, tmp_path, said.append, tmp_path / "history.jsonl")
    figures = [f"{name}: {value:.2f}" for name, value in outcome.figures.items()]
    told = [f"seeds {SEEDS}", *map(str, plan.steps), *said, *figures, outcome.words()]
    print(*told, sep="\n")
    assert not outcome.problems, "\n".join(told)
    assert len(outcome.history.calls) > 100
    assert outcome.figures["writes acknowledged"] > 100
