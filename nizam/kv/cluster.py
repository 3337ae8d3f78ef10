"""A Redis Cluster: a connection to each master, commands to the one that has the key's hash slot.

MOVED and ASK are followed, and what is refused for a moment is tried again, all within the deadline
of the command. Nothing is sent twice that may have been carried out. Published messages reach the
whole cluster, so that one connection is enough to hear them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from twisted.internet.defer import Deferred, FirstError, gatherResults
from twisted.internet.task import deferLater
from zope.interface import implementer

from nizam import metrics
from nizam.errors import InternalError, KeyValueUnavailable
from nizam.kv.commands import RedisCommands, scan_options
from nizam.kv.interface import IKeyValue, Listener, Value
from nizam.kv.nodes import ClusterNodes
from nizam.kv.refusals import MOMENTARY, first_word, foreseen
from nizam.kv.scripts import script
from nizam.kv.single import DEADLINE_SECONDS
from nizam.kv.slot_map import Address, redirection
from nizam.kv.slots import slot_of
from nizam.kv.speaker import Speaker
from nizam.kv.subscriptions import Subscriptions

_AGAIN_SECONDS: Final = 0.05
_WAIT_SECONDS: Final = 0.1
_PASSING: Final = MOMENTARY - {"OOM", "MISCONF", "NOREPLICAS", "BUSY"}
_WITHOUT_KEY: Final = frozenset(
    {"PING", "TIME", "INFO", "CONFIG", "CLIENT", "SCRIPT", "FLUSHALL", "DBSIZE", "CLUSTER"}
)


@implementer(IKeyValue)
class ClusterRedis(RedisCommands):
    """The cluster that the nodes in `seeds` belong to."""

    kind = "cluster"

    def __init__(
        self, speaker: Speaker, seeds: Sequence[Address], *, deadline: float = DEADLINE_SECONDS
    ) -> None:
        self._speaker = speaker
        self._reactor = speaker.reactor
        self._response_error = speaker.errors.ResponseError
        self._deadline = deadline
        self._nodes = ClusterNodes(speaker, seeds, self.kind)
        self._subscriptions = Subscriptions(speaker, self._nodes.one)
        self._nodes.on_lost_messages = self._subscriptions.link.renew

    # -- life ---------------------------------------------------------------------------------

    @property
    def available(self) -> bool:
        """Whether a connection is there that a server accepted."""
        return any(it.connection is not None for it in self._nodes.links.values())

    async def start(self) -> None:
        """Learn where the slots are and connect.

        Raises KeyValueUnavailable for credentials or certificates that are refused, and for a
        server that is no node of a cluster.
        """
        await self._nodes.start()
        await self._subscriptions.link.start()

    async def stop(self) -> None:
        """Close every connection."""
        await self._subscriptions.link.stop()
        await self._nodes.stop()

    def on_takeover(self, key: Value, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` when another server has the slot of `key`."""
        return self._nodes.takeovers.on(key, listener)

    def subscribe(self, channel: str, listener: Listener) -> Callable[[], None]:
        """Call `listener` with each message; returns what ends it."""
        return self._subscriptions.subscribe(channel, listener)

    # -- commands of one slot -----------------------------------------------------------------

    async def command(self, name: str, *args: Value, deadline: float | None = None) -> Any:
        """A command on the key that comes first, or without one: that goes to every master, and
        the answer is that of one."""
        words = name.split()
        try:
            if words[0].upper() in _WITHOUT_KEY:
                return await self._everywhere((*words, *args), deadline)
            return await self._send(slot_of(args[0]), (*words, *args), deadline)
        except self._response_error as error:
            raise foreseen(error, name) from None

    async def script(
        self,
        name: str,
        keys: Sequence[Value],
        args: Sequence[Value] = (),
        deadline: float | None = None,
    ) -> Any:
        """Run nizam/kv/scripts/<name>.lua on the server that has the keys."""
        slots = {slot_of(key) for key in keys}
        if len(slots) != 1:
            raise InternalError(f"the keys of script {name} are of {len(slots)} hash slots")
        it, slot = script(name), slots.pop()
        rest = (len(keys), *keys, *args)
        try:
            try:
                return await self._send(slot, ("EVALSHA", it.digest, *rest), deadline)
            except self._response_error as error:
                if not str(error).startswith("NOSCRIPT"):
                    raise
                return await self._send(slot, ("EVAL", it.text, *rest), deadline)
        except self._response_error as error:
            raise foreseen(error, f"script {name}") from None

    async def _send(self, slot: int, command: tuple[Value, ...], deadline: float | None) -> Any:
        """The answer of whoever has the slot. Raises ResponseError for what is refused for good."""
        seconds = self._deadline if deadline is None else deadline
        end = self._reactor.seconds() + seconds
        asked: Address | None = None
        problem: Exception | None = None
        while True:
            left = end - self._reactor.seconds()
            if left <= 0.0:
                raise problem or KeyValueUnavailable(
                    f"no server of the cluster answers for hash slot {slot}"
                )
            address = asked or self._nodes.slots.owner(slot)
            connection = await self._connection(address, left)
            if connection is None:
                asked = None
                continue
            left = end - self._reactor.seconds()
            try:
                return await self._speaker.answer(
                    connection, command, max(left, 0.001), asking=asked is not None
                )
            except KeyValueUnavailable:
                # It may have been carried out.
                self._nodes.look()
                raise
            except self._response_error as error:
                asked = await self._refused(error, slot, address, end)
                problem = error

    async def _connection(self, address: Address | None, left: float) -> Any:
        """The connection to this server, waited for a moment; None if there is none by then."""
        if address is None:
            self._nodes.look()
            await deferLater(self._reactor, min(left, _WAIT_SECONDS))
            return None
        link = self._nodes.link(address)
        if link.connection is not None:
            return link.connection
        self._nodes.look()
        try:
            return await link.connected(min(left, _WAIT_SECONDS))
        except KeyValueUnavailable:
            return None

    async def _refused(
        self, error: Exception, slot: int, address: Address | None, end: float
    ) -> Address | None:
        """Where to ask next, None for whoever has the slot. Raises `error` if it is of no use."""
        word = first_word(error)
        if word in ("MOVED", "ASK"):
            word, where = redirection(str(error), address[0] if address else "")
            metrics.REDIS_REDIRECTIONS.labels(word.lower()).inc()
            if word == "ASK":
                return where
            self._nodes.moved(slot, where)
            return None
        if word not in _PASSING:
            raise error
        self._nodes.look()
        left = end - self._reactor.seconds()
        await deferLater(self._reactor, max(0.0, min(left, _AGAIN_SECONDS)))
        return None

    # -- commands of several slots, and of none -------------------------------------------------

    async def mget(self, keys: Sequence[Value]) -> list[bytes | None]:
        """The values of many keys, each None where there is none."""
        return await self._each("GET", keys)

    async def delete(self, *keys: Value) -> int:
        """Remove keys; how many there were."""
        return sum(map(int, await self._each("DEL", keys)))

    async def _each(self, name: str, keys: Sequence[Value]) -> list[Any]:
        """The answer of a command for each key, all sent at once."""
        sent = [Deferred.fromCoroutine(self.command(name, key)) for key in keys]
        try:
            return list(await gatherResults(sent, consumeErrors=True))
        except FirstError as error:
            error.subFailure.raiseException()
            raise

    async def scan(self, pattern: Value) -> list[bytes]:
        """Every key that matches, of all masters, each once."""
        found: dict[bytes, None] = {}
        for address in await self._masters():
            cursor: Value = 0
            while True:
                cursor, keys = await self._at(address, ("SCAN", cursor, *scan_options(pattern)))
                found.update(dict.fromkeys(keys))
                if int(cursor) == 0:
                    break
        return list(found)

    async def publish(self, channel: Value, message: Value) -> int:
        """Send a message; how many heard it of those that are connected to the same server."""
        for address, link in self._nodes.links.items():
            if link.connection is not None:
                return int(await self._at(address, ("PUBLISH", channel, message)))
        raise KeyValueUnavailable("there is no connection to Redis")

    async def _everywhere(self, command: tuple[Value, ...], deadline: float | None) -> Any:
        answers = [await self._at(it, command, deadline) for it in await self._masters()]
        return answers[0]

    async def _masters(self) -> list[Address]:
        slots = self._nodes.slots
        if not slots.whole:
            self._nodes.look()
            raise KeyValueUnavailable("not every hash slot of the cluster has a server")
        return slots.masters

    async def _at(
        self, address: Address, command: tuple[Value, ...], deadline: float | None = None
    ) -> Any:
        seconds = self._deadline if deadline is None else deadline
        link = self._nodes.link(address)
        connection = link.connection
        if connection is None:
            self._nodes.look()
            connection = await link.connected(seconds)
        try:
            return await self._speaker.answer(connection, command, seconds)
        except self._response_error as error:
            raise foreseen(error, str(command[0])) from None
