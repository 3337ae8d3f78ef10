"""`twistd nizam` as a process of its own, which can be killed; and freezing other processes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import treq
from twisted.internet.error import ConnectError, ConnectingCancelledError
from twisted.internet.task import deferLater
from twisted.web.client import Agent, ResponseFailed

REPOSITORY = Path(__file__).parent.parent.parent
ANSWER_SECONDS = 3.0


async def until(
    reactor: Any, condition: Callable[[], Any], seconds: float, pause: float = 0.05
) -> bool:
    """Wait until `condition` (plain or awaitable) holds; False when it does not in time."""
    end = reactor.seconds() + seconds
    while True:
        holds = condition()
        if isinstance(holds, Awaitable):
            holds = await holds
        if holds:
            return True
        if reactor.seconds() >= end:
            return False
        await deferLater(reactor, pause)


_running: set[subprocess.Popen[bytes]] = set()


def end_all() -> None:
    """End every daemon that a test has left behind, as one does that ran out of time."""
    for child in list(_running):
        _end(child)


def _end(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    child.wait()
    _running.discard(child)


class DaemonProcess:
    """One daemon with these environment variables; its log is appended to `log`."""

    def __init__(self, reactor: Any, environment: Mapping[str, str], log: Path) -> None:
        self._reactor = reactor
        self._environment = dict(environment)
        self._log = log
        self._child: subprocess.Popen[bytes] | None = None
        self._agent = Agent(reactor, connectTimeout=1.0)  # type: ignore[no-untyped-call]
        host = environment.get("NIZAM_HTTP_HOST", "127.0.0.1")
        self.base = f"http://{host}:{environment['NIZAM_HTTP_PORT']}"

    @property
    def pid(self) -> int | None:
        """Its process id; None when it was ended."""
        return None if self._child is None else self._child.pid

    @property
    def ended(self) -> bool:
        """Whether it has ended although nobody ended it."""
        return self._child is not None and self._child.poll() is not None

    def another(self, http_port: int, log: Path) -> DaemonProcess:
        """One more instance with the same settings, not started yet."""
        environment = self._environment | {"NIZAM_HTTP_PORT": str(http_port)}
        return DaemonProcess(self._reactor, environment, log)

    def change(self, environment: Mapping[str, str]) -> None:
        """Have other settings from the next start on."""
        self._environment |= environment

    def start(self) -> None:
        """Start it, without waiting for anything."""
        with self._log.open("ab") as log:
            self._child = subprocess.Popen(
                [
                    sys.executable,
                    "-c",
                    "from twisted.scripts.twistd import run; run()",
                    "--nodaemon",
                    "--pidfile=",
                    "nizam",
                ],
                env={"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY)} | self._environment,
                cwd=self._log.parent,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        _running.add(self._child)

    def kill(self) -> None:
        """End it at once, without a chance to save anything (SIGKILL)."""
        if self._child is not None:
            _end(self._child)
            self._child = None

    async def terminate(self, seconds: float = 30.0) -> int:
        """End it gracefully (SIGTERM); its exit status. Fails when that takes longer."""
        child = self._child
        assert child is not None
        child.terminate()
        ended = await until(self._reactor, lambda: child.poll() is not None, seconds)
        assert ended, f"the daemon did not stop within {seconds:g} s\n{self.log_tail()}"
        _running.discard(child)
        self._child = None
        return child.returncode

    async def ready(self, seconds: float = 20.0) -> None:
        """Wait until /readyz answers 200; one that does not in time is killed."""

        async def asked() -> bool:
            assert self._child is None or self._child.poll() is None, (
                f"the daemon ended\n{self.log_tail()}"
            )
            try:
                return (await self.get("/readyz"))[0] == 200
            except (ConnectError, ConnectingCancelledError, ResponseFailed, TimeoutError):
                return False

        if not await until(self._reactor, asked, seconds):
            # Whoever waited for it has not come to where it is ended.
            self.kill()
            raise AssertionError(f"not ready within {seconds:g} s\n{self.log_tail()}")

    async def get(self, path: str) -> tuple[int, bytes]:
        """Status and body of a GET without credentials."""
        return await self.request("GET", path)

    async def request(self, method: str, path: str, **more: Any) -> tuple[int, bytes]:
        """Status and body of the answer to any request; `more` is treq's."""
        response = await treq.request(
            method, self.base + path, agent=self._agent, timeout=ANSWER_SECONDS, **more
        )
        body = await response.content().addTimeout(ANSWER_SECONDS, self._reactor)
        return response.code, body

    def log_tail(self, size: int = 6000) -> str:
        """The end of its log."""
        return self._log.read_bytes()[-size:].decode(errors="replace")

    def logged(self, *levels: str) -> list[str]:
        """What its log says at these levels, such as `error`."""
        found = []
        for line in self._log.read_text(errors="replace").splitlines():
            entry = json.loads(line) if line.startswith("{") else {"level": "error", "event": line}
            if entry["level"] in levels:
                found.append(f"{entry['event']} {entry.get('traceback', '')}".strip())
        return found


@contextlib.contextmanager
def frozen(pid: int | None) -> Iterator[None]:
    """Stop a server and everything that it started, as a machine that hangs; then let it go on."""
    assert pid is not None
    # The parent first, so that it starts nothing more.
    os.kill(pid, signal.SIGSTOP)
    stopped = [pid, *descendants(pid)]
    try:
        for child in stopped[1:]:
            _signal(child, signal.SIGSTOP)
        yield
    finally:
        for process in reversed(stopped):
            _signal(process, signal.SIGCONT)


def descendants(pid: int) -> list[int]:
    """The processes that it started, and those that they did."""
    found = []
    # A thread, or all of the process, may end while it is looked at.
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                for child in map(int, (task / "children").read_text().split()):
                    found += [child, *descendants(child)]
    return found


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
