"""One Redis server, through txredisapi: a connection for commands and one for subscriptions.

A command waits for the connection only as long as its deadline and is not sent afterwards. When
a server that accepted a command stays silent, its connection is replaced.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Final

from zope.interface import implementer

from nizam.kv.commands import RedisCommands
from nizam.kv.interface import IKeyValue, Listener, Value
from nizam.kv.link import RedisLink
from nizam.kv.refusals import RefusedError, foreseen
from nizam.kv.scripts import script
from nizam.kv.speaker import Speaker
from nizam.kv.subscriptions import Subscriptions
from nizam.kv.tls import Tls

DEADLINE_SECONDS: Final = 2.0


class OneServer(RedisCommands):
    """What there is to do with one server at a time; which one it is `_find` says."""

    kind: str
    last_retry = 2.0

    def __init__(self, speaker: Speaker, deadline: float) -> None:
        self._speaker = speaker
        self._reactor = speaker.reactor
        self._response_error = speaker.errors.ResponseError
        self._deadline = deadline
        self._commands = RedisLink(
            speaker.reactor,
            self._find,
            speaker.for_commands,
            self._sign_in,
            kind=self.kind,
            last_retry=self.last_retry,
        )
        self._subscriptions = Subscriptions(speaker, self._find_for_messages)

    @abstractmethod
    async def _find(self) -> Any:
        """The endpoint of the server. May raise."""

    async def _find_for_messages(self) -> Any:
        return await self._find()

    async def _sign_in(self, protocol: Any) -> None:
        await self._speaker.sign_in(protocol)

    @property
    def available(self) -> bool:
        """Whether a connection is there that the server accepted."""
        return self._commands.connection is not None

    async def start(self) -> None:
        """Connect; returns when the first attempt has succeeded or failed.

        Raises KeyValueUnavailable for credentials or certificates that are refused.
        """
        problem = await self._commands.start()
        if isinstance(problem, RefusedError):
            await self._commands.stop()
            raise problem
        await self._subscriptions.link.start()

    async def stop(self) -> None:
        """Close every connection."""
        await self._subscriptions.link.stop()
        await self._commands.stop()

    async def command(self, name: str, *args: Value, deadline: float | None = None) -> Any:
        """Any command; its answer as Redis gives it."""
        try:
            return await self._send((*name.split(), *args), deadline)
        except self._response_error as error:
            raise foreseen(error, name) from None

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
            except self._response_error as error:
                if not str(error).startswith("NOSCRIPT"):
                    raise
                return await self._send(("EVAL", it.text, *rest), deadline)
        except self._response_error as error:
            raise foreseen(error, f"script {name}") from None

    async def _send(self, command: tuple[Value, ...], deadline: float | None) -> Any:
        seconds = self._deadline if deadline is None else deadline
        connection = self._commands.connection
        if connection is None:
            started = self._reactor.seconds()
            connection = await self._commands.connected(seconds)
            seconds -= self._reactor.seconds() - started
        return await self._speaker.answer(connection, command, max(seconds, 0.001))

    def subscribe(self, channel: str, listener: Listener) -> Callable[[], None]:
        """Call `listener` with each message; returns what ends it."""
        return self._subscriptions.subscribe(channel, listener)


@implementer(IKeyValue)
class SingleRedis(OneServer):
    """One server. `deadline` is how many seconds a call may take unless it says otherwise."""

    kind = "single"

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
        tls: Tls | None = None,
    ) -> None:
        self._place = host, port
        speaker = Speaker(reactor, username=username, password=password, db=db, tls=tls)
        super().__init__(speaker, deadline)

    async def _find(self) -> Any:
        return self._speaker.endpoint(*self._place)

    def on_takeover(self, key: Value, listener: Callable[[], None]) -> Callable[[], None]:
        """There is one server only: nothing is ever called."""
        return lambda: None
