"""When PostgreSQL is away batches wait in Redis, when Redis is away too in bounded memory."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import urlsplit
from uuid import uuid4

import attrs
import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater

from nizam.errors import DatabaseUnavailable, KeyValueUnavailable
from nizam.events.legs import Leg
from nizam.kv.single import SingleRedis
from nizam.metrics import REGISTRY
from nizam.model.call_decision import CallDecision
from nizam.model.events import Event
from nizam.model.webhook import Webhook
from nizam.store.pool import Pool, Transaction
from nizam.switch.batch import Batch, encode
from nizam.switch.spill import REJECTED_KEY, SPILL_KEY, Spill
from nizam.switch.storing import Transactions
from nizam.switch.writer import Writer

T = TypeVar("T")


@attrs.define
class Switchable:
    """The pool, which can be away."""

    pool: Pool
    away: bool = False

    async def transaction(
        self, work: Callable[[Transaction], Awaitable[T]], deadline: float | None = None
    ) -> T:
        if self.away:
            raise DatabaseUnavailable("away")
        return await self.pool.transaction(work, deadline)


@attrs.define
class Unanswered:
    """A database of which the first transaction is committed and nobody is told."""

    inner: Switchable
    told: bool = False

    async def transaction(
        self, work: Callable[[Transaction], Awaitable[T]], deadline: float | None = None
    ) -> T:
        result = await self.inner.transaction(work, deadline)
        if not self.told:
            self.told = True
            raise DatabaseUnavailable("the connection ended before the answer came")
        return result


@attrs.define
class Counted:
    """A database that counts."""

    inner: Switchable
    transactions: int = 0

    async def transaction(
        self, work: Callable[[Transaction], Awaitable[T]], deadline: float | None = None
    ) -> T:
        self.transactions += 1
        return await self.inner.transaction(work, deadline)


@attrs.define
class Slow:
    """A database whose transactions take so many seconds; under way are those that will succeed."""

    inner: Switchable
    seconds: float
    tried: int = 0
    under_way: int = 0

    async def transaction(
        self, work: Callable[[Transaction], Awaitable[T]], deadline: float | None = None
    ) -> T:
        from twisted.internet import reactor

        assert deadline is not None
        self.tried += 1
        if deadline < self.seconds:
            await deferLater(reactor, deadline)
            raise DatabaseUnavailable("too late")
        self.under_way += 1
        await deferLater(reactor, self.seconds)
        self.under_way -= 1
        return await self.inner.transaction(work)


@attrs.define
class Bench:
    """A pool that can be away, Redis, and what a writer needs besides."""

    reactor: Any
    database: Switchable
    key_value: SingleRedis

    def writer(
        self,
        key_value: SingleRedis | None,
        database: Transactions | None = None,
        **changes: Any,
    ) -> Writer:
        async def keep(_deliveries: Any) -> None:
            return

        return Writer(self.reactor, database or self.database, key_value, keep, **changes)

    async def stored(self) -> list[int]:
        rows = await self.database.pool.query("select sequence from call_events order by sequence")
        return [row[0] for row in rows]

    async def until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        while not await condition():
            await deferLater(self.reactor, 0.02)


@pytest_twisted.async_yield_fixture
async def bench(database: str, redis_url: str) -> AsyncIterator[Bench]:
    from twisted.internet import reactor

    url = urlsplit(redis_url)
    key_value = SingleRedis(reactor, url.hostname or "", url.port or 0, url.password)
    await key_value.start()
    pool = Pool(reactor, database, 2, "test")
    await pool.start()
    yield Bench(reactor, Switchable(pool), key_value)
    await pool.stop()
    await key_value.stop()


def events(first: int, count: int, kind: str = "call.bridged") -> Batch:
    at = datetime(2026, 11, 24, tzinfo=UTC)
    return Batch(
        [Event(type=kind, occurred_at=at, core_id="c", sequence=first + it) for it in range(count)]
    )


async def test_what_came_while_postgresql_was_away_is_stored_when_it_is_back(bench: Bench) -> None:
    bench.database.away = True
    writer = bench.writer(bench.key_value, batch_items=10)
    writer.start()
    safe: Deferred[None] = Deferred()
    batch = events(0, 35)
    batch.waiters.append(safe)
    writer.add(batch)
    await safe
    assert await bench.key_value.llen(SPILL_KEY) == 4
    bench.database.away = False
    writer.add(events(35, 5))

    async def all_there() -> bool:
        return await bench.stored() == list(range(40))

    await bench.until(all_there)
    await writer.stop()
    assert await bench.key_value.llen(SPILL_KEY) == 0


async def test_a_redis_that_forgets_what_waits_in_it_costs_nothing(bench: Bench) -> None:
    bench.database.away = True
    writer = bench.writer(bench.key_value, batch_items=10)
    writer.start()
    safe: Deferred[None] = Deferred()
    batch = events(0, 35)
    batch.waiters.append(safe)
    writer.add(batch)
    await safe
    await bench.key_value.delete(SPILL_KEY)
    bench.database.away = False

    async def all_there() -> bool:
        return await bench.stored() == list(range(35))

    await bench.until(all_there)
    await writer.stop()


async def test_what_waits_in_many_small_batches_is_stored_in_few_transactions(
    bench: Bench,
) -> None:
    """Each takes its time: one for each batch would never catch up with what comes meanwhile."""
    for it in range(200):
        await bench.key_value.rpush(SPILL_KEY, encode(events(it, 1)))
    counted = Counted(bench.database)
    writer = bench.writer(bench.key_value, database=counted)
    writer.start()

    async def all_there() -> bool:
        return await bench.stored() == list(range(200))

    await bench.until(all_there)
    await writer.stop()
    assert counted.transactions <= 12


@pytest.fixture
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in {"STORE": 0.05, "MOST_STORE": 0.4, "RETRY": 0.02}.items():
        monkeypatch.setattr(f"nizam.switch.writer.{name}_SECONDS", seconds)


@pytest.mark.usefixtures("in_a_hurry")
@pytest.mark.parametrize("redis", [True, False])
async def test_what_takes_postgresql_long_is_waited_for_and_is_safe_meanwhile(
    bench: Bench, redis: bool
) -> None:
    slow = Slow(bench.database, 0.3)
    writer = bench.writer(bench.key_value if redis else None, database=slow)
    writer.start()
    safe: list[Deferred[None]] = [Deferred(), Deferred()]
    writer.add(Batch(events(0, 3).events, waiters=safe[:1]))

    async def storing() -> bool:
        return slow.under_way > 0

    await bench.until(storing)
    writer.add(Batch(events(3, 1).events, waiters=safe[1:]))
    await gatherResults(safe)
    assert slow.under_way == int(redis)
    assert writer.waiting == (4 if redis else 0)

    async def all_there() -> bool:
        return await bench.stored() == [0, 1, 2, 3] and writer.waiting == 0

    await bench.until(all_there)
    await writer.stop()
    assert slow.tried == 2
    assert await bench.key_value.llen(SPILL_KEY) == 0


@pytest.mark.usefixtures("in_a_hurry")
async def test_what_takes_postgresql_too_long_is_tried_again(bench: Bench) -> None:
    slow = Slow(bench.database, 0.5)
    writer = bench.writer(bench.key_value, database=slow)
    writer.start()
    writer.add(events(0, 3))

    async def tried_again() -> bool:
        return slow.tried > 2

    await bench.until(tried_again)
    slow.seconds = 0

    async def all_there() -> bool:
        return await bench.stored() == [0, 1, 2] and writer.waiting == 0

    await bench.until(all_there)
    await writer.stop()


@pytest.mark.usefixtures("in_a_hurry")
async def test_what_comes_while_postgresql_takes_long_over_what_was_spilled_is_safe_soon(
    bench: Bench,
) -> None:
    slow = Slow(bench.database, 0.35)
    writer = bench.writer(bench.key_value, database=slow)
    writer.start()
    writer.add(events(0, 3))

    async def storing() -> bool:
        return slow.under_way > 0

    await bench.until(storing)
    safe: Deferred[None] = Deferred()
    writer.add(Batch(events(3, 1).events, waiters=[safe]))
    await safe
    await writer.settled()
    assert slow.under_way == 1
    slow.seconds = 0

    async def all_there() -> bool:
        return await bench.stored() == [0, 1, 2, 3]

    await bench.until(all_there)
    await writer.stop()


async def test_copies_of_what_waits_in_redis_are_bounded_and_nothing_is_taken_twice(
    bench: Bench,
) -> None:
    spill = Spill(bench.key_value, most_bytes=10)
    for it in (b"first", b"second", b"third"):
        await spill.append(it)
    taken = []
    while documents := await spill.first(most=2):
        taken += documents
        spill.done(documents)
    assert taken == [b"first", b"second", b"third"]
    assert not spill.left
    assert await bench.key_value.llen(SPILL_KEY) == 0


@pytest.mark.parametrize("copied_bytes", [1_000, 0], ids=["from memory", "from Redis"])
async def test_what_waits_in_redis_is_stored_in_portions(bench: Bench, copied_bytes: int) -> None:
    spill = Spill(bench.key_value, copied_bytes)
    for it in (b"a" * 40, b"b" * 40, b"c" * 40, b"d" * 200):
        await spill.append(it)
    lengths = []
    while documents := await spill.first(most=3, most_bytes=100):
        lengths.append(len(documents))
        spill.done(documents)
    assert lengths == [2, 1, 1]


async def test_what_an_earlier_process_left_is_stored_first_although_more_always_waits(
    bench: Bench,
) -> None:
    await bench.key_value.rpush(SPILL_KEY, b"left 1", b"left 2")
    spill = Spill(bench.key_value)
    taken = []
    for it in range(4):
        await spill.append(f"{it}".encode())
        documents = await spill.first(most=1)
        taken += documents
        spill.done(documents)
    assert taken == [b"left 1", b"left 2", b"0", b"1"]


@pytest.mark.parametrize("redis", [True, False])
async def test_deliveries_of_a_commit_that_nobody_was_told_of_are_handed_on_at_once(
    bench: Bench, redis: bool
) -> None:
    webhook, tenant = uuid4(), uuid4()
    hook = Webhook(url="https://receiver.test/", event_types=("*",), headers={})
    await bench.database.pool.query(
        "insert into webhooks (id, tenant_id, body) values (%s, %s, %s::jsonb)",
        (webhook, tenant, hook.model_dump_json(exclude={"secret"})),
    )
    writer = bench.writer(bench.key_value if redis else None, Unanswered(bench.database))
    handed_on: list[Any] = []

    async def take(deliveries: Any) -> None:
        handed_on.extend(deliveries)

    writer.storing.on_deliveries = take
    writer.start()
    batch = events(0, 2)
    writer.add(Batch([attrs.evolve(it, tenant_id=tenant) for it in batch.events]))

    async def all_handed_on() -> bool:
        return bool(handed_on) and writer.waiting == 0

    await bench.until(all_handed_on)
    await writer.stop()
    rows = await bench.database.pool.query("select id, webhook_id from webhook_deliveries")
    assert len(rows) == 2
    assert sorted(handed_on) == sorted(rows)


@attrs.define
class Hasty:
    """Redis, to which something comes each time that something is appended."""

    inner: SingleRedis
    comes: Callable[[], None]

    async def rpush(self, key: str, *values: bytes) -> int:
        self.comes()
        return await self.inner.rpush(key, *values)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


async def test_what_was_spilled_is_stored_although_events_never_cease_to_come(bench: Bench) -> None:
    bench.database.away = True
    numbers = itertools.count(1)
    ceased: list[bool] = []

    def comes() -> None:
        if not ceased:
            writer.add(events(next(numbers), 1))

    hasty: Any = Hasty(bench.key_value, comes)
    writer = bench.writer(hasty)
    writer.start()
    writer.add(events(0, 1))

    async def spilled() -> bool:
        return next(numbers) > 5

    await bench.until(spilled)
    bench.database.away = False

    async def some_are_stored() -> bool:
        return bool(await bench.stored())

    await bench.until(some_are_stored)
    ceased.append(True)
    await writer.stop()


@attrs.define
class Reluctant:
    """A database that commits the first transaction only when it is let."""

    inner: Switchable
    written: Deferred[None] = attrs.field(factory=Deferred)
    may_commit: Deferred[None] | None = attrs.field(factory=Deferred)

    async def transaction(
        self, work: Callable[[Transaction], Awaitable[T]], deadline: float | None = None
    ) -> T:
        may_commit, self.may_commit = self.may_commit, None

        async def and_wait(transaction: Transaction) -> T:
            result = await work(transaction)
            if may_commit is not None:
                self.written.callback(None)
                await may_commit
            return result

        return await self.inner.transaction(and_wait, deadline)


async def test_the_end_that_two_instances_tell_of_by_different_events_is_stored_once(
    bench: Bench,
) -> None:
    database, call_id = Reluctant(bench.database), uuid4()
    may_commit = database.may_commit
    assert may_commit is not None
    writers = [bench.writer(None, database) for _ in range(2)]
    told = [Deferred[None](), Deferred[None]()]
    for number, writer in enumerate(writers):
        writer.start()
        (ended,) = events(number, 1, "call.ended").events
        batch = Batch([attrs.evolve(ended, call_id=call_id)], waiters=[told[number]])
        writer.add(batch)
        if number == 0:
            await database.written
    await deferLater(bench.reactor, 0.1)
    assert not told[1].called
    may_commit.callback(None)
    await gatherResults(told)
    for writer in writers:
        await writer.stop()
    assert await bench.stored() == [0]


async def test_it_is_told_how_much_waits_to_be_stored(bench: Bench) -> None:
    bench.database.away = True
    writer = bench.writer(bench.key_value, batch_items=10)
    writer.start()
    writer.add(events(0, 25))
    await writer.settled()
    writer.add(events(25, 5))
    assert REGISTRY.get_sample_value("nizam_events_waiting") == writer.waiting == 30
    assert REGISTRY.get_sample_value("nizam_events_spilled") == 25
    bench.database.away = False

    async def nothing_waits() -> bool:
        return writer.waiting == 0

    await bench.until(nothing_waits)
    await writer.stop()
    assert await bench.stored() == [*range(30)]


async def test_it_is_measured_how_long_the_oldest_event_of_a_transaction_took(bench: Bench) -> None:
    def within(seconds: str) -> float:
        name = "nizam_event_store_seconds_bucket"
        return REGISTRY.get_sample_value(name, {"le": seconds}) or 0.0

    before = within("60.0"), within("300.0")
    writer = bench.writer(None)
    writer.start()
    now = datetime.now(UTC)
    told = [Event(type="a", occurred_at=now, core_id="c", sequence=1)]
    told += [attrs.evolve(told[0], occurred_at=now - timedelta(seconds=120), sequence=2)]
    writer.add(Batch(told))
    await writer.settled()
    await writer.stop()
    assert (within("60.0"), within("300.0")) == (before[0], before[1] + 1)


async def test_what_is_stored_leaves_redis_although_more_always_waits(bench: Bench) -> None:
    spill = Spill(bench.key_value)
    await spill.append(b"0")
    for it in range(1, 5):
        await spill.append(f"{it}".encode())
        spill.done(await spill.first())
        assert await bench.key_value.llen(SPILL_KEY) == 2


async def test_a_stopping_process_leaves_in_redis_what_the_next_one_stores(bench: Bench) -> None:
    bench.database.away = True
    writer = bench.writer(bench.key_value)
    writer.start()
    writer.add(events(0, 3))
    await writer.stop()
    assert await bench.stored() == []
    bench.database.away = False
    successor = bench.writer(bench.key_value)
    successor.start()

    async def all_there() -> bool:
        return await bench.stored() == [0, 1, 2]

    await bench.until(all_there)
    await successor.stop()


async def test_without_redis_too_the_least_important_goes_first_and_is_counted(
    bench: Bench,
) -> None:
    bench.database.away = True
    shed: list[int] = []
    writer = bench.writer(None, capacity=10, on_shed=lambda dropped: shed.append(len(dropped)))
    writer.start()
    writer.add(events(100, 5, "call.dtmf"))
    writer.add(events(0, 8))
    assert (writer.buffered, shed) == (8, [5])
    writer.add(events(8, 4))
    assert (writer.buffered, shed) == (10, [5, 2])
    bench.database.away = False

    async def the_rest() -> bool:
        return await bench.stored() == list(range(2, 12))

    await bench.until(the_rest)
    await writer.stop()


async def test_one_item_that_postgresql_refuses_does_not_hold_up_the_others(bench: Bench) -> None:
    batch = events(0, 6)
    batch.events[3] = attrs.evolve(batch.events[3], sequence=2**63)
    writer = bench.writer(bench.key_value)
    writer.start()
    writer.add(batch)

    async def others_there() -> bool:
        return await bench.stored() == [0, 1, 2, 4, 5]

    await bench.until(others_there)
    await writer.stop()
    assert await bench.key_value.llen(REJECTED_KEY) == 1


async def test_a_batch_in_redis_that_nobody_can_read_does_not_hold_up_those_behind_it(
    bench: Bench,
) -> None:
    await bench.key_value.rpush(SPILL_KEY, b'{"of": "another version"}')
    await bench.key_value.rpush(SPILL_KEY, encode(events(0, 3)))
    writer = bench.writer(bench.key_value)
    writer.start()

    async def all_there() -> bool:
        return await bench.stored() == [0, 1, 2]

    await bench.until(all_there)
    await writer.stop()
    assert await bench.key_value.lrange(REJECTED_KEY, 0, -1) == [b'{"of": "another version"}']


async def test_a_batch_that_nobody_can_read_is_kept_once_however_often_its_neighbours_are_tried(
    bench: Bench,
) -> None:
    await bench.key_value.rpush(SPILL_KEY, encode(events(0, 3)))
    await bench.key_value.rpush(SPILL_KEY, b"unreadable")
    await bench.key_value.rpush(SPILL_KEY, encode(events(3, 3)))
    counted = Counted(bench.database)
    writer = bench.writer(bench.key_value, database=counted)
    writer._at_once = 3
    bench.database.away = True
    writer.start()

    async def tried() -> bool:
        return counted.transactions >= 2

    await bench.until(tried)
    bench.database.away = False

    async def all_there() -> bool:
        return await bench.stored() == list(range(6))

    await bench.until(all_there)
    await writer.stop()
    assert await bench.key_value.lrange(REJECTED_KEY, 0, -1) == [b"unreadable"]


async def test_what_is_left_in_redis_is_stored_when_redis_is_back_after_postgresql(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.key_value.rpush(SPILL_KEY, encode(events(0, 3)))

    async def away(*_arguments: Any) -> list[bytes]:
        raise KeyValueUnavailable("away")

    with monkeypatch.context() as without:
        without.setattr(bench.key_value, "lrange", away)
        without.setattr("nizam.switch.writer.LEFT_SECONDS", 0.05)
        writer = bench.writer(bench.key_value)
        writer.start()
        writer.add(events(3, 2))

        async def new_ones_there() -> bool:
            return await bench.stored() == [3, 4]

        await bench.until(new_ones_there)

    async def all_there() -> bool:
        return await bench.stored() == list(range(5))

    await bench.until(all_there)
    await writer.stop()


async def test_an_item_is_given_up_only_when_postgresql_blames_its_values(bench: Bench) -> None:
    await bench.database.pool.execute("alter table call_events rename to elsewhere")
    writer = bench.writer(bench.key_value)
    writer.start()
    safe: Deferred[None] = Deferred()
    batch = events(0, 2)
    batch.waiters.append(safe)
    writer.add(batch)
    await safe
    assert await bench.key_value.llen(REJECTED_KEY) == 0
    await bench.database.pool.execute("alter table elsewhere rename to call_events")

    async def all_there() -> bool:
        return await bench.stored() == [0, 1]

    await bench.until(all_there)
    await writer.stop()


async def test_legs_are_bounded_too_and_who_posted_them_is_told(bench: Bench) -> None:
    bench.database.away = True
    shed: list[int] = []
    writer = bench.writer(None, capacity=3, on_shed=lambda dropped: shed.append(len(dropped)))
    writer.start()
    waiters: list[Deferred[None]] = []
    for _ in range(5):
        waiters.append(Deferred())
        leg = Leg(leg_id=uuid4(), started_at=datetime(2026, 11, 24, tzinfo=UTC))
        writer.add(Batch([], [leg], [waiters[-1]]))
    assert (writer.buffered, shed) == (3, [1, 1])
    for waiter in waiters:
        with pytest.raises(DatabaseUnavailable):
            await waiter
    bench.database.away = False
    await writer.stop()


async def test_what_was_added_is_settled_when_it_can_no_longer_be_lost(bench: Bench) -> None:
    writer = bench.writer(None)
    writer.start()
    await writer.settled()
    bench.database.away = True
    writer.add(events(1, 3))
    settled = Deferred.fromCoroutine(writer.settled())

    async def spilling() -> bool:
        return writer.spilling

    await bench.until(spilling)
    assert not settled.called
    bench.database.away = False
    await settled
    assert await bench.stored() == [1, 2, 3]
    await writer.stop()


def decision(number: int) -> CallDecision:
    return CallDecision(
        decided_at=datetime(2026, 11, 24, tzinfo=UTC),
        channel_id="c",
        question=f"core {number}",
        tenant_id=uuid4(),
        call_id=uuid4(),
        node="fs1",
        revision=7,
        document=lambda: {"outcome": "routed", "xml": f"<d>{number}</d>"},
    )


async def test_how_calls_were_routed_goes_before_all_events_and_leaves_no_gap_in_them(
    bench: Bench,
) -> None:
    bench.database.away = True
    shed: list[int] = []
    writer = bench.writer(None, capacity=5, on_shed=lambda dropped: shed.append(len(dropped)))
    writer.start()
    writer.add(events(0, 4))
    writer.add(Batch(decisions=[decision(it) for it in range(3)]))
    assert (writer.buffered, shed) == (4, [])
    bench.database.away = False

    async def all_there() -> bool:
        return await bench.stored() == [0, 1, 2, 3]

    await bench.until(all_there)
    await writer.stop()


async def test_how_calls_were_routed_waits_in_redis_with_everything_else(bench: Bench) -> None:
    async def stored() -> list[str]:
        rows = await bench.database.pool.query(
            "select document ->> 'xml' from call_decisions order by question"
        )
        return [row[0] for row in rows]

    bench.database.away = True
    writer = bench.writer(bench.key_value, batch_items=2)
    writer.start()
    safe: Deferred[None] = Deferred()
    writer.add(Batch(waiters=[safe], decisions=[decision(it) for it in range(3)]))
    await safe
    assert await stored() == []
    bench.database.away = False
    writer.add(events(0, 1))

    async def all_there() -> bool:
        return await stored() == ["<d>0</d>", "<d>1</d>", "<d>2</d>"]

    await bench.until(all_there)
    await writer.stop()
