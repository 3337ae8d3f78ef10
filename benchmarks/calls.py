"""Calls through the whole daemon, and whether every one of them is accounted for.

The simulated switch places calls at the real daemon (a process of its own) with real PostgreSQL
and Redis; at the end what the switch knows is compared with what is stored and with what the
webhook receiver got. PostgreSQL can be frozen and the daemon killed meanwhile.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater, react

from benchmarks.report import Report, Row, percentile
from nizam.embedded.postgres import PrivatePostgres
from nizam.embedded.redis import PrivateRedis
from nizam.sim.settings import Durations
from nizam.store.migrate import upgrade
from tests.chaos.checkers.calls import expected_events
from tests.chaos.stored import Stored, read
from tests.daemon.process import frozen
from tests.daemon.site import Site, build_site, connected, demo_scenery, stop_site

RECOVERY_SECONDS = 60.0
DURATIONS = Durations(ring=(0.5, 3.0), talk=(4.0, 16.0), message=(2.0, 6.0), give_up=(0.5, 3.0))


@attrs.frozen
class Plan:
    """What is to be run: PostgreSQL is frozen for `freeze` seconds in the middle, the daemon
    killed `kills` times, evenly spread."""

    seconds: float
    calls_per_second: float
    freeze: float
    kills: int
    pace: float


def main() -> None:
    """Run it once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="place calls for so long")
    parser.add_argument("--cps", type=float, default=20.0, help="calls a second")
    parser.add_argument("--freeze", type=float, default=0.0, help="freeze PostgreSQL for so long")
    parser.add_argument("--kills", type=int, default=0, help="kill -9 the daemon so many times")
    parser.add_argument("--pace", type=float, default=0.5, help="real seconds per simulated one")
    given = parser.parse_args()
    plan = Plan(given.seconds, given.cps, given.freeze, given.kills, given.pace)
    with tempfile.TemporaryDirectory(prefix="nizam-calls-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # as root the servers run as another user
        with (
            PrivatePostgres(folder / "postgres") as postgres,
            PrivateRedis(folder / "redis") as redis,
        ):
            upgrade(postgres.dsn())
            run = _Run(plan, folder, postgres, redis)
            react(lambda reactor: Deferred.fromCoroutine(run(reactor)))


class _Run:
    """One run from the start of the daemon to the report."""

    def __init__(
        self, plan: Plan, folder: Path, postgres: PrivatePostgres, redis: PrivateRedis
    ) -> None:
        self._plan = plan
        self._folder = folder
        self._postgres = postgres
        self._redis = redis
        self._away: list[float] = []

    async def __call__(self, reactor: Any) -> None:
        plan = self._plan
        report = Report("calls")
        report.notes["plan"] = attrs.asdict(plan)
        scenery = demo_scenery(plan.pace, DURATIONS)
        site = await build_site(
            reactor, self._postgres.dsn(), self._redis.url(), self._folder, scenery
        )
        try:
            site.switch.calls.start(plan.calls_per_second)
            await self._place(site)
            site.switch.stop_calls()
            await connected(site)
            await site.switch.drain()
            report.notes["cdrs_posted_again"] = len(
                await site.post_spooled_cdrs(self._folder / "refused")
            )
            ended = reactor.seconds()
            wrong = await site.settled(whole=not plan.kills, seconds=RECOVERY_SECONDS)
            settled = reactor.seconds() - ended
            outside = await site.unmarked()
            self._fill(report, site, read(site.database), wrong, outside, settled)
        finally:
            await stop_site(site)
        report.publish()

    async def _place(self, site: Site) -> None:
        plan = self._plan
        if plan.freeze:
            await deferLater(site.reactor, (plan.seconds - plan.freeze) / 2)
            with frozen(self._postgres.pid):
                await deferLater(site.reactor, plan.freeze)
            await deferLater(site.reactor, (plan.seconds - plan.freeze) / 2)
            return
        for _ in range(plan.kills):
            await deferLater(site.reactor, plan.seconds / (plan.kills + 1))
            site.daemon.kill()
            killed = site.reactor.seconds()
            site.daemon.start()
            await site.daemon.ready()
            self._away.append(site.reactor.seconds() - killed)
        await deferLater(site.reactor, plan.seconds / (plan.kills + 1))

    def _fill(
        self,
        report: Report,
        site: Site,
        stored: Stored,
        wrong: list[str],
        outside: list[str],
        settled: float,
    ) -> None:
        truth = site.switch.truth
        counts = site.receiver.counts
        calls = truth.by_id()
        missing = [it for it in stored.promised if it not in counts]
        unheard = [
            sum((expected_events(call) - _kinds(stored, call.call_id)).values())
            for call in truth.calls
        ]
        to_webhook = [
            site.receiver.arrived[event["id"]] - event["occurred_at"] / 1e6
            for events in stored.events.values()
            for event in events
            if event["id"] in site.receiver.arrived
        ]
        to_record = [
            max(0.0, summary["created_at"] / 1e6 - calls[call_id].ended / 1e6)
            for call_id, summaries in stored.summaries.items()
            for summary in summaries
            if call_id in calls
        ]

        def add(what: str, figure: float, unit: str, most: float | None = None) -> None:
            report.add(Row(what, figure, unit, must=most, lower_is_better=most is not None))

        add("calls placed", truth.placed, "")
        add("calls that began", len(truth.calls), "")
        add("events of calls stored", sum(map(len, stored.events.values())), "")
        add("events missing", sum(unheard), "", None if self._plan.kills else 0)
        add("calls with an event missing", sum(1 for it in unheard if it), "")
        add("such calls outside every gap", len(outside), "", 0)
        add("summaries", sum(map(len, stored.summaries.values())), "")
        add("legs", sum(map(len, stored.legs.values())), "")
        add("deliveries promised", len(stored.promised), "")
        add("deliveries that came", len(counts), "")
        add("deliveries missing", len(missing), "", 0)
        add("deliveries that came again", sum(it - 1 for it in counts.values()), "")
        add("calls or deliveries not right", len(wrong), "", 0)
        for what, samples in (
            ("event to webhook", to_webhook),
            ("hangup to CDR", to_record),
            ("kill to ready", self._away),
        ):
            if samples:
                for name, fraction in (("p50", 0.5), ("p99", 0.99), ("max", 1.0)):
                    add(f"{what}, {name}", 1000 * percentile(samples, fraction), "ms")
        add("last hangup to all right", 1000 * settled, "ms")
        report.notes["wrong"] = wrong[:20]
        report.notes["switch_problems"] = len(truth.problems)
        report.notes["log_errors"] = site.daemon.logged("error", "critical")[:10]


def _kinds(stored: Stored, call_id: str) -> Counter[str]:
    return Counter(event["type"] for event in stored.events.get(call_id, []))


if __name__ == "__main__":
    main()
