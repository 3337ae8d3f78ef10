"""Telling systemd how we are: ready, stopping, alive (sd_notify(3)).

Does nothing when the process was not started by systemd with Type=notify.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger


class SystemdNotifier(Service):
    """Says READY when told, WATCHDOG at half of systemd's interval while `well` says so, STOPPING
    when it stops. A process that is not well for so long is killed by systemd and started again.

    Make it the last child of the top service: `stopService` of the children before it is then
    already under way, and the watchdog goes on until the process ends.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: IReactorTime,
        environment: Mapping[str, str],
        well: Callable[[], bool] = lambda: True,
    ) -> None:
        self._reactor = reactor
        self._well = well
        self._address = environment.get("NOTIFY_SOCKET", "")
        self._watchdog_seconds = _watchdog_seconds(environment)
        self._beat: LoopingCall | None = None

    def ready(self) -> None:
        """The process serves: every listener is open and the first snapshot is loaded."""
        self._send("READY=1")
        if self._watchdog_seconds and self._beat is None:
            self._beat = LoopingCall(self._feed)
            self._beat.clock = self._reactor
            self._beat.start(self._watchdog_seconds / 2)

    def status(self, text: str) -> None:
        """One line that `systemctl status` shows."""
        self._send(f"STATUS={' '.join(text.split())}")

    def stopService(self) -> Deferred[None] | None:  # noqa: N802 - Twisted's name
        """Say that the process is on its way out."""
        super().stopService()  # type: ignore[no-untyped-call]
        self._send("STOPPING=1")
        if self._beat is not None:
            self._beat.stop()
            self._beat = None
        return None

    def _feed(self) -> None:
        if self._well():
            self._send("WATCHDOG=1")
        else:
            self._log.critical("a part of the process stands still: systemd will start it again")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        address = self._address
        if address.startswith("@"):
            address = "\0" + address[1:]
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.setblocking(False)
                sender.sendto(message.encode(), address)
        except OSError as error:
            self._log.warn("cannot tell systemd {message}: {error}", message=message, error=error)


def _watchdog_seconds(environment: Mapping[str, str]) -> float:
    """The interval that systemd expects a sign within, 0 if none or if it is another process's."""
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return 0.0
    microseconds = environment.get("WATCHDOG_USEC", "")
    return int(microseconds) / 1_000_000 if microseconds.isdecimal() else 0.0
