"""What systemd hears, through a real datagram socket."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from twisted.internet.task import Clock

from nizam.ops.notify import SystemdNotifier


class Systemd:
    """The receiving end."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.setblocking(False)
        self.environment = {"NOTIFY_SOCKET": str(path)}

    def heard(self) -> list[str]:
        found = []
        while True:
            try:
                found.append(self.socket.recv(4096).decode())
            except BlockingIOError:
                return found


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Systemd]:
    receiver = Systemd(tmp_path / "notify")
    yield receiver
    receiver.socket.close()


def test_ready_status_and_stopping_are_said(systemd: Systemd) -> None:
    notifier = SystemdNotifier(Clock(), systemd.environment)
    notifier.startService()  # type: ignore[no-untyped-call]
    notifier.ready()
    notifier.status("two\nlines")
    notifier.stopService()
    assert systemd.heard() == ["READY=1", "STATUS=two lines", "STOPPING=1"]


def test_the_watchdog_is_fed_at_half_its_interval_until_the_stop(systemd: Systemd) -> None:
    clock = Clock()
    environment = systemd.environment | {
        "WATCHDOG_USEC": "10000000",
        "WATCHDOG_PID": str(os.getpid()),
    }
    notifier = SystemdNotifier(clock, environment)
    notifier.ready()
    clock.pump([5.0, 5.0])
    assert systemd.heard() == ["READY=1", "WATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1"]
    notifier.stopService()
    clock.advance(60)
    assert systemd.heard() == ["STOPPING=1"]


def test_the_watchdog_is_not_fed_while_a_part_stands_still(systemd: Systemd) -> None:
    clock, well = Clock(), [True]
    environment = systemd.environment | {"WATCHDOG_USEC": "10000000"}
    notifier = SystemdNotifier(clock, environment, lambda: well[0])
    notifier.ready()
    well[0] = False
    clock.pump([5.0, 5.0, 5.0])
    assert systemd.heard() == ["READY=1", "WATCHDOG=1"]
    well[0] = True
    clock.advance(5.0)
    assert systemd.heard() == ["WATCHDOG=1"]
    notifier.stopService()


@pytest.mark.parametrize("other", [{"WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "soon"}])
def test_a_watchdog_of_another_process_is_not_fed(systemd: Systemd, other: dict[str, str]) -> None:
    clock = Clock()
    environment = systemd.environment | {"WATCHDOG_USEC": "10000000"} | other
    SystemdNotifier(clock, environment).ready()
    clock.advance(60)
    assert systemd.heard() == ["READY=1"]


def test_without_systemd_or_with_one_that_is_gone_nothing_happens() -> None:
    for environment in ({}, {"NOTIFY_SOCKET": "/nowhere/notify"}, {"NOTIFY_SOCKET": "@nowhere"}):
        SystemdNotifier(Clock(), environment).ready()
