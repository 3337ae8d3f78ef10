"""PostgreSQL as operators run it: with the files of deploy/postgresql, TLS, replicas, promotion."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg2

from nizam.embedded.account import account_for, command_prefix
from nizam.embedded.binaries import PostgresPrograms, find_postgres
from nizam.embedded.postgres import PrivatePostgres
from tests.certificates import Authority

DEPLOY = Path(__file__).parent.parent / "deploy" / "postgresql"
_SMALL = ("shared_buffers=64MB", "min_wal_size=32MB", "autovacuum_naptime=60s")
_TLS = "/etc/postgresql/tls"


def program(folder: Path, name: str) -> Path:
    """One of PostgreSQL's programs, beside its server's."""
    return find_postgres().folder / name


class Primary(PrivatePostgres):
    """A server with the shipped settings. With an `authority` it takes TLS only, as the shipped
    pg_hba.conf has it."""

    def __init__(
        self,
        folder: Path,
        *,
        authority: Authority | None = None,
        options: Sequence[str] = (),
    ) -> None:
        super().__init__(folder, durable=False, options=[*_SMALL, *options])
        self._authority = authority

    def _run(self, programs: PostgresPrograms, prefix: list[str]) -> None:
        shipped = self._data / "shipped"
        if not shipped.exists():
            shipped.mkdir()
            self._configure(shipped)
        super()._run(programs, prefix)

    def _configure(self, shipped: Path) -> None:
        account = account_for(self._data)
        self._include("postgresql.conf")
        if self._authority is not None:
            rules = (DEPLOY / "pg_hba.conf").read_text().replace("10.0.0.0/8", "127.0.0.1/32")
            (self._data / "pg_hba.conf").write_text(rules)
            self._authority.issue(shipped, "postgres.example.com", "127.0.0.1")
        account.own(shipped)
        for path in shipped.iterdir():
            account.own(path)
            path.chmod(0o600)

    def _include(self, name: str) -> None:
        text = (DEPLOY / name).read_text().replace(_TLS, str(self._data / "shipped"))
        if self._authority is None:
            text = text.replace("ssl = on", "ssl = off")
        (self._data / "shipped" / name).write_text(text)
        account_for(self._data).own(self._data / "shipped" / name)
        with (self._data / "postgresql.conf").open("a") as main:
            # Relative, so that a replica loads its own copy.
            main.write(f"include = 'shipped/{name}'\n")

    def load(self, name: str) -> None:
        """Have one more of the shipped files in force."""
        self._include(name)
        self.ask("select pg_reload_conf()")

    def ask(self, sql: str) -> Any:
        """The first value of the answer to a statement, which is committed."""
        connection = psycopg2.connect(self.dsn(), connect_timeout=10)
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(sql)
                row = cursor.fetchone() if cursor.description else None
                return row[0] if row else None
        finally:
            connection.close()

    def kill(self) -> None:
        """End it at once, as a machine that loses its power."""
        assert self.pid is not None
        os.killpg(self.pid, signal.SIGKILL)
        self._process.stop()


class Replica(Primary):
    """A streaming replica of another server, made with pg_basebackup."""

    def __init__(self, folder: Path, of: Primary, *, options: Sequence[str] = ()) -> None:
        super().__init__(folder, options=options)
        self._of = of

    def start(self) -> None:
        """Copy the other one if this was not done yet, and follow it."""
        if not self._data.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            (self._folder / "password").write_text(self._of.password)
            account = account_for(self._data)
            self._data.mkdir(mode=0o700)
            account.own(self._data)
            prefix = command_prefix(account, [self._data], end_signal="TERM")
            copy = [str(program(self._folder, "pg_basebackup")), "-d", self._of.dsn("postgres")]
            copy += ["-D", str(self._data), "-R", "-X", "stream", "-c", "fast", "--no-sync"]
            subprocess.run([*prefix, *copy], check=True, timeout=60, cwd="/", capture_output=True)
        super().start()

    def follow(self, primary: Primary) -> None:
        """Follow another primary, as after a promotion."""
        where = primary.dsn("postgres").replace("'", "''")
        self.ask(f"alter system set primary_conninfo = '{where}'")
        self.ask("select pg_reload_conf()")

    @property
    def received(self) -> int:
        """How much of the write-ahead log it has."""
        return int(self.ask("select (pg_last_wal_receive_lsn() - '0/0')::bigint"))

    def promote(self) -> None:
        """Make it a primary."""
        assert self.ask("select pg_promote(true, 30)")
