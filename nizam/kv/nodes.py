"""The masters of a Redis Cluster: a link to each, and which of them has which hash slots."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.task import deferLater
from twisted.logger import Logger

from nizam import metrics
from nizam.errors import KeyValueUnavailable
from nizam.kv.asking import ASK_SECONDS, ask_once
from nizam.kv.link import RedisLink
from nizam.kv.refusals import RefusedError
from nizam.kv.slot_map import Address, SlotMap
from nizam.kv.speaker import Speaker
from nizam.kv.takeovers import Takeovers
from nizam.nap import Nap

LOOK_SECONDS: Final = 60.0
"""Between two looks while all is well."""
SOON_SECONDS: Final = 0.5
"""Between two looks while a server is away or a slot has none."""
LEAST_SECONDS: Final = 0.1
_NOT_A_CLUSTER: Final = "cluster support disabled"


class ClusterNodes:
    """Asks a node for the slots now and then, at once when `look` is called, and follows them."""

    _log = Logger()

    def __init__(self, speaker: Speaker, seeds: Sequence[Address], kind: str) -> None:
        self._speaker = speaker
        self._reactor = speaker.reactor
        self._seeds = list(seeds)
        self._kind = kind
        self.slots = SlotMap()
        self.links: dict[Address, RedisLink] = {}
        self.takeovers = Takeovers()
        self.on_lost_messages: Callable[[], None] = lambda: None
        self._heard_at: Address | None = None
        self._started: dict[Address, Deferred[Exception | None]] = {}
        self._unused: dict[Address, float] = {}
        self._ending: set[Deferred[None]] = set()
        self._nap = Nap(speaker.reactor)
        self._wanted = False
        self._running = False
        self._finished: Deferred[None] | None = None

    # -- life ---------------------------------------------------------------------------------

    async def start(self) -> None:
        """Look for the first time, and connect. Raises RefusedError."""
        self._running = True
        try:
            await self._look()
            for problem in [await it for it in list(self._started.values())]:
                if isinstance(problem, RefusedError):
                    raise problem
        except KeyValueUnavailable as error:
            if isinstance(error, RefusedError):
                await self.stop()
                raise
            self._log.warn("Redis: {error}", error=error.detail)
        self._finished = Deferred.fromCoroutine(self._run())

    async def stop(self) -> None:
        """Close every connection."""
        self._running = False
        self._nap.wake()
        for address in list(self.links):
            self._leave(address)
        finished, self._finished = self._finished, None
        if finished is not None:
            await finished
        await DeferredList(list(self._ending))

    # -- what the cluster kind asks --------------------------------------------------------------

    def look(self) -> None:
        """Something is not as the map says: ask for it again soon."""
        self._wanted = True
        self._nap.wake()

    def moved(self, slot: int, address: Address) -> None:
        """A server said that the slot is another's."""
        if self.slots.owner(slot) != address:
            self.slots.move(slot, address)
            self.takeovers.of([slot])
        self.look()

    def link(self, address: Address) -> RedisLink:
        """The link to this server; made now if it is new."""
        if not self._running:
            raise KeyValueUnavailable("the connection to Redis is closed")
        if address not in self.links:
            self.links[address] = it = RedisLink(
                self._reactor,
                partial(self._endpoint, address),
                self._speaker.for_commands,
                self._speaker.sign_in,
                kind=self._kind,
                last_retry=SOON_SECONDS,
            )
            self._started[address] = Deferred.fromCoroutine(it.start())
        return self.links[address]

    async def one(self) -> Any:
        """The endpoint of some node that is there, to hear messages from."""
        there = [it for it, link in self.links.items() if link.connection is not None]
        self._heard_at = random.choice(there or self._seeds)  # noqa: S311
        return self._speaker.endpoint(*self._heard_at)

    async def _endpoint(self, address: Address) -> Any:
        return self._speaker.endpoint(*address)

    # -- looking ------------------------------------------------------------------------------

    async def _run(self) -> None:
        while self._running:
            well = self.slots.whole and all(
                self.link(it).connection is not None for it in self.slots.masters
            )
            if not self._wanted:
                await self._nap.sleep(LOOK_SECONDS if well else SOON_SECONDS)
            await self._look_again()

    async def _look_again(self) -> None:
        if not self._running:
            return
        self._wanted = False
        try:
            await self._look()
        except KeyValueUnavailable as error:
            self._log.warn("Redis: {error}", error=error.detail)
        except Exception:
            self._log.failure("where the hash slots are could not be learned")
        if self._running:
            await deferLater(self._reactor, LEAST_SECONDS)

    async def _look(self) -> None:
        """Learn the slots from any node. Raises KeyValueUnavailable."""
        there = [it for it, link in self.links.items() if link.connection is not None]
        random.shuffle(there)
        refused: RefusedError | None = None
        for address in (*there, *(it for it in self._seeds if it not in there)):
            try:
                answer = await self._ask(address)
                self._follow(SlotMap.read(answer, address[0]))
            except RefusedError as error:
                refused = error
            except Exception as error:
                if _NOT_A_CLUSTER in str(error):
                    refused = RefusedError(
                        f"REDIS_CLUSTER_SEED_n: {address[0]}:{address[1]} is no node of a cluster"
                    )
                # Whatever ails this one, another may answer.
                self._log.debug("{at}: {error}", at=address, error=str(error))
            else:
                return
        raise refused or KeyValueUnavailable("no node of the cluster answers")

    async def _ask(self, address: Address) -> Any:
        link = self.links.get(address)
        connection = None if link is None else link.connection
        question = ("CLUSTER", "SLOTS")
        if connection is None:
            return await ask_once(self._speaker, *address, question)
        return await self._speaker.answer(connection, question, ASK_SECONDS)

    def _follow(self, found: SlotMap) -> None:
        before, self.slots = self.slots, found
        if not self._running:
            return
        masters, were = set(found.masters), set(before.masters)
        for address in masters:
            self.link(address)
        self._leave_unused(masters)
        if were and masters - were:
            metrics.REDIS_FAILOVERS.labels(self._kind).inc()
        self.takeovers.of([it for it in self.takeovers.slots if _changed(it, before, found)])
        if self._heard_at in were - masters:
            self._heard_at = None
            self.on_lost_messages()

    def _leave_unused(self, masters: set[Address]) -> None:
        """Those that have no slots any more, at once if they are away. One that is there may be
        about to get some, or be waited for by who asked it."""
        now = self._reactor.seconds()
        self._unused = {it: self._unused.get(it, now) for it in self.links.keys() - masters}
        for address, since in self._unused.items():
            if self.links[address].connection is None or now - since >= LOOK_SECONDS:
                self._leave(address)

    def _leave(self, address: Address) -> None:
        link = self.links.pop(address)
        self._started.pop(address, None)
        ending = Deferred.fromCoroutine(link.stop())
        self._ending.add(ending)
        ending.addBoth(lambda _: self._ending.discard(ending))


def _changed(slot: int, before: SlotMap, after: SlotMap) -> bool:
    was, now = before.owner(slot), after.owner(slot)
    return was is not None and now is not None and was != now
