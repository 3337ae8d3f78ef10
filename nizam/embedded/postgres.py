"""A private PostgreSQL: made with initdb once, kept in its folder, reached by password on loopback.

The role `nizam` is its superuser and owns the database `nizam`.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import psycopg2

from nizam.embedded.account import Account, account_for, account_name, command_prefix
from nizam.embedded.binaries import MINIMUM_POSTGRES, PostgresPrograms, find_postgres
from nizam.embedded.private_server import PrivateServer
from nizam.embedded.process import (
    EmbeddedServerError,
    end_orphan,
    free_port,
    kept_secret,
)

_START_SECONDS = 60.0  # long enough to replay the write-ahead log after a crash
_INITDB_SECONDS = 120.0
_PORT_ATTEMPTS = 3
# Fast shutdown, then immediate, which costs a replay at the next start but loses nothing.
_STOP_SIGNALS = ((signal.SIGINT, 3.0), (signal.SIGQUIT, 0.5))
# What is written is in the kernel's hands before a commit returns: it outlives SIGKILL.
_UNSAFE_BUT_FAST = ("fsync=off", "full_page_writes=off")
_ENVIRONMENT = {"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin", "TZ": "UTC"}


class PrivatePostgres(PrivateServer):
    """A PostgreSQL server whose whole state is in `folder`.

    `machine=False` ignores the machine's own programs; `durable=False` gives up safety against
    power loss for speed, for tests and scratch servers only. `options` are settings of the server,
    `name=value`. A new one is not older than version `at_least`. Usable as a context manager.
    """

    def __init__(
        self,
        folder: Path,
        *,
        machine: bool = True,
        durable: bool = True,
        options: Sequence[str] = (),
        at_least: int = MINIMUM_POSTGRES,
    ) -> None:
        super().__init__("PostgreSQL", folder, "postgres.log", _STOP_SIGNALS)
        self.username = "nizam"
        self.database = "nizam"
        self._machine = machine
        self._durable = durable
        self._options = tuple(options)
        self._at_least = at_least

    def dsn(self, database: str | None = None) -> str:
        """A libpq URI for `database`, by default our own one."""
        name = quote(database or self.database, safe="")
        password = quote(self._password, safe="")
        return f"postgresql://{self.username}:{password}@{self.host}:{self.port}/{name}"

    def start(self) -> None:
        """Make the cluster if there is none, start the server, wait until it serves.

        Raises EmbeddedServerError when no fitting PostgreSQL is there or it does not come up.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        account = account_for(self._data)
        programs = find_postgres(
            machine=self._machine, major=self._major_of_data(), at_least=self._at_least
        )
        self._version = programs.version
        self._password = kept_secret(self._folder / "password")
        prefix = command_prefix(account, [self._data, programs.folder], end_signal="INT")
        end_orphan(self._data / "postmaster.pid", self._data, signal.SIGINT, seconds=10)
        if not (self._data / "PG_VERSION").exists():
            self._make_cluster(programs, account, prefix)
        self._run(programs, prefix)
        self._make_database()

    def settings(self) -> dict[str, str]:
        """The settings with which the daemon and the commands find it, by the names that they
        have in the environment."""
        return {
            "DB_HOST": self.host,
            "DB_PORT": str(self.port),
            "DB_DATABASE": self.database,
            "DB_USERNAME": self.username,
            "DB_PASSWORD": self.password,
        }

    def _major_of_data(self) -> int | None:
        try:
            return int((self._data / "PG_VERSION").read_text())
        except FileNotFoundError:
            return None

    def _make_cluster(
        self, programs: PostgresPrograms, account: Account, prefix: list[str]
    ) -> None:
        # Made aside and renamed when complete: an attempt cut short is never taken for a cluster.
        unfinished = self._folder / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        account.own(unfinished)
        password_file = self._folder / "initdb-password"
        password_file.write_text(self._password + "\n")
        password_file.chmod(0o600)
        account.own(password_file)
        command = [*prefix, str(programs.initdb), "--pgdata", str(unfinished)]
        command += ["--username", self.username, "--pwfile", str(password_file)]
        command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8"]
        command += ["--no-instructions"] if self._durable else ["--no-instructions", "--no-sync"]
        try:
            done = subprocess.run(  # noqa: S603 - a program we looked up, no shell
                command,
                cwd=unfinished,
                env=_ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=_INITDB_SECONDS,
                check=False,
            )
        finally:
            password_file.unlink()
        if done.returncode != 0:
            said = done.stdout.decode(errors="replace").strip()
            raise EmbeddedServerError(
                f"initdb of PostgreSQL {programs.version} failed in {unfinished} "
                f"as {account_name(account)}:\n{said}"
            )
        unfinished.rename(self._data)

    def _run(self, programs: PostgresPrograms, prefix: list[str]) -> None:
        for attempt in range(1, _PORT_ATTEMPTS + 1):
            # Where it was before, so that those who knew it find it again.
            self.port = self.port if self.port and attempt == 1 else free_port()
            try:
                self._process.start(
                    [*prefix, *self._command(programs)],
                    cwd=self._data,
                    environment=_ENVIRONMENT,
                    ready=self._is_ready,
                    seconds=_START_SECONDS,
                )
            except EmbeddedServerError as error:
                # Somebody else may take the port between our look and the server's bind.
                if attempt == _PORT_ATTEMPTS or "Address already in use" not in error.detail:
                    raise
            else:
                return

    def _command(self, programs: PostgresPrograms) -> list[str]:
        options = [
            f"listen_addresses={self.host}",
            f"port={self.port}",
            "unix_socket_directories=",
            "timezone=UTC",
            "log_timezone=UTC",
            "max_connections=100",
            *(() if self._durable else _UNSAFE_BUT_FAST),
            *self._options,
        ]
        command = [str(programs.postgres), "-D", str(self._data)]
        return command + [part for option in options for part in ("-c", option)]

    def _is_ready(self) -> bool:
        # Line 8 of the lock file is the postmaster's own word on its state.
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[7].strip() in ("ready", "standby")

    def _make_database(self) -> None:
        connection = psycopg2.connect(self.dsn("postgres"), connect_timeout=10)
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("select 1 from pg_database where datname = %s", (self.database,))
                if cursor.fetchone() is None:
                    cursor.execute(f'create database "{self.database}"')
        finally:
            connection.close()
