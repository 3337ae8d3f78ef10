"""The log of events as readers follow it: nothing is skipped, however transactions overlap."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import closing
from typing import Any
from uuid import UUID, uuid4

import attrs
import psycopg2
import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater

from nizam.errors import NotFound, ValidationFailed
from nizam.model.events import Event
from nizam.store.pool import Pool
from nizam.store.system.event_log import (
    LogPage,
    cursor_text,
    log_end,
    position_of_event,
    read_cursor,
    read_log,
    read_tenant_log,
)
from nizam.store.system.events import repair_tenants, write_events
from tests.store.test_event_tables import replayed

ACME = UUID("019ab000-0000-7000-8000-000000000001")
RIVAL = UUID("019ab000-0000-7000-8000-000000000002")
TEMPLATE = replayed("calls").events[0]


@pytest_twisted.async_yield_fixture
async def pool(database: str) -> AsyncIterator[Pool]:
    from twisted.internet import reactor

    pool = Pool(reactor, database, 6, "test")
    await pool.start()
    yield pool
    await pool.stop()


def event(number: int, tenant_id: UUID | None = ACME, kind: str = "call.dtmf") -> Event:
    return attrs.evolve(
        TEMPLATE,
        type=kind,
        sequence=number,
        tenant_id=tenant_id,
        call_id=uuid4(),
        data={"number": number},
    )


def numbers(page: LogPage) -> list[int]:
    return [it.event.sequence for it in page.events]


async def test_what_is_committed_late_is_not_skipped(pool: Pool) -> None:
    """The second to draw a position is committed first."""
    written: Deferred[None] = Deferred()
    let_go: Deferred[None] = Deferred()

    async def slow(transaction: Any) -> None:
        await write_events(transaction, [event(1)])
        written.callback(None)
        await let_go

    late = Deferred.fromCoroutine(pool.transaction(slow, 10.0))
    await written
    await write_events(pool, [event(2)])
    while_open = await read_log(pool, 0)
    let_go.callback(None)
    await late
    after = await read_log(pool, while_open.position)
    assert (numbers(while_open), numbers(after)) == ([], [1, 2])
    assert await read_log(pool, after.position) == LogPage((), after.position, more=False)


async def test_what_is_rolled_back_holds_nobody_up(pool: Pool) -> None:
    async def fails(transaction: Any) -> None:
        await write_events(transaction, [event(1)])
        raise LookupError

    with pytest.raises(LookupError):
        await pool.transaction(fails, 5.0)
    await write_events(pool, [event(2)])
    assert numbers(await read_log(pool, 0)) == [2]


async def test_a_long_transaction_that_writes_no_events_holds_nobody_up(
    pool: Pool, database: str
) -> None:
    with closing(psycopg2.connect(database)) as other, other.cursor() as cursor:
        cursor.execute("update platform_state set revision = revision + 1")
        await write_events(pool, [event(1)])
        assert numbers(await read_log(pool, 0)) == [1]


async def test_readers_at_full_speed_see_every_event_of_overlapping_writers_once(
    pool: Pool,
) -> None:
    """Four writers keep their transactions open for moments that differ, one reader does not
    pause: with a reader that goes to the end of the sequence this loses events."""
    from twisted.internet import reactor

    dice, done = random.Random(5), [0]
    writers, each = 4, 40

    async def write(writer: int) -> None:
        for turn in range(each):
            number = writer * each + turn

            async def work(transaction: Any, number: int = number) -> None:
                await write_events(transaction, [event(number)])
                await deferLater(reactor, dice.random() * 0.01)

            await pool.transaction(work, 5.0)
        done[0] += 1

    async def read() -> list[int]:
        seen: list[int] = []
        place = 0
        while True:
            last = done[0] == writers
            page = await read_log(pool, place, most=7)
            assert page.position >= place
            seen, place = seen + numbers(page), page.position
            if last and not page.more:
                return seen

    tasks = [Deferred.fromCoroutine(write(it)) for it in range(writers)]
    seen = await read()
    await gatherResults(tasks)
    assert sorted(seen) == list(range(writers * each))
    for writer in range(writers):
        own = [it for it in seen if it // each == writer]
        assert own == sorted(own)


async def test_a_reader_ahead_of_a_slow_writer_reads_nothing_again(
    pool: Pool, database: str
) -> None:
    """A writer may have looked at the sequence long before it says so."""
    await write_events(pool, [event(1)])
    page = await read_log(pool, 0)
    with closing(psycopg2.connect(database)) as other, other.cursor() as cursor:
        cursor.execute("select pg_advisory_xact_lock_shared(x'4e5a'::bigint << 48)")
        assert await log_end(pool) < page.position
        assert await read_log(pool, page.position) == LogPage((), page.position, more=False)


async def test_events_of_one_write_are_read_in_its_order_page_by_page(pool: Pool) -> None:
    await write_events(pool, [event(it) for it in (5, 3, 9, 1)])
    first = await read_log(pool, 0, most=3)
    second = await read_log(pool, first.position, most=3)
    assert (numbers(first), first.more) == ([5, 3, 9], True)
    assert (numbers(second), second.more) == ([1], False)


async def test_an_event_whose_tenant_becomes_known_comes_to_its_readers(pool: Pool) -> None:
    unknown = event(1, tenant_id=None)
    await write_events(pool, [unknown, event(2)])
    place = (await read_tenant_log(pool, ACME, 0)).position
    assert unknown.call_id is not None
    await repair_tenants(pool, [(unknown.call_id, ACME)])
    (found,) = (await read_tenant_log(pool, ACME, place)).events
    assert found.event == attrs.evolve(unknown, tenant_id=ACME)


async def test_a_tenant_reads_its_own_events_of_the_types_it_wants(pool: Pool) -> None:
    events = [
        event(1),
        event(2, RIVAL),
        event(3, kind="recording.started"),
        event(4, None),
        event(5, kind="call.held"),
    ]
    await write_events(pool, events)
    wanted = {
        (): [1, 3, 5],
        ("*",): [1, 3, 5],
        ("call.*",): [1, 5],
        ("call.held", "recording.*"): [3, 5],
        ("gateway.*",): [],
    }
    found = {types: await read_tenant_log(pool, ACME, 0, types=types) for types in wanted}
    assert {types: numbers(it) for types, it in found.items()} == wanted
    # Also who found nothing goes on at the end.
    assert {it.position for it in found.values()} == {await log_end(pool)}
    of_call = await read_tenant_log(pool, ACME, 0, call_id=events[4].call_id)
    assert numbers(of_call) == [5]


async def test_one_can_go_on_after_an_event_that_one_has(pool: Pool) -> None:
    events = [event(it) for it in range(3)]
    await write_events(pool, events)
    place = await position_of_event(pool, ACME, events[1].id)
    assert numbers(await read_tenant_log(pool, ACME, place)) == [2]
    for nobody in (events[1].id[:-1] + "g", "evt_", event(9).id):
        with pytest.raises(NotFound):
            await position_of_event(pool, ACME, nobody)
    with pytest.raises(NotFound):
        await position_of_event(pool, RIVAL, events[1].id)


@pytest.mark.parametrize("text", ["", "pos_", "4711", "pos_-00000000000001", cursor_text(1) + "0"])
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(ValidationFailed):
        read_cursor(text)


def test_cursors_are_read_as_they_were_written_and_sort_as_positions_do() -> None:
    places = [0, 9, 10, 2**40, 2**62]
    texts = [cursor_text(it) for it in places]
    assert [read_cursor(it) for it in texts] == places
    assert sorted(texts) == texts


async def test_who_writes_without_holding_the_log_is_refused(pool: Pool) -> None:
    with pytest.raises(psycopg2.errors.NotNullViolation):
        await pool.execute(
            "insert into call_events (occurred_at, core_id, sequence, type, id, data)"
            " values (now(), 'c', 1, 't', 'evt', '{}')"
        )
