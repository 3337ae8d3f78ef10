"""`python -m tests.chaos --seed 1 --minutes 5`: a long run, with servers of its own on loopback.

Prints the schedule of faults, how it goes, and a report; ends with 1 when a promise was broken.
The same seed gives the same calls, clients and faults again.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from nizam.sim.settings import Durations
from tests.chaos.checkers import check
from tests.chaos.history import read_history
from tests.chaos.run import Outcome, Plan, run
from tests.chaos.schedule import FAULTS, chosen, draw

LONGER: tuple[float, float] = (2.0, 8.0)
"""Seconds between faults in long runs, so that recovery is seen as well."""
DURATIONS = Durations(ring=(0.5, 3.0), talk=(4.0, 16.0), message=(2.0, 6.0), give_up=(0.5, 3.0))


def main() -> None:
    """Run, or check what an earlier run has written."""
    options = parser()
    given = options.parse_args()
    if given.list:
        print(*(f"{it.name:20s} {it.about}" for it in FAULTS.values()), sep="\n")
        return
    if given.check:
        with given.check.open("rb") as lines:
            problems = check(read_history(lines))
        print(json.dumps(problems, indent=2) if problems else "every promise held")
        sys.exit(1 if problems else 0)
    try:
        plan = _plan(given)
    except ValueError as error:
        options.error(str(error))
    print(f"seed {plan.seed}: {len(plan.steps)} faults in {plan.seconds:g} s")
    print(*plan.steps, sep="\n", flush=True)
    if not given.dry_run:
        react(lambda reactor: Deferred.fromCoroutine(_work(reactor, plan, given)))


async def _work(reactor: Any, plan: Plan, given: argparse.Namespace) -> None:
    begin = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - begin:7.1f} s] {text}", flush=True)

    with _folder(given.keep) as folder:
        outcome = await run(reactor, plan, folder, say, given.history)
    print(_report(outcome))
    if outcome.problems:
        raise SystemExit(1)


@contextlib.contextmanager
def _folder(kept: Path | None) -> Iterator[Path]:
    if kept is not None:
        kept.mkdir(parents=True)
        yield kept
        return
    with tempfile.TemporaryDirectory(prefix="nizam-chaos-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # as root the servers run as another user
        yield folder


def _plan(given: argparse.Namespace) -> Plan:
    seconds = given.minutes * 60
    low, high = given.pause or LONGER
    steps = draw(
        given.seed,
        chosen(given.faults.split(",")) if given.faults != "none" else (),
        seconds,
        pause=(low, high),
        stretch=given.stretch,
        most=given.most,
        lasting=tuple(given.lasting) if given.lasting else None,
    )
    return Plan(
        given.seed,
        seconds,
        steps,
        calls_per_second=given.calls,
        instances=given.instances,
        keys_per_second=given.keys,
        pace=given.pace,
        durations=DURATIONS,
    )


def _report(outcome: Outcome) -> str:
    lines = [f"{name:36s} {round(value, 2):14,}" for name, value in outcome.figures.items()]
    return "\n".join([*lines, outcome.words() or "every promise held"])


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m tests.chaos",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = made.add_argument
    add("--seed", type=int, default=1, help="decides all that is drawn by lot (1)")
    add("--minutes", type=float, default=5.0, help="how long calls are placed (5)")
    add(
        "--faults",
        default="all",
        metavar="NAMES",
        help="which, separated by commas: a name, what is done (kill), what it is done to (esl),"
        " all, or none (all)",
    )
    add("--most", type=int, help="so many faults at most")
    add(
        "--pause",
        type=float,
        nargs=2,
        metavar="S",
        help="seconds between faults, from and to (2 8)",
    )
    add(
        "--lasting",
        type=float,
        nargs=2,
        metavar="S",
        help="let each fault last so long, from and to",
    )
    add("--keys", type=float, default=0.0, help="keys a second that people press in calls (0)")
    add("--stretch", type=float, default=1.0, help="let faults last so many times as long (1)")
    add("--calls", type=float, default=10.0, help="calls a second (10)")
    add("--pace", type=float, default=0.25, help="real seconds for a second of a call (0.25)")
    add("--instances", type=int, choices=(1, 2), default=1, help="of the daemon (1)")
    add("--history", type=Path, metavar="FILE", help="write what is seen as JSON lines")
    add(
        "--keep",
        type=Path,
        metavar="FOLDER",
        help="work in this new folder and keep it: logs, data",
    )
    add("--check", type=Path, metavar="FILE", help="run nothing; check the history in FILE again")
    add("--list", action="store_true", help="say which faults there are")
    add("--dry-run", action="store_true", help="print the schedule and end")
    return made


if __name__ == "__main__":
    main()
