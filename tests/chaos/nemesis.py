"""Injects the faults of a schedule, one at a time, and waits until all is connected again."""

from __future__ import annotations

import os
import signal
from collections.abc import Awaitable, Callable, Sequence

import attrs
from twisted.internet.task import deferLater

from nizam.embedded.postgres import PrivatePostgres
from nizam.embedded.redis import PrivateRedis
from tests.chaos.clients import nothing_waits
from tests.chaos.history import Fault, Trouble
from tests.chaos.proxy import FaultyProxy, Weather
from tests.chaos.schedule import Step
from tests.chaos.world import World, in_thread
from tests.daemon.process import descendants, frozen, until

RECOVERY_SECONDS = 60.0
TAKE_OVER_SECONDS = 20.0
SLICE_BYTES = 200
Server = PrivatePostgres | PrivateRedis


@attrs.define
class Nemesis:
    """What is done to one world."""

    world: World
    _killed: bool = False

    async def inflict(self, step: Step) -> Fault:
        """Do it, take it back, wait for recovery, and note it in the history."""
        world = self.world
        began = world.reactor.seconds()
        await self._act(step)
        ended = world.reactor.seconds()
        if not await world.connected(RECOVERY_SECONDS):
            text = f"not connected {RECOVERY_SECONDS:g} s after {step.kind.name}"
            world.history.add(Trouble(text, ended))
        fault = Fault(step.kind.name, began, ended, world.reactor.seconds())
        world.history.add(fault)
        return fault

    async def _act(self, step: Step) -> None:
        action, group = step.kind.action, step.kind.group
        if group == "webhooks":
            await self._endpoints(step)
        elif action in ("kill", "restart", "freeze", "flush"):
            acts: dict[str, Callable[[Step], Awaitable[None]]] = {
                "daemon": self._daemon,
                "postgres": lambda it: self._server(it, self.world.postgres),
                "redis": lambda it: self._server(it, self.world.redis),
            }
            await acts[group](step)
        else:
            await self._link(step, self._proxies(step))

    async def _daemon(self, step: Step) -> None:
        daemon = self.world.daemons[int(step.chance * len(self.world.daemons))]
        if step.kind.action == "freeze":
            with frozen(daemon.pid):
                await self._wait(step.seconds)
            return
        daemon.kill()
        self._killed = True
        await self._wait(step.seconds)
        daemon.start()

    async def _server(self, step: Step, server: Server) -> None:
        if step.kind.action == "flush":
            assert isinstance(server, PrivateRedis)
            await self._take_over()
            await in_thread(server.flush)
            return
        if step.kind.action == "freeze":
            with frozen(server.pid):
                await self._wait(step.seconds)
            return
        if step.kind.action == "kill":
            kill(server.pid)
        await in_thread(server.stop)
        await self._wait(step.seconds)
        await in_thread(server.start)
        self.world.aim()

    async def _take_over(self) -> None:
        """Let what a killed instance left in Redis be stored: whoever deletes the only copy that
        there is has lost it."""
        if self._killed:
            await until(self.world.reactor, lambda: nothing_waits(self.world), TAKE_OVER_SECONDS)
            self._killed = False

    def _proxies(self, step: Step) -> Sequence[FaultyProxy]:
        world = self.world
        if step.kind.group == "postgres":
            return [world.postgres_proxy]
        if step.kind.group == "redis":
            return [world.redis_proxy]
        if step.chance < 0.5:
            return world.esl_proxies
        return [world.esl_proxies[int(step.chance * 1000) % len(world.esl_proxies)]]

    async def _link(self, step: Step, proxies: Sequence[FaultyProxy]) -> None:
        action = step.kind.action
        weather = {
            "slow": Weather(latency=0.02 + 0.18 * step.chance),
            "slice": Weather(slice=SLICE_BYTES),
            "stall": Weather(stall=True),
            "reset": Weather(),
            "cut": Weather(refuse=True),
            "blackhole": Weather(blackhole=True),
            "corrupt": Weather(corrupt=1 + int(step.chance * 3)),
        }[action]
        for proxy in proxies:
            proxy.weather = attrs.evolve(weather)
            if action in ("reset", "cut"):
                proxy.reset()
            proxy.changed()
        await self._wait(step.seconds)
        for proxy in proxies:
            if action == "blackhole":
                # What was swallowed is missing: a connection cannot go on after that.
                proxy.reset()
            proxy.weather = Weather()
            proxy.changed()

    async def _endpoints(self, step: Step) -> None:
        receiver = self.world.receiver
        names = [name for it in self.world.tenants for name in it.endpoints]
        chosen = set(names[::2] if step.chance < 0.5 else names[1::2])
        away = receiver.silent if step.kind.action == "blackhole" else receiver.failing
        away |= chosen
        await self._wait(step.seconds)
        away -= chosen

    async def _wait(self, seconds: float) -> None:
        await deferLater(self.world.reactor, seconds)


def kill(pid: int | None) -> None:
    """End a server and everything that it started at once (SIGKILL), as when its machine dies."""
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)  # so that it starts nothing more
    for process in [*descendants(pid), pid]:
        try:
            os.kill(process, signal.SIGKILL)
        except ProcessLookupError:
            continue
