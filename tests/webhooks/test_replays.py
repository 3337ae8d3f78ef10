"""Ended deliveries are sent again at a rate, by any worker, a second's worth at a time."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from twisted.internet.defer import Deferred

from nizam.store import deliveries, replays
from nizam.store.replays import Ended
from nizam.store.system.deliveries import Queries
from nizam.webhooks import replaying
from tests.webhooks.conftest import Bench

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)


async def ended(bench: Bench, *statuses: str) -> tuple[UUID, list[UUID]]:
    """A webhook and one delivery of each status, made a minute after the other."""
    webhook = await bench.add_webhook("a")
    await bench.write(*(bench.event() for _ in statuses))
    ids = await bench.ids(webhook)
    for number, (identifier, status) in enumerate(zip(ids, statuses, strict=True)):
        await bench.database.query(
            "update webhook_deliveries set status = %s, created_at = %s, attempt_count = 9"
            " where id = %s returning 1",
            (status, NOON + timedelta(minutes=number), identifier),
        )
    return webhook, ids


async def begin(
    bench: Bench, webhook: UUID, statuses: tuple[Ended, ...] = ("dead",), rate: int = 2
) -> list[UUID]:
    """Begin a replay of all; what its first slice made pending."""
    begun = await asked(bench.database, bench, webhook, statuses, rate)
    assert begun is not None
    return [it[0] for it in begun[2]]


def asked(
    database: Queries,
    bench: Bench,
    webhook: UUID,
    statuses: tuple[Ended, ...] = ("dead",),
    rate: int = 2,
) -> Awaitable[tuple[UUID, int, deliveries.Pairs] | None]:
    return replays.begin(
        database,
        bench.tenant_id,
        webhook,
        since=None,
        until=datetime.now(UTC),
        statuses=statuses,
        rate=rate,
    )


async def go_on(bench: Bench) -> list[UUID]:
    """What the next second's slice makes pending."""
    await bench.database.query("update webhook_replays set next_at = now() returning 1")
    due = await replays.take_due(bench.database)
    return [] if due is None else [it[0] for it in await replays.go_on(bench.database, due)]


async def progress(bench: Bench) -> tuple[str, int, int]:
    rows = await bench.database.query("select status, replayed, total from webhook_replays")
    status, replayed, total = rows[0]
    return status, replayed, total


async def test_a_replay_goes_along_the_dead_ones_oldest_first_and_says_how_far_it_is(
    bench: Bench,
) -> None:
    webhook, ids = await ended(bench, "dead", "succeeded", "dead", "dead", "pending", "dead")
    dead = [ids[0], ids[2], ids[3], ids[5]]
    assert await begin(bench, webhook) == dead[:2]
    assert await progress(bench) == ("running", 2, 4)
    # One that has died again is behind: it is not replayed twice.
    await bench.database.query(
        "update webhook_deliveries set status = 'dead' where id = %s returning 1", (dead[0],)
    )
    assert await go_on(bench) == dead[2:]
    assert await go_on(bench) == []
    assert await progress(bench) == ("done", 4, 4)
    assert await go_on(bench) == []


@pytest.mark.parametrize(
    ("statuses", "which"),
    [(("dead",), [0, 2]), (("succeeded",), [1]), (("dead", "succeeded"), [0, 1, 2])],
)
async def test_a_replay_takes_what_ended_so(
    bench: Bench, statuses: tuple[Ended, ...], which: list[int]
) -> None:
    webhook, ids = await ended(bench, "dead", "succeeded", "dead", "pending")
    assert await begin(bench, webhook, statuses, rate=100) == [ids[it] for it in which]
    assert (await progress(bench))[0] == "done"


@pytest.mark.parametrize(
    ("since", "until", "which"),
    [(None, None, [0, 1, 2]), (1, None, [1, 2]), (None, 1, [0]), (1, 2, [1]), (5, None, [])],
)
async def test_a_replay_of_a_time_takes_what_was_made_then(
    bench: Bench, since: int | None, until: int | None, which: list[int]
) -> None:
    webhook, ids = await ended(bench, "dead", "dead", "dead")
    begun = await replays.begin(
        bench.database,
        bench.tenant_id,
        webhook,
        since=None if since is None else NOON + timedelta(minutes=since),
        until=NOON + timedelta(minutes=60 if until is None else until),
        statuses=["dead"],
        rate=10,
    )
    assert begun is not None
    _, total, pairs = begun
    assert ([it[0] for it in pairs], total) == ([ids[it] for it in which], len(which))


async def test_a_replay_of_a_paused_webhook_waits_and_of_a_disabled_one_ends(
    bench: Bench,
) -> None:
    webhook, _ = await ended(bench, "dead", "dead", "dead")
    await begin(bench, webhook)
    await bench.set_status(webhook, "paused")
    assert await go_on(bench) == []
    assert await progress(bench) == ("running", 2, 3)
    await bench.set_status(webhook, "disabled")
    assert await go_on(bench) == []
    assert await progress(bench) == ("cancelled", 2, 3)


async def test_a_cancelled_replay_goes_no_further(bench: Bench) -> None:
    webhook, _ = await ended(bench, "dead", "dead", "dead")
    await begin(bench, webhook)
    assert await asked(bench.database, bench, webhook) is None
    assert await replays.cancel(bench.database, webhook)
    assert not await replays.cancel(bench.database, webhook)
    assert await go_on(bench) == []
    assert await progress(bench) == ("cancelled", 2, 3)


async def test_of_two_replays_that_two_instances_begin_at_once_one_is_begun(bench: Bench) -> None:
    webhook, _ = await ended(bench, "dead", "dead", "dead")
    both = [
        Deferred.fromCoroutine(bench.database.transaction(lambda it: asked(it, bench, webhook)))
        for _ in range(2)
    ]
    begun = [await it for it in both]
    assert [it is None for it in begun].count(True) == 1
    assert await progress(bench) == ("running", 2, 3)


async def test_two_workers_send_a_replay_once_at_its_rate(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replaying, "PAUSE_SECONDS", 0.05)
    webhook, ids = await ended(bench, *["dead"] * 25)
    began = bench.reactor.seconds()
    await begin(bench, webhook, rate=10)
    for name in ("one", "two"):
        bench.start(name)
    await bench.until_statuses(webhook, *["succeeded"] * 25)
    assert bench.reactor.seconds() - began >= 1.9
    assert len(bench.receiver.received) == len(ids)


async def test_a_page_is_purged_at_a_time(bench: Bench) -> None:
    webhook, ids = await ended(bench, "dead", "succeeded", "pending", "pending", "dead")
    assert await deliveries.purge(bench.database, webhook, "waiting", 1) == 1
    assert await deliveries.purge(bench.database, webhook, "waiting", 5) == 1
    assert await deliveries.purge(bench.database, webhook, "dead", 3) == 3
    assert await deliveries.purge(bench.database, webhook, "dead", 3) == 1
    assert await bench.ids(webhook) == [ids[1]]
