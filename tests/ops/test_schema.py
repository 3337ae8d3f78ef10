"""An instance is not ready before the database has its tables."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.task import Clock

from nizam.errors import DatabaseUnavailable
from nizam.ops.health import State
from nizam.ops.schema import ASK_SECONDS, SchemaCheck, latest_revision
from nizam.store.migrate import current
from nizam.store.pool import Pool


async def asked(database: str, needed: str) -> State:
    from twisted.internet import reactor

    pool = Pool(reactor, database, 1, "test")
    await pool.start()
    try:
        check = SchemaCheck(Clock(), pool, needed)
        await check.ask()
        return check.finding().state
    finally:
        await pool.stop()


def test_the_latest_revision_is_the_one_that_migrating_leads_to(database: str) -> None:
    assert latest_revision() == current(database)


@pytest.mark.parametrize(
    ("needed", "state"),
    [
        (latest_revision(), State.OK),
        ("0001_resources", State.OK),
        ("9999_of_a_later_release", State.FAILED),
    ],
    ids=["its own", "older", "newer"],
)
async def test_tables_of_this_release_or_later_will_do(
    database: str, needed: str, state: State
) -> None:
    assert await asked(database, needed) is state


async def test_a_database_without_tables_will_not_do(database: str) -> None:
    # The server's own database, which nobody migrates.
    assert await asked(database.rpartition("/")[0] + "/postgres", latest_revision()) is State.FAILED


def test_it_asks_until_it_is_right_and_no_more() -> None:
    clock = Clock()
    answers: list[Any] = [
        DatabaseUnavailable("away"),
        [("0001_resources",)],
        [("0002_events",)],
        AssertionError("asked once more"),
    ]
    states = []

    class Database:
        async def query(self, sql: str, args: Any = (), deadline: float | None = None) -> list[Any]:
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return list(answer)

    check = SchemaCheck(clock, Database(), "0002_events")
    assert check.finding().state is State.DEGRADED
    check.startService()
    for _ in range(4):
        states.append(check.finding().state)
        clock.advance(ASK_SECONDS)
    assert states == [State.DEGRADED, State.FAILED, State.OK, State.OK]
    check.stopService()
    assert len(answers) == 1
