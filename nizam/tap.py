"""From the command line to a running daemon: the one place that puts the parts together."""

from __future__ import annotations

from twisted.application.service import IService

from nizam.options import Options

__all__ = ["Options", "makeService"]


def makeService(options: Options) -> IService:  # noqa: N802 - Twisted's name
    """The whole daemon as one service, from parsed options."""
    raise SystemExit("the parts of the daemon are not put together yet")
