"""One Redis server, through txredisapi: a connection for commands and one for subscriptions.

A command waits for the connection only as long as its deadline and is not sent afterwards. When
a server that accepted a command stays silent, its connection is replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.error import ConnectionDone
from twisted.logger import Logger
from zope.interface import implementer

from nizam.errors import InternalError, KeyValueUnavailable
from nizam.kv.interface import IKeyValue, Listener, Value
from nizam.kv.link import RedisLink
from nizam.kv.scripts import script
from nizam.settings.values import RedisSettings

DEADLINE_SECONDS = 2.0
CONNECT_SECONDS = 3.0
SILENCE_SECONDS = 1.0
OWN_DELAY_SECONDS = 0.003
MOST_AGAIN = 5
"""A deadline that comes so much too late, since this process was busy, begins again, so often."""
_TEMPORARY = (
    "LOADING",
    "READONLY",
    "OOM",
    "MISCONF",
    "MASTERDOWN",
    "CLUSTERDOWN",
    "BUSY",
    "NOREPLICAS",
)
_REFUSED = ("WRONGPASS", "NOAUTH", "NOPERM", "invalid password", "invalid username")


@implementer(IKeyValue)
class SingleRedis:
    """One server. `deadline` is how many seconds a call may take unless it says otherwise."""

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        host: str,
        port: int,
        password: str | None = None,
        db: int = 0,
        *,
        username: str | None = None,
        deadline: float = DEADLINE_SECONDS,
    ) -> None:
        # It imports the reactor, and with it installs one.
        import txredisapi

        self._redis = txredisapi
        self._reactor = reactor
        self._password = password
        self._username = username
        self._db = db
        self._deadline = deadline
        endpoint = HostnameEndpoint(reactor, host, port, timeout=CONNECT_SECONDS)
        self._commands = RedisLink(reactor, endpoint, self._command_protocol, self._sign_in)
        self._subscriptions = RedisLink(
            reactor, endpoint, self._subscriber_protocol, self._subscribe_all
        )
        self._listeners: dict[str, list[Listener]] = {}

    @classmethod
    def of(cls, reactor: Any, settings: RedisSettings) -> SingleRedis:
        """The server that the settings name."""
        return cls(
            reactor,
            settings.host,
            settings.port,
            settings.password.reveal() if settings.password else None,
            settings.database,
            username=settings.username,
        )

    # -- life ---------------------------------------------------------------------------------

    @property
    def available(self) -> bool:
        """Whether a connection is there that the server accepted."""
        return self._commands.connection is not None

    async def start(self) -> None:
        """Connect; returns when the first attempt has succeeded or failed.

        Raises KeyValueUnavailable for credentials that are refused.
        """
        problem = await self._commands.start()
        if isinstance(problem, self._redis.ResponseError) and _is_refusal(problem):
            await self._commands.stop()
            raise KeyValueUnavailable(f"Redis refuses our credentials: {problem}")
        await self._subscriptions.start()

    async def stop(self) -> None:
        """Close every connection."""
        await self._subscriptions.stop()
        await self._commands.stop()

    def _command_protocol(self) -> Any:
        return self._redis.RedisProtocol(charset=None, convertNumbers=False)

    def _subscriber_protocol(self) -> Any:
        protocol = self._redis.SubscriberProtocol(charset=None, convertNumbers=False)
        protocol.messageReceived = self._message
        return protocol

    async def _sign_in(self, protocol: Any) -> None:
        """Authenticate and choose the database, or fail within a bounded time."""
        protocol.transport.setTcpKeepAlive(True)
        protocol.transport.setTcpNoDelay(True)
        steps: list[tuple[Value, ...]] = []
        if self._password is not None:
            names = (self._username,) if self._username else ()
            steps.append(("AUTH", *names, self._password))
        if self._db:
            steps.append(("SELECT", self._db))
        steps.append(("PING",))
        for step in steps:
            await self._answer(protocol, step, CONNECT_SECONDS)

    # -- commands -------------------------------------------------------------------------------

    async def command(self, name: str, *args: Value, deadline: float | None = None) -> Any:
        """Any command; its answer as Redis gives it."""
        try:
            return await self._send((*name.split(), *args), deadline)
        except self._redis.ResponseError as error:
            raise self._foreseen(error, name) from None

    async def script(
        self,
        name: str,
        keys: Sequence[Value],
        args: Sequence[Value] = (),
        deadline: float | None = None,
    ) -> Any:
        """Run nizam/kv/scripts/<name>.lua, sending its text only when the server lacks it."""
        it = script(name)
        rest = (len(keys), *keys, *args)
        try:
            try:
                return await self._send(("EVALSHA", it.digest, *rest), deadline)
            except self._redis.ResponseError as error:
                if not str(error).startswith("NOSCRIPT"):
                    raise
                return await self._send(("EVAL", it.text, *rest), deadline)
        except self._redis.ResponseError as error:
            raise self._foreseen(error, f"script {name}") from None

    async def _send(self, command: tuple[Value, ...], deadline: float | None) -> Any:
        seconds = self._deadline if deadline is None else deadline
        connection = self._commands.connection
        if connection is None:
            started = self._reactor.seconds()
            connection = await self._commands.connected(seconds)
            seconds -= self._reactor.seconds() - started
        return await self._answer(connection, command, max(seconds, 0.001))

    async def _answer(self, connection: Any, command: tuple[Value, ...], seconds: float) -> Any:
        """The answer to one command; KeyValueUnavailable after `seconds`."""
        told: Deferred[Any] = Deferred()

        timer: Any = None
        again = 0

        def wait() -> None:
            nonlocal timer
            timer = self._reactor.callLater(seconds, late, self._reactor.seconds() + seconds)

        def late(due: float) -> None:
            nonlocal again
            if self._reactor.seconds() - due < OWN_DELAY_SECONDS or again >= MOST_AGAIN:
                expire()
                return
            # It is this process that was slow: the command may not be sent, the answer not read.
            again += 1
            wait()

        def expire() -> None:
            if seconds >= SILENCE_SECONDS and connection.connected:
                connection.transport.abortConnection()
            told.errback(KeyValueUnavailable(f"Redis did not answer within {seconds:g} s"))

        def stop() -> bool:
            waiting: bool = timer is not None and timer.active()
            if waiting:
                timer.cancel()
            return waiting

        def succeed(answer: Any) -> None:
            if stop():
                told.callback(answer)

        def fail(failure: Any) -> None:
            if stop():
                told.errback(failure)

        try:
            answering = connection.execute_command(*command)
        except self._redis.ConnectionError:
            raise KeyValueUnavailable("there is no connection to Redis") from None
        wait()
        answering.addCallbacks(succeed, fail)
        try:
            return await told
        except (self._redis.ConnectionError, ConnectionDone):
            raise KeyValueUnavailable("the connection to Redis ended") from None

    def _foreseen(self, error: Exception, name: str) -> Exception:
        text = str(error)
        if text.startswith(_TEMPORARY):
            return KeyValueUnavailable(f"Redis refused {name}: {text}")
        return InternalError(f"Redis refused {name}: {text}")

    async def ping(self) -> None:
        """Return when the server answers."""
        await self.command("PING")

    async def get(self, key: Value) -> bytes | None:
        """The value, or None."""
        value: bytes | None = await self.command("GET", key)
        return value

    async def set(
        self, key: Value, value: Value, seconds: float | None = None, only_new: bool = False
    ) -> bool:
        """Store a value; False when `only_new` and there was one already."""
        options: tuple[Value, ...] = ("NX",) if only_new else ()
        if seconds is not None:
            options += ("PX", round(seconds * 1000))
        return await self.command("SET", key, value, *options) is not None

    async def delete(self, *keys: Value) -> int:
        """Remove keys; how many there were."""
        return int(await self.command("DEL", *keys)) if keys else 0

    async def expire(self, key: Value, seconds: float) -> bool:
        """Give a key a time to live; False if there is no such key."""
        return bool(await self.command("PEXPIRE", key, round(seconds * 1000)))

    async def incr(self, key: Value, by: int = 1) -> int:
        """Add to a counter; its new value."""
        return int(await self.command("INCRBY", key, by))

    async def hset(self, key: Value, fields: Mapping[Any, Value]) -> int:
        """Set fields of a hash; how many of them are new."""
        pairs = [part for pair in fields.items() for part in pair]
        return int(await self.command("HSET", key, *pairs)) if pairs else 0

    async def hget(self, key: Value, field: Value) -> bytes | None:
        """One field of a hash, or None."""
        value: bytes | None = await self.command("HGET", key, field)
        return value

    async def hgetall(self, key: Value) -> dict[bytes, bytes]:
        """Every field of a hash."""
        flat = await self.command("HGETALL", key)
        return dict(zip(flat[::2], flat[1::2], strict=True))

    async def hdel(self, key: Value, *fields: Value) -> int:
        """Remove fields of a hash; how many there were."""
        return int(await self.command("HDEL", key, *fields)) if fields else 0

    async def hlen(self, key: Value) -> int:
        """How many fields a hash has."""
        return int(await self.command("HLEN", key))

    async def rpush(self, key: Value, *values: Value) -> int:
        """Append to a list; its new length."""
        return int(await self.command("RPUSH", key, *values))

    async def lpush(self, key: Value, *values: Value) -> int:
        """Put before a list; its new length."""
        return int(await self.command("LPUSH", key, *values))

    async def lpop(self, key: Value) -> bytes | None:
        """Take the first of a list, or None."""
        value: bytes | None = await self.command("LPOP", key)
        return value

    async def llen(self, key: Value) -> int:
        """The length of a list."""
        return int(await self.command("LLEN", key))

    async def lrange(self, key: Value, first: int, last: int) -> list[bytes]:
        """Part of a list; -1 is its last item."""
        return list(await self.command("LRANGE", key, first, last))

    async def lrem(self, key: Value, count: int, value: Value) -> int:
        """Remove occurrences from a list (0: all of them); how many there were."""
        return int(await self.command("LREM", key, count, value))

    async def ltrim(self, key: Value, first: int, last: int) -> None:
        """Keep only this part of a list."""
        await self.command("LTRIM", key, first, last)

    async def zadd(self, key: Value, scores: Mapping[Any, float]) -> int:
        """Add to a sorted set or change scores; how many members are new."""
        pairs = [part for member, score in scores.items() for part in (repr(score), member)]
        return int(await self.command("ZADD", key, *pairs)) if pairs else 0

    async def zrem(self, key: Value, *members: Value) -> int:
        """Remove from a sorted set; how many there were."""
        return int(await self.command("ZREM", key, *members)) if members else 0

    async def zcard(self, key: Value) -> int:
        """How many members a sorted set has."""
        return int(await self.command("ZCARD", key))

    async def zscore(self, key: Value, member: Value) -> float | None:
        """The score of a member, or None."""
        score = await self.command("ZSCORE", key, member)
        return None if score is None else float(score)

    async def zrange(self, key: Value, first: int, last: int) -> list[bytes]:
        """Members by rank, lowest score first; -1 is the last."""
        return list(await self.command("ZRANGE", key, first, last))

    async def zrangebyscore(
        self, key: Value, lowest: float, highest: float, limit: int | None = None
    ) -> list[bytes]:
        """Members whose score is in the range, both ends included, lowest first."""
        options = () if limit is None else ("LIMIT", 0, limit)
        return list(await self.command("ZRANGEBYSCORE", key, repr(lowest), repr(highest), *options))

    async def sadd(self, key: Value, *members: Value) -> int:
        """Add to a set; how many are new."""
        return int(await self.command("SADD", key, *members)) if members else 0

    async def srem(self, key: Value, *members: Value) -> int:
        """Remove from a set; how many there were."""
        return int(await self.command("SREM", key, *members)) if members else 0

    async def smembers(self, key: Value) -> frozenset[bytes]:
        """Every member of a set."""
        return frozenset(await self.command("SMEMBERS", key))

    async def scan(self, pattern: Value) -> list[bytes]:
        """Every key that matches, each once."""
        found: dict[bytes, None] = {}
        cursor: Value = 0
        while True:
            cursor, keys = await self.command("SCAN", cursor, "MATCH", pattern, "COUNT", 1000)
            found.update(dict.fromkeys(keys))
            if int(cursor) == 0:
                return list(found)

    # -- publish and subscribe ------------------------------------------------------------------

    async def publish(self, channel: Value, message: Value) -> int:
        """Send a message; how many heard it."""
        return int(await self.command("PUBLISH", channel, message))

    def subscribe(self, channel: str, listener: Listener) -> Callable[[], None]:
        """Call `listener` with each message; returns what ends it."""
        listeners = self._listeners.setdefault(channel, [])
        listeners.append(listener)
        if len(listeners) == 1:
            self._tell_subscriber("SUBSCRIBE", channel)

        def end() -> None:
            if listener in listeners:
                listeners.remove(listener)
                if not listeners and self._listeners.pop(channel, None) is not None:
                    self._tell_subscriber("UNSUBSCRIBE", channel)

        return end

    async def _subscribe_all(self, protocol: Any) -> None:
        await self._sign_in(protocol)
        for channel in list(self._listeners):
            protocol.execute_command("SUBSCRIBE", channel).addErrback(lambda _: None)

    def _tell_subscriber(self, command: str, channel: str) -> None:
        connection = self._subscriptions.connection
        if connection is not None:
            connection.execute_command(command, channel).addErrback(lambda _: None)

    def _message(self, pattern: Any, channel: bytes, message: bytes) -> None:
        for listener in list(self._listeners.get(channel.decode(), ())):
            try:
                listener(message)
            except Exception:
                self._log.failure("a listener on {channel} failed", channel=channel)


def _is_refusal(error: Exception) -> bool:
    return any(word in str(error) for word in _REFUSED)
