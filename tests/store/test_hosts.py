"""A DSN may name several servers: the one that takes changes is found, whatever the others do."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

import psycopg2
import pytest
from twisted.internet import reactor

from nizam.embedded.process import free_port
from nizam.errors import DatabaseUnavailable
from nizam.store import hosts
from nizam.store.hosts import Hosts, explained, single_hosts
from nizam.store.pool import Pool
from tests.daemon.process import until


def with_servers(dsn: str, *addresses: str) -> str:
    """The DSN with these before its own server."""
    parts = urlsplit(dsn)
    user, _, own = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user}@{','.join([*addresses, own])}"))


@pytest.fixture
def silent() -> Iterator[str]:
    """An address that takes connections and never says anything, as a frozen server."""
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        it.listen(50)
        yield f"127.0.0.1:{it.getsockname()[1]}"


def test_each_server_gets_a_dsn_of_its_own() -> None:
    dsn = "postgresql://u:p%40@a:1,[::1]:2/db?sslmode=require&target_session_attrs=read-write"
    parsed = [psycopg2.extensions.parse_dsn(it) for it in single_hosts(dsn)]
    assert [(it["host"], it["port"]) for it in parsed] == [("a", "1"), ("::1", "2")]
    for it in parsed:
        assert (it["password"], it["sslmode"], it["target_session_attrs"]) == (
            "p@",
            "require",
            "read-write",
        )
    assert single_hosts("postgresql://u@a/db") == ("postgresql://u@a/db",)


@pytest.fixture
def refused() -> str:
    """An address where nobody listens."""
    return f"127.0.0.1:{free_port()}"


async def test_servers_that_refuse_or_stay_silent_are_passed_over(
    database: str, refused: str, silent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosts, "ONE_OF_SEVERAL_SECONDS", 0.2)
    servers = Hosts(with_servers(database, refused, silent))
    began = reactor.seconds()
    for _ in range(5):
        connection = await servers.connect(reactor, 5.0)
        assert (await connection.run("select 1")).rows == [(1,)]
        connection.close()
    # The one that took a connection is asked first from then on.
    assert reactor.seconds() - began < 0.8


async def test_what_each_server_said_is_told(refused: str) -> None:
    servers = Hosts(f"postgresql://u@{refused},{refused}/db")
    with pytest.raises(DatabaseUnavailable) as caught:
        await servers.connect(reactor, 1.0)
    assert caught.value.detail.count("Connection refused") == 2


async def test_one_read_only_answer_ends_every_connection_to_that_server(database: str) -> None:
    pool = Pool(reactor, database, size=3, name="test")
    await pool.start()
    assert await until(reactor, lambda: len(pool._connections._idle) == 3, 5.0, 0.01)
    before = set(pool._connections._all)
    for it in before:
        # As on a server that was demoted under its connections.
        await it.run("set default_transaction_read_only = on")
    with pytest.raises(DatabaseUnavailable, match="read-only transaction"):
        await pool.execute("update platform_state set revision = revision")
    assert await pool.execute("update platform_state set revision = revision") == 1
    assert await until(reactor, lambda: len(pool._connections._idle) == 3, 5.0, 0.01)
    assert not before & set(pool._connections._all)
    await pool.stop()


@pytest.mark.parametrize(
    ("reason", "setting"),
    [
        ('root certificate file "/x" does not exist', "DB_SSLROOTCERT"),
        ("SSL error: certificate verify failed", "DB_SSLROOTCERT"),
        ('server certificate for "a" does not match host name "b"', "DB_HOST"),
        ("server does not support SSL, but SSL was required", "DB_SSLMODE"),
        ('no pg_hba.conf entry for host "::1", user "x", no encryption', "DB_SSLMODE"),
        ('password authentication failed for user "x"', "DB_PASSWORD"),
        ("unsupported startup parameter: options", "DB_DIRECT_HOST"),
    ],
)
def test_a_refusal_names_the_setting(reason: str, setting: str) -> None:
    assert setting in explained(reason)
    assert explained("Connection refused") == "Connection refused"
