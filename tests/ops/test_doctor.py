"""The doctor against real servers and the simulated switch: what is well, unfit, unreachable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import psycopg2
import pytest
from twisted.internet import reactor
from twisted.internet.threads import deferToThread

from nizam.embedded.postgres import PrivatePostgres
from nizam.embedded.redis import PrivateRedis
from nizam.ops import doctor
from nizam.ops.doctor import Finding, Verdict, examine
from nizam.settings import load
from nizam.sim.switch import SimulatedSwitch
from tests.databases import Databases

OK, UNFIT, UNREACHABLE = Verdict.OK, Verdict.UNFIT, Verdict.UNREACHABLE


def nothing_pending(dsn: str) -> Sequence[str]:
    return ()


@pytest.fixture
def environment(
    postgres: PrivatePostgres, databases: Databases, redis_server: PrivateRedis, tmp_path: Path
) -> dict[str, str]:
    """Settings by which everything but a node is there."""
    return {
        "DB_HOST": postgres.host,
        "DB_PORT": str(postgres.port),
        "DB_PASSWORD": postgres.password,
        "DB_DATABASE": databases.template,
        "REDIS_HOST": redis_server.host,
        "REDIS_PORT": str(redis_server.port),
        "REDIS_PASSWORD": redis_server.password,
        "NIZAM_MEDIA_ROOT": str(tmp_path),
    }


def findings(environment: Mapping[str, str], pending: Sequence[str] = ()) -> dict[str, Finding]:
    found = examine(load(None, environment).settings, lambda dsn: pending)
    return {finding.name.split()[0]: finding for finding in found}


def test_all_is_well_where_all_is_there(environment: dict[str, str]) -> None:
    found = findings(environment)
    assert {name: finding.verdict for name, finding in found.items()} == {
        "postgresql": OK,
        "scheduled": OK,
        "redis": OK,
        "media": OK,
    }
    assert found["postgresql"].detail.startswith("PostgreSQL 1")
    assert found["redis"].detail.startswith("Redis ")


def test_scheduled_work_that_is_late_is_named_with_the_reason(
    environment: dict[str, str], database: str
) -> None:
    there = environment | {"DB_DATABASE": database.rpartition("/")[2]}
    assert findings(there)["scheduled"] == Finding("scheduled work", OK, "no instance leads it now")
    with psycopg2.connect(database) as connection, connection.cursor() as cursor:
        cursor.execute(
            "insert into scheduled_tasks (name, interval_seconds, known_since, error)"
            " values ('purge', 60, now() - interval '1 hour', 'media_unavailable: no mount'),"
            " ('events', 3600, now() - interval '1 hour', null)"
        )
    connection.close()
    found = findings(there)["scheduled"]
    assert found.verdict == UNFIT
    assert found.detail == "late: purge; nobody leads it; media_unavailable: no mount"


def test_migrations_that_are_missing_are_named(environment: dict[str, str]) -> None:
    found = findings(environment, pending=["0002_events"])["postgresql"]
    assert (found.verdict, "0002_events" in found.detail) == (UNFIT, True)


@pytest.mark.parametrize(
    ("change", "part", "verdict", "detail"),
    [
        ({"DB_PASSWORD": "wrong"}, "postgresql", UNREACHABLE, "password authentication failed"),
        ({"DB_PORT": "1"}, "postgresql", UNREACHABLE, "refused"),
        ({"DB_READ_HOST_1": "127.0.0.1:1"}, "replica", UNREACHABLE, "refused"),
        ({"REDIS_PORT": "1"}, "redis", UNREACHABLE, "refused"),
        ({"REDIS_PASSWORD": "wrong"}, "redis", UNFIT, "AUTH: WRONGPASS"),
        ({"REDIS_PASSWORD": ""}, "redis", UNFIT, "INFO: NOAUTH"),
        ({"NIZAM_MEDIA_ROOT": "/nowhere"}, "media", UNFIT, "/nowhere does not exist"),
        ({"ESL_HOST": "127.0.0.1", "ESL_PORT": "1"}, "freeswitch", UNREACHABLE, "refused"),
    ],
)
def test_what_is_not_well_is_named_with_the_reason(
    environment: dict[str, str], change: dict[str, str], part: str, verdict: Verdict, detail: str
) -> None:
    found = findings(environment | {"ESL_PASSWORD": "any"} | change)[part]
    assert found.verdict == verdict
    assert detail in found.detail
    assert "any" not in found.detail


def test_a_replica_is_looked_at_too(environment: dict[str, str]) -> None:
    replica = f"{environment['DB_HOST']}:{environment['DB_PORT']}"
    assert findings(environment | {"DB_READ_HOST_1": replica})["replica"].verdict == OK


def test_a_redis_that_would_lose_queues_is_unfit(
    environment: dict[str, str], redis_server: PrivateRedis
) -> None:
    redis_server.configure("appendonly", "no")
    try:
        assert "append-only" in findings(environment)["redis"].detail
    finally:
        redis_server.configure("appendonly", "yes")
    redis_server.configure("maxmemory-policy", "allkeys-lru")
    try:
        assert "maxmemory-policy is allkeys-lru" in findings(environment)["redis"].detail
    finally:
        redis_server.configure("maxmemory-policy", "noeviction")


@pytest.mark.parametrize(
    ("password", "verdict", "detail"),
    [("ClueCon", OK, "FreeSWITCH"), ("wrong", UNFIT, "wrong password")],
)
async def test_a_node_is_asked_over_its_event_socket(
    environment: dict[str, str], password: str, verdict: Verdict, detail: str
) -> None:
    switch = SimulatedSwitch(reactor, password="ClueCon")
    await switch.start()
    try:
        node = {"ESL_HOST": "127.0.0.1", "ESL_PORT": str(switch.esl_port)}
        found = await deferToThread(findings, environment | node | {"ESL_PASSWORD": password})
    finally:
        await switch.stop()
    assert found["freeswitch"].verdict == verdict
    assert detail in found["freeswitch"].detail


def test_a_peer_that_is_no_event_socket_is_not_waited_for(
    environment: dict[str, str], redis_server: PrivateRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "ANSWER_SECONDS", 0.3)
    silent = {"ESL_HOST": redis_server.host, "ESL_PORT": str(redis_server.port)}
    found = findings(environment | silent | {"ESL_PASSWORD": "x"})["freeswitch"]
    assert found.verdict == UNREACHABLE
