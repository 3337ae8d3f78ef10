"""Whose fault it is: the switch's (`EslPeerError`) or our own (`EslUsageError`)."""

from __future__ import annotations

from nizam.errors import InternalError, NizamError


class EslPeerError(NizamError):
    """FreeSWITCH sent what the protocol does not allow.

    Nothing after such bytes can be trusted: a stalled reader gets truncated frames followed by
    new ones. The connection has to be closed, and what was missed fetched again.
    """

    code = "switch_protocol_error"
    status = 502
    title = "The switch sent something that is not understood"
    retryable = True


class EslUsageError(InternalError):
    """The caller asked for something that must never reach the wire, such as a line break
    inside a command. A bug on our side; nothing was sent."""
