"""The work queue's promises, over a real Redis."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

import pytest

from nizam.model.identifiers import new_id
from nizam.webhooks.queue import PARTITIONS, USUAL, Depth, Fate, Item, partition_of
from tests.webhooks.conftest import Bench

WEBHOOK = UUID("01900000-0000-7000-8000-000000000003")
OTHER = UUID("01900000-0000-7000-8000-000000000013")
THIRD = UUID("01900000-0000-7000-8000-000000000023")
PARTITION = 3


def items_of(webhook_id: UUID, count: int) -> list[Item]:
    return [(new_id(), webhook_id) for _ in range(count)]


def test_a_webhook_belongs_to_one_of_sixteen_partitions() -> None:
    assert partition_of(WEBHOOK) == PARTITION
    assert {partition_of(new_id()) for _ in range(1000)} == set(range(PARTITIONS))


async def test_ids_are_claimed_once_in_the_order_of_being_handed_in(bench: Bench) -> None:
    items = items_of(WEBHOOK, 5)
    await bench.queue.push(items)
    first = await bench.queue.claim(PARTITION, "one", 3, 100.0)
    second = await bench.queue.claim(PARTITION, "two", 3, 100.0)
    assert (first.items, first.more, set(first.left)) == (tuple(items[:3]), True, {WEBHOOK})
    assert (second.items, second.more, second.left) == (tuple(items[3:]), False, frozenset())


async def test_webhooks_of_a_partition_take_turns_whatever_their_backlogs(bench: Bench) -> None:
    busy, quiet = items_of(WEBHOOK, 1000), items_of(OTHER, 3)
    await bench.queue.push([*busy, *quiet])
    claim = await bench.queue.claim(PARTITION, "one", 40, 100.0)
    assert Counter(it[1] for it in claim.items) == {WEBHOOK: 37, OTHER: 3}
    assert set(quiet) < set(claim.items)


async def test_a_worker_is_given_of_each_webhook_what_it_can_use(bench: Bench) -> None:
    down, slow, unknown = items_of(WEBHOOK, 50), items_of(OTHER, 50), items_of(THIRD, 100)
    await bench.queue.push([*down, *slow, *unknown])
    allowed = {WEBHOOK: 0, OTHER: 5}
    claim = await bench.queue.claim(PARTITION, "one", 200, 100.0, allowed)
    assert Counter(it[1] for it in claim.items) == {OTHER: 5, THIRD: USUAL}
    assert (claim.more, set(claim.left)) == (False, {WEBHOOK, OTHER, THIRD})
    # What it could not use is where it was, in its order, for whoever can.
    other = await bench.queue.claim(PARTITION, "two", 1000, 100.0, {WEBHOOK: 1000})
    assert [it for it in other.items if it[1] == WEBHOOK] == down


async def test_a_rate_is_shared_by_all_who_reserve(bench: Bench) -> None:
    first = await bench.queue.reserve(WEBHOOK, 10, 3)
    second = await bench.queue.reserve(WEBHOOK, 10, 2)
    third = await bench.queue.reserve(WEBHOOK, 10, 1)
    assert first == 0.0
    assert 0.25 < second <= 0.3
    assert 0.4 < third <= 0.5
    assert await bench.queue.reserve(OTHER, 10, 1) == 0.0


@pytest.mark.parametrize(
    ("fate", "depth"),
    [
        ("ack", Depth(0, 0, 0, 0, ())),
        ("dead", Depth(0, 0, 0, 1, ())),
        (160.0, Depth(0, 0, 1, 0, ())),
    ],
)
async def test_settling_takes_an_id_from_its_worker_and_twice_is_harmless(
    bench: Bench, fate: Fate, depth: Depth
) -> None:
    delivery = new_id()
    await bench.queue.push([(delivery, WEBHOOK)])
    await bench.queue.claim(PARTITION, "one", 1, 100.0)
    assert await bench.queue.depth(PARTITION) == Depth(0, 1, 0, 0, ())
    for _ in range(1 if fate == "dead" else 2):
        await bench.queue.settle(PARTITION, "one", {(delivery, WEBHOOK): fate}, 100.0)
    assert await bench.queue.depth(PARTITION) == depth


async def test_settling_takes_all_copies_of_an_id_that_was_handed_in_twice(bench: Bench) -> None:
    delivery = new_id()
    await bench.queue.push([(delivery, WEBHOOK), (delivery, WEBHOOK)])
    await bench.queue.claim(PARTITION, "one", 2, 100.0)
    await bench.queue.settle(PARTITION, "one", {(delivery, WEBHOOK): 160.0}, 100.0)
    assert await bench.queue.depth(PARTITION) == Depth(0, 0, 1, 0, ())


async def test_a_delayed_id_comes_back_when_it_is_due(bench: Bench) -> None:
    delivery = new_id()
    await bench.queue.push([(delivery, WEBHOOK)], {delivery: 160.0})
    assert (await bench.queue.claim(PARTITION, "one", 1, 159.9)).items == ()
    assert (await bench.queue.claim(PARTITION, "one", 1, 160.0)).items == ((delivery, WEBHOOK),)


async def test_what_a_silent_worker_holds_is_returned_to_the_head(bench: Bench) -> None:
    items = items_of(WEBHOOK, 3)
    await bench.queue.push(items)
    await bench.queue.claim(PARTITION, "silent", 2, 100.0)
    await bench.queue.claim(PARTITION, "alive", 0, 120.0)
    assert (await bench.queue.depth(PARTITION, 110.0)).silent == ("silent",)
    assert await bench.queue.reap(PARTITION, "silent", 110.0) == 2
    assert (await bench.queue.claim(PARTITION, "alive", 3, 120.0)).items == tuple(items)


async def test_a_worker_that_spoke_up_again_is_spared(bench: Bench) -> None:
    await bench.queue.push([(new_id(), WEBHOOK)])
    await bench.queue.claim(PARTITION, "one", 1, 100.0)
    assert await bench.queue.reap(PARTITION, "one", 100.0) == 0


async def test_the_epoch_shows_whether_the_partition_lost_its_data(bench: Bench) -> None:
    assert (await bench.queue.claim(PARTITION, "one", 1, 100.0)).epoch == ""
    items = items_of(WEBHOOK, 2500)
    await bench.queue.restore(PARTITION, items, {items[0][0]: 160.0}, "epoch-1")
    assert (await bench.queue.claim(PARTITION, "one", 1, 100.0)).epoch == "epoch-1"
    assert await bench.queue.depth(PARTITION) == Depth(2498, 1, 1, 0, ())


async def test_replaying_takes_a_delivery_off_the_dead(bench: Bench) -> None:
    delivery = new_id()
    await bench.queue.settle(PARTITION, "one", {(delivery, WEBHOOK): "dead"}, 100.0)
    await bench.queue.push([(delivery, WEBHOOK)])
    assert await bench.queue.depth(PARTITION) == Depth(1, 0, 0, 0, ())
