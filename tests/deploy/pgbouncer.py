"""PgBouncer as a process, with the configuration that deploy/ ships."""

from __future__ import annotations

import contextlib
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import attrs
import psycopg2

from nizam.embedded.account import account_for, command_prefix
from nizam.embedded.process import ServerProcess, free_port
from tests.certificates import Authority
from tests.deploy.files import DEPLOY, tool
from tests.servers import Primary

_SHIPPED = DEPLOY / "pgbouncer" / "pgbouncer.ini"


@attrs.frozen
class Bouncer:
    """Where it listens, and what it is in front of."""

    port: int
    server: Primary
    authority: Authority

    def settings(self) -> dict[str, str]:
        """Those with which the daemon goes through it, and past it."""
        return self.server.settings() | {
            "DB_HOST": f"127.0.0.1:{self.port}",
            "DB_DIRECT_HOST": f"127.0.0.1:{self.server.port}",
            "DB_SSLMODE": "verify-full",
            "DB_SSLROOTCERT": str(self.authority.file),
        }

    def ask(self, command: str) -> list[dict[str, object]]:
        """The rows that its console answers to SHOW STATS and the like."""
        parameters = urlencode({"sslmode": "require"})
        connection = psycopg2.connect(
            f"postgresql://nizam:{self.server.password}@127.0.0.1:{self.port}/pgbouncer?{parameters}"
        )
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(command)
                names = [it.name for it in cursor.description or ()]
                return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        finally:
            connection.close()


@contextlib.contextmanager
def bouncer(folder: Path, server: Primary, authority: Authority) -> Iterator[Bouncer]:
    """Run it in front of a server whose certificate the authority has signed."""
    program = tool("pgbouncer", "pgbouncer")
    folder.mkdir(parents=True)
    port = free_port()
    shipped = _SHIPPED.read_text()
    for old, new in {
        "postgres.example.com port=5432": f"127.0.0.1 port={server.port}",
        "listen_port = 6432": f"listen_port = {port}",
        "listen_addr = *": "listen_addr = 127.0.0.1",
        "/etc/pgbouncer": str(folder),
    }.items():
        assert old in shipped, old
        shipped = shipped.replace(old, new)
    configuration = folder / "pgbouncer.ini"
    configuration.write_text(shipped)
    (folder / "userlist.txt").write_text(f'"nizam" "{server.password}"\n')
    authority.issue(folder, "127.0.0.1")
    account = account_for(folder)
    for path in (folder, *folder.iterdir()):
        account.own(path)
    process = ServerProcess("PgBouncer", folder / "pgbouncer.log", ((signal.SIGINT, 2.0),))
    prefix = command_prefix(account, [configuration], end_signal="TERM")
    process.start(
        [*prefix, program, str(configuration)],
        cwd=Path("/"),
        environment={"PATH": "/usr/bin:/bin"},
        ready=lambda: _listens(port),
        seconds=10.0,
    )
    try:
        yield Bouncer(port, server, authority)
    finally:
        process.stop()


def _listens(port: int) -> bool:
    time.sleep(0.02)
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
