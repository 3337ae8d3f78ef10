"""One instance leads at any time; another one does within seconds when it dies or stops."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from twisted.internet.defer import Deferred

from nizam.ops.leader import LEASE_SECONDS, RENEW_SECONDS
from nizam.store.pool import Pool, Transaction
from nizam.store.system.leases import Lease, LeaseLostError, hold, take_lease
from tests.ops.conftest import Instance

Instances = Callable[..., Instance]


async def dies(instance: Instance, pool: Pool) -> None:
    """The instance is heard of no more, and its lease ends."""
    await pool.execute("update leases set expires_at = now()")


async def test_one_of_two_leads_for_as_long_as_it_renews(instances: Instances) -> None:
    one, two = await instances("one").start(), await instances("two").start()
    for _ in range(3):
        assert (one.leads, two.leads) == (True, False)
        await one.pass_time(LEASE_SECONDS)
        await two.pass_time(LEASE_SECONDS)


async def test_when_the_leader_dies_the_other_leads_with_a_higher_token(
    instances: Instances, pool: Pool
) -> None:
    one, two = await instances("one").start(), await instances("two").start()
    first = one.leader.lease
    assert first is not None
    await dies(one, pool)
    await two.pass_time(RENEW_SECONDS)
    second = two.leader.lease
    assert second is not None
    assert second.token > first.token
    # The former one does not come back while the other leads, and knows so.
    await one.pass_time(RENEW_SECONDS)
    assert not one.leads


async def test_a_leader_that_cannot_renew_knows_when_its_lease_has_ended(
    instances: Instances,
) -> None:
    one = await instances("one").start()
    one.clock.advance(LEASE_SECONDS - 0.1)
    assert one.leads
    one.clock.advance(0.1)
    assert not one.leads


async def test_a_clean_stop_hands_the_lease_on_at_once(instances: Instances) -> None:
    one, two = await instances("one").start(), await instances("two").start()
    await one.stop()
    assert not one.leads
    await two.pass_time(RENEW_SECONDS)
    assert two.leads


async def test_what_is_done_under_a_former_lease_has_no_effect(
    instances: Instances, pool: Pool
) -> None:
    one = await instances("one").start()
    former = one.leader.lease
    assert former is not None
    await pool.transaction(lambda it: hold(it, former))
    await dies(one, pool)
    two = await instances("two").start()
    assert two.leads
    with pytest.raises(LeaseLostError):
        await pool.transaction(lambda it: hold(it, former))


async def test_a_lease_changes_hands_only_when_work_under_it_has_ended(
    instances: Instances, pool: Pool
) -> None:
    one = await instances("one").start()
    lease = one.leader.lease
    assert lease is not None
    await dies(one, pool)
    taking: list[Deferred[Lease | None]] = []

    async def work(transaction: Transaction) -> None:
        await hold(transaction, lease)
        taking.append(Deferred.fromCoroutine(take_lease(pool, lease.name, "two", 60)))
        # An answer of PostgreSQL to somebody else, who would have come after it.
        await pool.query("select pg_sleep(0.05)")
        assert not taking[0].called

    await pool.transaction(work)
    taken = await taking[0]
    assert taken is not None
    assert taken.token > lease.token
