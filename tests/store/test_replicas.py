"""Replicas by streaming replication: lists come from them, and nobody misses an own change."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults

from nizam.embedded.redis import PrivateRedis
from nizam.errors import DatabaseUnavailable
from nizam.store.pool import Pool
from nizam.store.positions import UNKNOWN
from nizam.store.replicas import Progress
from tests.daemon.process import frozen, until
from tests.store.conftest import make_tenant
from tests.store.replicated import Instance, Servers, Shares, instance, servers

pytestmark = pytest.mark.time_limit(40)


@pytest.fixture(scope="module")
def running(server_folder: Path) -> Iterator[Servers]:
    with servers(server_folder / "replicated") as made:
        yield made


@pytest_twisted.async_yield_fixture
async def one(running: Servers, redis_url: str) -> AsyncIterator[Instance]:
    async with instance(running, redis_url) as made:
        yield made
    running.let_replay()


async def a_tenant(of: Instance) -> tuple[UUID, UUID]:
    """A tenant and its extension."""
    acme = await make_tenant(of.store, f"t-{uuid4().hex[:12]}")
    made = await acme.create("extension", number="1001", display_name="first")
    return acme.tenant_id, made.id


async def caught_up(of: Instance) -> bool:
    await of.replicas.look()
    known = of.replicas._progress.at(reactor.seconds())
    return known is not None and all(it.replayed >= known for it in of.replicas.all)


# -- where the primary was -----------------------------------------------------------------------


def test_how_far_behind_a_position_is_follows_from_where_the_primary_was() -> None:
    progress = Progress()
    assert progress.at(0.0) is None
    for moment, position in ((10.0, 100), (11.0, 100), (12.0, 200), (13.0, 300)):
        progress.note(moment, position)
    assert [progress.at(it) for it in (5.0, 10.0, 11.9, 12.0, 20.0)] == [100, 100, 100, 200, 300]
    assert [progress.behind(14.0, it) for it in (300, 299, 200, 150, 100, 50)] == [
        0.0,
        1.0,
        1.0,
        2.0,
        2.0,
        4.0,
    ]
    # Another server was promoted that had not everything.
    progress.note(15.0, 250)
    assert progress.behind(16.0, 250) == 0.0


# -- own changes ---------------------------------------------------------------------------------


async def test_an_own_change_is_seen_at_once_and_others_are_read_from_the_replicas(
    one: Instance, running: Servers, redis_url: str
) -> None:
    tenant_id, extension_id = await a_tenant(one)
    assert await until(reactor, lambda: caught_up(one), 5.0)
    for it in running.replicas:
        it.ask("select pg_wal_replay_pause()")
    async with instance(running, redis_url) as two:
        shares = Shares()
        for number in range(5):
            name = f"name {number}"
            await one.change(tenant_id, extension_id, name)
            # On this instance and on any other.
            assert await one.names(tenant_id) == [name]
            assert await two.names(tenant_id) == [name]
        assert shares.now() == {("primary", "own_change"): 10}
        # Somebody who has changed nothing may be shown what was.
        shares = Shares()
        assert await one.names(None, of=tenant_id) == ["first"]
        assert list(shares.now()) in ([("replica1", "replica")], [("replica2", "replica")])
        # Once it is replayed, the replicas answer again.
        running.let_replay()
        shares = Shares()

        async def replayed() -> bool:
            assert await two.names(tenant_id) == ["name 4"]
            return any(why == "replica" for _, why in shares.now())

        assert await until(reactor, replayed, 5.0)


async def test_a_change_that_failed_on_the_way_may_have_been_made(one: Instance) -> None:
    tenant_id, _ = await a_tenant(one)

    async def lost() -> None:
        raise DatabaseUnavailable("the connection ended")

    with pytest.raises(DatabaseUnavailable):
        await one.store.changing([tenant_id], lost())
    assert await one.replicas._positions.needed([tenant_id]) == UNKNOWN
    shares = Shares()
    await one.names(tenant_id)
    assert shares.now() == {("primary", "own_change"): 1}


async def test_without_redis_nobody_knows_who_changed_what_elsewhere(
    one: Instance, redis_server: PrivateRedis
) -> None:
    tenant_id, _ = await a_tenant(one)
    with frozen(redis_server.pid):
        shares = Shares()
        began = reactor.seconds()
        for _ in range(20):
            await one.names(tenant_id)
        assert shares.now() == {("primary", "unknown"): 20}
        # One of them has waited for Redis.
        assert reactor.seconds() - began < 2.0


@pytest.mark.parametrize(
    ("most", "tenants"),
    [
        (300, 6),
        pytest.param(100_000, 12, marks=[pytest.mark.rehearsal, pytest.mark.time_limit(7200)]),
    ],
)
async def test_no_stale_read_after_an_own_change_while_replicas_lag_500_ms(
    most: int, tenants: int, running: Servers, redis_url: str
) -> None:
    running.delay(500)
    try:
        await _changes_and_reads(running, redis_url, most, tenants)
    finally:
        running.let_replay()


async def _changes_and_reads(of: Servers, redis_url: str, most: int, tenants: int) -> None:
    """So many changes on one instance and reads on another, while others read too."""
    stale = done = refused = 0
    others = {"reads": 0, "behind": 0}
    shares = Shares()
    began = reactor.seconds()
    async with instance(of, redis_url) as one, instance(of, redis_url) as two:
        owned = [await a_tenant(one) for _ in range(tenants)]

        async def go(number: int) -> None:
            nonlocal stale, done, refused
            tenant_id, extension_id = owned[number]
            while done < most:
                done += 1
                name = f"name {done}"
                writer, reader = (one, two) if done % 2 else (two, one)
                try:
                    await writer.change(tenant_id, extension_id, name)
                    seen = await reader.names(tenant_id)
                except DatabaseUnavailable:
                    # As a request answered 503, on a machine with too much to do.
                    done, refused = done - 1, refused + 1
                    continue
                stale += seen != [name]
                if done % 3 == 0:
                    shown = await reader.names(None, of=tenant_id)
                    others["reads"] += 1
                    others["behind"] += shown != [name]

        await gatherResults(
            [Deferred.fromCoroutine(go(number)) for number in range(tenants)], consumeErrors=True
        )
    seconds = reactor.seconds() - began
    print(
        f"\n{done} changes, each read by its own caller on the other instance: {stale} stale, "
        f"{refused} answered 503; {others['reads']} reads of others, "
        f"{others['behind']} of them behind; {seconds:.0f} s; reads went {shares.now()}"
    )
    assert stale == 0
    assert refused <= most // 1000
    # The replica was really behind, and really read from.
    assert others["behind"] > 0
    assert any(why == "replica" for _, why in shares.now())


# -- lag, loss and return ------------------------------------------------------------------------


async def test_a_replica_too_far_behind_is_not_read_from(running: Servers, redis_url: str) -> None:
    async with instance(running, redis_url, most_behind=0.2) as one:
        tenant_id, extension_id = await a_tenant(one)
        assert await until(reactor, lambda: caught_up(one), 5.0)
        held, other = running.replicas
        held.ask("select pg_wal_replay_pause()")
        await one.change(tenant_id, extension_id, "second")
        assert await until(reactor, lambda: _behind(one, 0) > 0.2, 5.0)
        shares = Shares()
        for _ in range(10):
            assert await one.names(None, of=tenant_id) == ["second"]
        assert shares.now() == {("replica2", "replica"): 10}
        other.ask("select pg_wal_replay_pause()")
        await one.change(tenant_id, extension_id, "third")
        assert await until(reactor, lambda: _behind(one, 1) > 0.2, 5.0)
        shares = Shares()
        assert await one.names(None, of=tenant_id) == ["third"]
        assert shares.now() == {("primary", "lag"): 1}
        running.let_replay()
        assert await until(reactor, lambda: caught_up(one), 5.0)
        shares = Shares()
        for _ in range(10):
            assert await one.names(None, of=tenant_id) == ["third"]
        assert shares.now() == {("replica1", "replica"): 5, ("replica2", "replica"): 5}


def _behind(of: Instance, number: int) -> float:
    replica = of.replicas.all[number]
    return of.replicas._progress.behind(reactor.seconds(), replica.replayed)


@pytest.mark.parametrize("how", ["killed", "frozen"])
async def test_a_replica_is_lost_and_returns_without_a_failed_read(
    how: str, one: Instance, running: Servers
) -> None:
    tenant_id, _ = await a_tenant(one)
    assert await until(reactor, lambda: caught_up(one), 5.0)
    lost = running.replicas[0]
    slow = 0
    reads = 0

    async def read(seconds: float) -> None:
        nonlocal slow, reads
        end = reactor.seconds() + seconds
        while (now := reactor.seconds()) < end:
            assert await one.names(None, of=tenant_id) == ["first"]
            reads += 1
            slow += reactor.seconds() - now > 0.5

    async def read_without_it(seconds: float) -> Shares:
        await read(seconds)
        # The first that was sent there; after that nobody waits.
        assert slow <= 1
        shares = Shares()
        await read(0.1)
        return shares

    if how == "killed":
        lost.kill()
        try:
            shares = await read_without_it(1.5)
        finally:
            # The tests that follow need it.
            lost.start()
    else:
        with frozen(lost.pid):
            shares = await read_without_it(1.5)
    assert set(shares.now()) == {("replica2", "replica")}
    assert reads > 50

    async def back() -> bool:
        shares = Shares()
        await read(0.05)
        return ("replica1", "replica") in shares.now()

    assert await until(reactor, back, 10.0)


async def test_with_no_replica_left_the_primary_answers(one: Instance, running: Servers) -> None:
    tenant_id, _ = await a_tenant(one)
    for it in running.replicas:
        it.kill()
    try:
        shares = Shares()
        for _ in range(5):
            assert await one.names(None, of=tenant_id) == ["first"]
        assert shares.now() == {("primary", "lost"): 5}
    finally:
        # The tests that follow need them.
        for it in running.replicas:
            it.start()


async def test_a_promoted_replica_is_found_by_the_pool(running: Servers) -> None:
    """The last one: it leaves the servers as they are after a failover."""
    addresses = [f"{it.host}:{it.port}" for it in (running.primary, *running.replicas)]
    dsn = running.primary.dsn().replace(addresses[0], ",".join(addresses))
    pool = Pool(reactor, f"{dsn}?target_session_attrs=read-write", 3, "test", deadline=1.0)
    await pool.start()
    try:
        assert await pool.execute("update platform_state set revision = revision") == 1
        running.primary.kill()
        with pytest.raises(DatabaseUnavailable):
            await pool.execute("update platform_state set revision = revision")
        promoted = running.replicas[1]
        promoted.promote()
        began = reactor.seconds()

        async def again() -> bool:
            try:
                return await pool.execute("update platform_state set revision = revision") == 1
            except DatabaseUnavailable:
                return False

        assert await until(reactor, again, 8.0)
        print(f"\nfound {reactor.seconds() - began:.2f} s after the promotion")
        assert await pool.query("select inet_server_port()") == [(promoted.port,)]
    finally:
        await pool.stop()
