"""Why a stream ends, as the close codes of WebSocket (RFC 6455, section 7.4) say it.

Those below 3000 are registered with IANA, those from 4000 on are ours. The last two digits of ours
are those of the HTTP status that says the same.
"""

from __future__ import annotations

from enum import IntEnum


class Close(IntEnum):
    """What a client is told when the server ends its stream."""

    RESTART = 1012
    """The instance stops: connect again after a random pause, with the last cursor."""
    TRY_LATER = 1013
    """The instance cannot serve now: connect again after a pause."""
    SIGNED_OUT = 4001
    """The key, session or token does not hold any more."""
    FORBIDDEN = 4003
    """It may not read the events of this tenant any more, or the tenant is suspended or gone."""
    TOO_SLOW = 4008
    """Nothing was read for a minute, or no pong came for that long."""
    TOO_MANY_MESSAGES = 4029
    """The client sends more than anybody needs to."""

    @property
    def reason(self) -> str:
        """In words, at most 123 bytes."""
        return _REASONS[self]


_REASONS = {
    Close.RESTART: "the instance stops: connect again after a random pause, with your last cursor",
    Close.TRY_LATER: "connect again after a pause",
    Close.SIGNED_OUT: "the key, session or token does not hold any more",
    Close.FORBIDDEN: "the events of this tenant may not be read any more",
    Close.TOO_SLOW: "nothing was read for too long: connect again with your last cursor",
    Close.TOO_MANY_MESSAGES: "too many messages",
}
