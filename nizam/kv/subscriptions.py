"""The channels that are listened to, over a connection of their own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from twisted.logger import Logger

from nizam.kv.interface import Listener
from nizam.kv.link import RedisLink
from nizam.kv.speaker import Speaker


class Subscriptions:
    """Subscribes again each time that the connection, to where `find` says, is back."""

    _log = Logger()

    def __init__(self, speaker: Speaker, find: Callable[[], Awaitable[Any]]) -> None:
        self._speaker = speaker
        self._listeners: dict[str, list[Listener]] = {}
        self.link = RedisLink(
            speaker.reactor, find, lambda: speaker.for_messages(self._message), self._subscribe_all
        )

    def subscribe(self, channel: str, listener: Listener) -> Callable[[], None]:
        """Call `listener` with each message; returns what ends it."""
        listeners = self._listeners.setdefault(channel, [])
        listeners.append(listener)
        if len(listeners) == 1:
            self._tell("SUBSCRIBE", channel)

        def end() -> None:
            if listener in listeners:
                listeners.remove(listener)
                if not listeners and self._listeners.pop(channel, None) is not None:
                    self._tell("UNSUBSCRIBE", channel)

        return end

    async def _subscribe_all(self, protocol: Any) -> None:
        await self._speaker.sign_in(protocol)
        for channel in list(self._listeners):
            protocol.execute_command("SUBSCRIBE", channel).addErrback(lambda _: None)

    def _tell(self, command: str, channel: str) -> None:
        connection = self.link.connection
        if connection is not None:
            connection.execute_command(command, channel).addErrback(lambda _: None)

    def _message(self, pattern: Any, channel: bytes, message: bytes) -> None:
        for listener in list(self._listeners.get(channel.decode(), ())):
            try:
                listener(message)
            except Exception:
                self._log.failure("a listener on {channel} failed", channel=channel)
