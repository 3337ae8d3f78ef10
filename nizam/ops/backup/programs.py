"""The programs of PostgreSQL that dump and restore: found by version, run, watched, ended.

`pg_dump` must not be older than its server, and `pg_restore` not older than the `pg_dump` that made
the archive. They are looked for where Debian keeps each version, in PATH, and in the wheel of the
`embedded` extra.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import attrs
from psycopg2.extensions import make_dsn, parse_dsn

from nizam.embedded.binaries import postgres_folders
from nizam.ops.backup.errors import BackupError, PeerUnreachable

POLL_SECONDS: Final = 0.1
ALIVE_SECONDS: Final = 30.0
SILENT_SECONDS: Final = 180.0
"""How long a server may not answer before what waits for it is ended."""
END_SECONDS: Final = 5.0
_VERSION_SECONDS: Final = 10
_SAID_BYTES: Final = 4096


@attrs.frozen
class Program:
    """One installed program and its version."""

    path: Path
    version: str

    @property
    def major(self) -> int:
        """The first part of the version."""
        return int(self.version.split(".")[0])


def find_program(name: str, major: int, why: str) -> Program:
    """`pg_dump` or `pg_restore` of version `major` if it is here, else the lowest above it.

    Raises BackupError, which says what was found, when all are older; `why` is what needs it.
    """
    found = list(_programs(name))
    fit = sorted((it for it in found if it.major >= major), key=lambda it: it.major)
    if fit:
        return fit[0]
    seen = ", ".join(f"{it.version} at {it.path}" for it in found) or "none"
    raise BackupError(
        f"{why}, and {name} must not be older: found {seen}; "
        f"install version {major} (on Debian and Ubuntu: postgresql-client-{major})"
    )


def _programs(name: str) -> Iterator[Program]:
    folders = postgres_folders()
    paths = [it / name for it in folders]
    if on_path := shutil.which(name):
        paths.append(Path(on_path))
    for path in dict.fromkeys(paths):
        if not os.access(path, os.X_OK):
            continue
        try:
            done = subprocess.run(  # noqa: S603 - a program we looked up, no shell
                [path, "--version"], capture_output=True, timeout=_VERSION_SECONDS, check=True
            )
        except (OSError, subprocess.SubprocessError):
            continue
        if match := re.search(rb"\(PostgreSQL\) (\d+(?:\.\d+)*)", done.stdout):
            yield Program(path, match.group(1).decode())


def connection_of(dsn: str, application: str) -> tuple[str, dict[str, str]]:
    """How a program is told of a database: connection parameters without the password, which
    would be in the list of processes, and the environment that holds it."""
    parameters = {**parse_dsn(dsn), "application_name": application}
    password = parameters.pop("password", None)
    environment = {
        name: value
        for name, value in os.environ.items()
        if name in ("PATH", "HOME", "TMPDIR") or name.startswith("PGSSL")
    }
    environment |= {"LC_ALL": "C.UTF-8", "PGTZ": "UTC"}
    if password is not None:
        environment["PGPASSWORD"] = password
    return make_dsn(**parameters), environment


def run(
    command: Sequence[str],
    environment: dict[str, str],
    alive: Callable[[], bool],
    tick: Callable[[], None],
) -> None:
    """Run a program to its end. `tick` is called ten times a second; `alive` now and then, to ask
    whether the server that the program works on still answers.

    Raises BackupError with what the program said when it fails, PeerUnreachable when the server
    does not answer for three minutes. Whatever interrupts this ends the program too.
    """
    name = Path(command[0]).name
    with tempfile.TemporaryFile() as said:
        child = subprocess.Popen(  # noqa: S603 - a program we looked up, no shell
            command, env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said
        )
        try:
            _watch(child, name, alive, tick)
        finally:
            _end(child)
        if child.returncode == 0:
            return
        said.seek(max(0, said.tell() - _SAID_BYTES))
        text = said.read().decode(errors="replace").strip()
    if child.returncode < 0:
        number = -child.returncode
        more = ": out of memory? journalctl -k says" if number == signal.SIGKILL else ""
        raise BackupError(f"{name} was ended by signal {number}{more}; {text}".rstrip("; "))
    if "No space left on device" in text:
        raise BackupError(f"the disk is full: {text}")
    if any(it in text for it in _GONE):
        raise PeerUnreachable(f"{name} has lost PostgreSQL: {text}")
    raise BackupError(f"{name} failed with exit status {child.returncode}: {text}")


_GONE: Final = (
    "server closed the connection",
    "terminating connection",
    "could not connect",
    "connection to server at",
    "Connection refused",
    "no connection to the server",
)


def _watch(
    child: subprocess.Popen[bytes],
    name: str,
    alive: Callable[[], bool],
    tick: Callable[[], None],
) -> None:
    asked = answered = time.monotonic()
    while True:
        try:
            child.wait(POLL_SECONDS)
        except subprocess.TimeoutExpired:
            pass
        else:
            return
        tick()
        now = time.monotonic()
        if now - asked >= ALIVE_SECONDS:
            asked = now
            if alive():
                answered = time.monotonic()
            elif now - answered >= SILENT_SECONDS:
                raise PeerUnreachable(
                    f"PostgreSQL has not answered for {SILENT_SECONDS:.0f} s; {name} was ended"
                )


def _end(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
