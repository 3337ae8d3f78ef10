"""A server as a child process: started in a session of its own, watched until ready, stopped.

A process session of its own keeps the terminal's Ctrl-C away from the server: the daemon gets it
first and stops the server when it has finished with it.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import cycle, islice
from pathlib import Path

from nizam.errors import NizamError

LOOPBACK = "127.0.0.1"
PORTS = range(20_000, 32_000)
"""Below the ports that Linux gives to connections unless told otherwise (ip_local_port_range)."""
_FIRST = secrets.randbelow(len(PORTS))
# From a random one on: other processes, which begin elsewhere, are seldom where this one is.
_CANDIDATES: Iterator[int] = cycle((*PORTS[_FIRST:], *PORTS[:_FIRST]))
_POLL_SECONDS = 0.02
_LOG_TAIL_BYTES = 4096


class EmbeddedServerError(NizamError):
    """A private server cannot be found, started or reached; the detail holds its last words."""

    code = "embedded_server"
    status = 503
    title = "A private server does not run"


class ServerProcess:
    """One child process with a log file; `start` returns when it is ready.

    `ready` is asked repeatedly and answers whether the server serves; `stop_signals` are sent one
    after the other, each given its number of seconds, before SIGKILL ends the whole session.
    """

    def __init__(
        self,
        name: str,
        log_file: Path,
        stop_signals: Sequence[tuple[signal.Signals, float]],
    ) -> None:
        self._name = name
        self._log_file = log_file
        self._stop_signals = stop_signals
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process id of the running server, None when it does not run."""
        if self._child is None or self._child.poll() is not None:
            return None
        return self._child.pid

    def start(
        self,
        command: Sequence[str],
        *,
        cwd: Path,
        environment: Mapping[str, str],
        ready: Callable[[], bool],
        seconds: float,
    ) -> None:
        """Run `command` and wait up to `seconds` until `ready`.

        Raises EmbeddedServerError with the end of the log when the server ends or stays silent.
        """
        if self._log_file.exists():
            self._log_file.replace(self._log_file.with_suffix(".previous.log"))
        with self._log_file.open("wb") as log:
            self._child = subprocess.Popen(  # noqa: S603 - a program we looked up, no shell
                command,
                cwd=cwd,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + seconds
        while not ready():
            status = self._child.poll()
            if status is not None:
                self._child = None
                raise self._failure(f"ended with exit status {status} while starting")
            if time.monotonic() > deadline:
                self.stop()
                raise self._failure(f"was not ready within {seconds:g} s")
            time.sleep(_POLL_SECONDS)

    def stop(self) -> None:
        """End the server, gently first; does nothing when it does not run."""
        child, self._child = self._child, None
        if child is None:
            return
        for number, seconds in self._stop_signals:
            child.send_signal(number)
            try:
                child.wait(seconds)
            except subprocess.TimeoutExpired:
                continue
            return
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()

    def _failure(self, problem: str) -> EmbeddedServerError:
        tail = self._log_file.read_bytes()[-_LOG_TAIL_BYTES:].decode(errors="replace").strip()
        return EmbeddedServerError(
            f"{self._name} {problem}; the end of its log {self._log_file}:\n{tail}"
        )


def end_orphan(pid_file: Path, folder: Path, stop_signal: signal.Signals, seconds: float) -> None:
    """Clear away what a server that lost its parent left in `folder`.

    If the process named in the first line of `pid_file` still works in `folder` it is ended, with
    SIGKILL after `seconds`; if it is gone, or its number belongs to something else now, only the
    stale file is removed.
    """
    try:
        pid = int(pid_file.read_text().split()[0])
    except (FileNotFoundError, ValueError, IndexError):
        pid_file.unlink(missing_ok=True)
        return
    if _works_in(pid, folder):
        _send(pid, stop_signal)
        deadline = time.monotonic() + seconds
        while _works_in(pid, folder):
            if time.monotonic() > deadline:
                _send(pid, signal.SIGKILL)
            time.sleep(_POLL_SECONDS)
    pid_file.unlink(missing_ok=True)


def free_port() -> int:
    """A TCP port on loopback that nobody listens on at this moment.

    It is none of those that the system gives to connections, or one of them could take it before
    whoever asked listens there; and it is not given again before all others were.
    """
    for port in islice(_CANDIDATES, len(PORTS)):
        with socket.socket() as probe, suppress(OSError):
            probe.bind((LOOPBACK, port))
            return port
    raise EmbeddedServerError(f"no port from {PORTS.start} to {PORTS.stop - 1} is free")


def kept_secret(path: Path) -> str:
    """The secret in `path`; made and written with mode 600 the first time."""
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        secret = secrets.token_urlsafe(24)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secret + "\n")
        return secret


def _works_in(pid: int, folder: Path) -> bool:
    try:
        return Path(f"/proc/{pid}/cwd").samefile(folder)
    except OSError:
        return False


def _send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
