"""The seam between the webhook worker and the network: what may be asked of an egress agent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import attrs
from zope.interface import Interface


class EgressError(Exception):
    """No answer: `reason` says why, in words fit for the tenant to read."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class TargetRefused(EgressError):
    """The target is not an address that may be connected to; no connection was made."""


@attrs.frozen
class Reply:
    """An answer: `head` is the beginning of its body, at most 4 KiB unless more was asked for.
    `complete` says whether that is all of the body."""

    status: int
    retry_after: str | None
    head: bytes
    complete: bool = True


class IEgressAgent(Interface):
    """Sends one request to an address that a tenant chose."""

    async def post(url: str, headers: Mapping[str, str], body: bytes, timeout: float) -> Reply:
        """The answer, of whatever status, within `timeout` seconds.

        Raises TargetRefused, or EgressError when there is no answer.
        """

    async def request(
        method: Literal["GET", "POST"],
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        timeout: float,
        keep: int = 4096,
    ) -> Reply:
        """As `post`, with a method, and `keep` bytes of the answer's body, of at most 64 KiB that
        are read."""

    async def close() -> None:
        """Close the connections that are kept for reuse."""
