"""From the command line to a running daemon: the one place that puts the parts together."""

from __future__ import annotations

from typing import Any

from twisted.application.service import IService

from nizam.options import Options
from nizam.settings import Settings

__all__ = ["Options", "build_daemon", "makeService"]


def makeService(options: Options) -> IService:  # noqa: N802 - Twisted's name
    """The whole daemon as one service, from parsed options."""
    from twisted.internet import reactor

    return build_daemon(options.loaded.settings, reactor)


def build_daemon(settings: Settings, reactor: Any) -> IService:
    """The daemon with the roles that the settings name; it serves once it was started."""
    raise SystemExit("the parts of the daemon are not put together yet")
