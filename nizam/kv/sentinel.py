"""The master of a Redis that Sentinels watch over, whichever server that is.

The Sentinels are asked before each connection, and the server itself whether it is the master: one
that was demoted is not written to. A Sentinel tells of each switch, which ends the connections to
the old master at once; so does a write that is answered READONLY.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from twisted.logger import Logger
from zope.interface import implementer

from nizam import metrics
from nizam.errors import KeyValueUnavailable
from nizam.kv.asking import ask_once
from nizam.kv.interface import IKeyValue, Value
from nizam.kv.refusals import RefusedError, first_word
from nizam.kv.single import DEADLINE_SECONDS, OneServer
from nizam.kv.speaker import CONNECT_SECONDS, Speaker
from nizam.kv.subscriptions import Subscriptions
from nizam.kv.takeovers import Takeovers

Address = tuple[str, int]
_SWITCHED: Final = "+switch-master"


class Sentinels:
    """Those that know which server is the master of `service`."""

    _log = Logger()

    def __init__(self, speaker: Speaker, addresses: Sequence[Address], service: str) -> None:
        self._speaker = speaker
        self._addresses = list(addresses)
        self._service = service

    async def master(self) -> Address:
        """Ask one after the other, the one that answered last first."""
        problems = []
        for address in list(self._addresses):
            try:
                found = await ask_once(
                    self._speaker,
                    *address,
                    ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._service),
                )
            except Exception as error:
                # Whatever ails one of them, another may answer.
                problems.append(error)
                self._log.debug("{at}: {error}", at=_shown(address), error=str(error))
                continue
            if not found:
                problems.append(_unknown(self._service, address))
                continue
            self._addresses.remove(address)
            self._addresses.insert(0, address)
            return found[0].decode(), int(found[1])
        raise _worst(problems)

    async def one(self) -> Any:
        """The endpoint of one that is there."""
        await self.master()
        return self._speaker.endpoint(*self._addresses[0])


@implementer(IKeyValue)
class SentinelRedis(OneServer):
    """The master of `service`. The Sentinels have credentials of their own, in `asking`."""

    kind = "sentinel"
    last_retry = 0.5

    def __init__(
        self,
        speaker: Speaker,
        asking: Speaker,
        sentinels: Sequence[Address],
        service: str,
        *,
        deadline: float = DEADLINE_SECONDS,
    ) -> None:
        self._sentinels = Sentinels(asking, sentinels, service)
        self._service = service
        self._found: Address | None = None
        self._master: Address | None = None
        self._takeovers = Takeovers()
        self._news = Subscriptions(asking, self._sentinels.one)
        self._news.subscribe(_SWITCHED, self._switched)
        super().__init__(speaker, deadline)

    async def start(self) -> None:
        """Connect; raises KeyValueUnavailable for credentials or certificates that are refused."""
        await super().start()
        await self._news.link.start()

    async def stop(self) -> None:
        """Close every connection."""
        await self._news.link.stop()
        await super().stop()

    async def _find(self) -> Any:
        self._found = await self._sentinels.master()
        return self._speaker.endpoint(*self._found)

    async def _find_for_messages(self) -> Any:
        return self._speaker.endpoint(*await self._sentinels.master())

    async def _sign_in(self, protocol: Any) -> None:
        await super()._sign_in(protocol)
        found = self._found
        role = await self._speaker.answer(protocol, ("ROLE",), CONNECT_SECONDS)
        if role[0] != b"master":
            raise KeyValueUnavailable(f"{_shown(found)} is no master")
        before, self._master = self._master, found
        if before not in (None, found):
            metrics.REDIS_FAILOVERS.labels(self.kind).inc()
            # It may still stand, to a server that hears nothing of what others publish.
            self._subscriptions.link.renew()
            self._takeovers.all()

    async def _send(self, command: tuple[Value, ...], deadline: float | None) -> Any:
        try:
            return await super()._send(command, deadline)
        except self._response_error as error:
            if first_word(error) == "READONLY":
                self._commands.renew()
            raise

    def _switched(self, message: bytes) -> None:
        service, *addresses = message.decode("utf-8", "replace").split(" ")
        if service == self._service and len(addresses) == 4:
            host, port = addresses[2:]
            if self._master is None or self._master != (host, int(port)):
                self._commands.renew()

    def on_takeover(self, key: Value, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` when another server has become the master."""
        return self._takeovers.on(key, listener)


def _shown(address: Address | None) -> str:
    return "the server" if address is None else f"{address[0]}:{address[1]}"


def _unknown(service: str, address: Address) -> KeyValueUnavailable:
    return KeyValueUnavailable(
        f"REDIS_SENTINEL_SERVICE: the Sentinel at {_shown(address)} knows no master {service!r}"
    )


def _worst(problems: list[Exception]) -> Exception:
    """What to say when none of the Sentinels could tell."""
    refused = [it for it in problems if isinstance(it, RefusedError)]
    if refused and len(refused) == len(problems):
        return RefusedError(f"the Sentinels: {refused[0].detail}")
    if len(problems) == 1:
        return problems[0]
    texts = dict.fromkeys(str(it) or type(it).__name__ for it in problems)
    return KeyValueUnavailable(f"no Sentinel says which server is the master: {'; '.join(texts)}")
