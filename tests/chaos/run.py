"""One run from its plan to what the checkers say."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attrs
import psycopg2
from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.internet.task import LoopingCall, deferLater

from nizam.sim.settings import Durations
from tests.chaos.checkers import check
from tests.chaos.checkers.calls import call_problems
from tests.chaos.checkers.records import RECORDS_SECONDS
from tests.chaos.clients import Workload, final_objects, look, note_load, nothing_waits
from tests.chaos.figures import figures as figures_of
from tests.chaos.history import History, Posted, Setting, Trouble
from tests.chaos.nemesis import Nemesis
from tests.chaos.schedule import Step
from tests.chaos.stored import read_records, read_tables
from tests.chaos.world import DURATIONS, World, build, in_thread, tear_down
from tests.daemon.process import until
from tests.daemon.site import XML_PASSWORD, XML_USERNAME

DELIVERIES_SECONDS: Final = 90.0
"""A dead worker's deliveries go on when it has been silent for 15 s; then there are retries."""
BACKLOG_SECONDS: Final = 90.0
"""What waited is stored within so long after the calls have ended: for a minute of 1,200 events a
second, on a machine that makes and checks them as well."""
POSTS_SECONDS: Final = 15.0
MOST_POSTS_SECONDS: Final = 300.0
POST_AGAIN_SECONDS: Final = 1.0
"""How often FreeSWITCH's operator posts again what was not taken."""
DRAIN_SECONDS: Final = 30.0
"""What calls that were placed last need to end, with all that they post."""
Say = Callable[[str], None]


@attrs.frozen
class Plan:
    """What is to be run. `seed` decides everything that is drawn by lot; `steps` are the faults;
    a simulated second takes `pace` real ones. With `keys_per_second` people press keys while they
    talk, which is stored and told to nobody: events of which there are many."""

    seed: int
    seconds: float
    steps: tuple[Step, ...]
    calls_per_second: float = 5.0
    instances: int = 1
    clients: int = 2
    keys_per_second: float = 0.0
    pace: float = 0.1
    durations: Durations = DURATIONS

    @property
    def untold(self) -> tuple[str, ...]:
        """Types of events that the webhooks are not told of."""
        return ("call.dtmf",) if self.keys_per_second else ()


@attrs.frozen
class Outcome:
    """What came of a run: problems by checker (none if all is well), and figures to print."""

    history: History
    problems: Mapping[str, list[str]]
    figures: Mapping[str, float]

    def words(self, most: int = 10) -> str:
        """The problems, the first ones of each checker."""
        lines = []
        for name, them in self.problems.items():
            lines.append(f"{name}: {len(them)}")
            lines += [f"  {it}" for it in them[:most]]
        return "\n".join(lines)


async def run(
    reactor: Any, plan: Plan, folder: Path, say: Say = lambda _: None, file: Path | None = None
) -> Outcome:
    """Build a world in `folder`, break it as planned, and check what was seen.

    The history is written to `file` too, line by line. `say` gets lines about how it goes.
    """
    history = History(file)
    begin = reactor.seconds()
    world = await build(
        reactor,
        folder,
        history,
        seed=plan.seed,
        instances=plan.instances,
        pace=plan.pace,
        durations=plan.durations,
        untold=plan.untold,
    )
    try:
        figures = {"seconds to start": reactor.seconds() - begin}
        figures |= await _Run(world, plan, say)()
    finally:
        await tear_down(world)
        history.close()
    return Outcome(history, check(history), figures)


class _Run:
    def __init__(self, world: World, plan: Plan, say: Say) -> None:
        self._world = world
        self._plan = plan
        self._say = say
        self._history = world.history
        self._begin = 0.0
        self._spooled = 0

    async def __call__(self) -> dict[str, float]:
        world, plan = self._world, self._plan
        self._begin = world.reactor.seconds()
        self._history.add(_setting(world, plan, self._begin))
        workload = Workload(world, plan.seed, plan.clients, plan.keys_per_second)
        workload.start()
        world.switch.calls.start(plan.calls_per_second)
        posting = LoopingCall(lambda: Deferred.fromCoroutine(self._post_again()))
        posting.clock = world.reactor
        posted = posting.start(POST_AGAIN_SECONDS)
        events_before, cpu_before = world.switch.faults.seen, _cpu(world)
        try:
            await self._break(plan.steps)
            left = self._begin + plan.seconds - world.reactor.seconds()
            await deferLater(world.reactor, max(0.0, left))
        finally:
            world.switch.stop_calls()
            posting.stop()
            await posted
            await workload.stop()
        seconds = world.reactor.seconds() - self._begin
        events = world.switch.faults.seen - events_before
        figures = {"seconds of load": seconds, "events of the switch per second": events / seconds}
        figures |= {"CPU seconds of the daemon": _cpu(world) - cpu_before}
        figures |= await self._settle()
        return figures | figures_of(self._history)

    async def _break(self, steps: Sequence[Step]) -> None:
        nemesis = Nemesis(self._world)
        late = 0.0
        for number, step in enumerate(steps, 1):
            due = self._begin + step.at + late
            await deferLater(self._world.reactor, max(0.0, due - self._world.reactor.seconds()))
            fault = await nemesis.inflict(step)
            # What recovery took is added to what follows, so that pauses stay pauses.
            late = max(late, fault.recovered - self._begin - step.at - step.seconds)
            self._say(
                f"{number}/{len(steps)} {step.kind.name}: {fault.ended - fault.began:.2f} s,"
                f" recovered {fault.recovered - fault.ended:.2f} s later;"
                f" {len(self._world.switch.truth.calls)} calls so far"
            )

    async def _settle(self) -> dict[str, float]:
        """Let all calls end and everything be stored and told; note what there is then."""
        world, history = self._world, self._history
        draining = Deferred.fromCoroutine(world.switch.drain())
        try:
            await draining.addTimeout(DRAIN_SECONDS * history.patience, world.reactor)
        except DeferredTimeoutError:
            running = sorted(world.switch.core.channels)
            text = f"calls of the simulated switch do not end: channels {running}"
            history.add(Trouble(text, world.reactor.seconds()))
        stored = await self._store_backlog()
        await self._post_spooled()
        truth = world.switch.truth.calls
        begin = world.reactor.seconds()

        async def recorded() -> bool:
            if await in_thread(lambda: _count(world.dsn, _SUMMARIES)) < len(truth):
                return False
            stored = await in_thread(lambda: read_records(world.dsn))
            return not call_problems(truth, stored, whole=False)

        note_load(world)
        seconds = RECORDS_SECONDS * history.patience
        if not await until(world.reactor, recorded, seconds, pause=0.25):
            text = f"summaries and legs are not right {seconds:g} s after recovery"
            history.add(Trouble(text, world.reactor.seconds()))
            await until(world.reactor, recorded, DELIVERIES_SECONDS, pause=1.0)
        records = world.reactor.seconds() - begin

        async def told() -> bool:
            return not await in_thread(lambda: _count(world.dsn, _OPEN))

        await until(world.reactor, told, DELIVERIES_SECONDS, pause=0.5)
        deliveries = world.reactor.seconds() - begin
        self._say(f"records were right after {records:.1f} s, all told after {deliveries:.1f} s")
        await final_objects(world)
        for tenant in world.tenants:
            sample = await look(world, tenant)
            if sample is None or sample.shown:
                text = f"calls are shown when there are none: {sample and sample.shown}"
                history.add(Trouble(text, world.reactor.seconds()))
        for daemon in world.daemons:
            if daemon.ended:
                history.add(Trouble("an instance ended by itself", world.reactor.seconds()))
            for line, number in Counter(daemon.logged("critical")).most_common(5):
                text = f"logged {number} times: {line}"
                history.add(Trouble(text, world.reactor.seconds()))
        for call in truth:
            history.add(call)
        for leg_id in world.switch.truth.posted:
            history.add(Posted(leg_id))
        history.add_tables(await in_thread(lambda: read_tables(world.dsn)))
        errors = [line for it in world.daemons for line in it.logged("error")]
        for line, number in Counter(it[:200] for it in errors).most_common(5):
            self._say(f"logged {number} times: {line}")
        return {
            "calls placed": world.switch.truth.placed,
            "CDRs posted again by the operator": self._spooled,
            "errors logged": len(errors),
            "seconds until the backlog was stored": stored,
            "seconds until records were right": records,
            "seconds until all was told": deliveries,
        }

    async def _store_backlog(self) -> float:
        """Wait until nothing waits to be stored; for how long that was, in seconds."""
        world, history = self._world, self._history
        begin = world.reactor.seconds()
        seconds = BACKLOG_SECONDS * history.patience
        if not await until(world.reactor, lambda: nothing_waits(world), seconds, pause=0.25):
            text = f"events wait to be stored {seconds:g} s after the last call"
            history.add(Trouble(text, world.reactor.seconds()))
        return float(world.reactor.seconds() - begin)

    async def _post_again(self) -> None:
        """Post the records that FreeSWITCH could not, as its operator does again and again."""
        for path in sorted((self._world.folder / "refused").glob("*.cdr.json")):
            if not await self._post(path.read_bytes()):
                return
            self._history.add(Posted(path.name.partition(".")[0]))
            path.unlink()
            self._spooled += 1

    async def _post_spooled(self) -> None:
        """Post again what is left."""
        end = self._world.reactor.seconds() + POSTS_SECONDS

        async def nothing_left() -> bool:
            nonlocal end
            before = self._spooled
            await self._post_again()
            if self._spooled > before:
                end = self._world.reactor.seconds() + POSTS_SECONDS
            left = any((self._world.folder / "refused").glob("*.cdr.json"))
            return not left or self._world.reactor.seconds() > end

        await until(self._world.reactor, nothing_left, MOST_POSTS_SECONDS, 0.5)
        if any((self._world.folder / "refused").glob("*.cdr.json")):
            text = f"a record of the spool was not taken within {POSTS_SECONDS:g} s"
            self._history.add(Trouble(text, self._world.reactor.seconds()))

    async def _post(self, record: bytes) -> bool:
        try:
            status, _ = await self._world.daemons[0].request(
                "POST",
                "/freeswitch/cdr",
                data=record,
                headers={"Content-Type": "application/json"},
                auth=(XML_USERNAME, XML_PASSWORD),
            )
        except Exception:
            return False
        return status == 200


_SUMMARIES: Final = "select count(*) from cdrs"
_OPEN: Final = "select count(*) from webhook_deliveries where status in ('pending', 'delivering')"


def _count(dsn: str, sql: str) -> int:
    connection = psycopg2.connect(dsn, connect_timeout=5)
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return int((cursor.fetchone() or (0,))[0])
    finally:
        connection.close()


def _setting(world: World, plan: Plan, started: float) -> Setting:
    owners = {it.domain: it.id for it in world.tenants}
    owners |= {it.did.removeprefix("+"): it.id for it in world.tenants}
    endpoints = {
        name: (it.id, is_ordered)
        for it in world.tenants
        for name, is_ordered in it.endpoints.items()
    }
    return Setting(plan.seed, started, owners, endpoints, plan.instances, plan.untold)


def _cpu(world: World) -> float:
    """CPU seconds that the instances which run now have used."""
    total = 0
    for daemon in world.daemons:
        if daemon.pid is not None:
            fields = Path(f"/proc/{daemon.pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")
