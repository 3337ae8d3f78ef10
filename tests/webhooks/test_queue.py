"""The work queue's promises, over a real Redis."""

from __future__ import annotations

from uuid import UUID

import pytest

from nizam.model.identifiers import new_id
from nizam.webhooks.queue import PARTITIONS, Depth, Fate, partition_of
from tests.webhooks.conftest import Bench

WEBHOOK = UUID("01900000-0000-7000-8000-000000000003")
PARTITION = 3


def test_a_webhook_belongs_to_one_of_sixteen_partitions() -> None:
    assert partition_of(WEBHOOK) == PARTITION
    assert {partition_of(new_id()) for _ in range(1000)} == set(range(PARTITIONS))


async def test_ids_are_claimed_once_in_the_order_of_being_handed_in(bench: Bench) -> None:
    ids = [new_id() for _ in range(5)]
    await bench.queue.push([(it, WEBHOOK) for it in ids])
    first = await bench.queue.claim(PARTITION, "one", 3, 100.0)
    second = await bench.queue.claim(PARTITION, "two", 3, 100.0)
    assert (first.ids, first.left) == (tuple(ids[:3]), 2)
    assert (second.ids, second.left) == (tuple(ids[3:]), 0)


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
        await bench.queue.settle(PARTITION, "one", {delivery: fate})
    assert await bench.queue.depth(PARTITION) == depth


async def test_settling_takes_all_copies_of_an_id_that_was_handed_in_twice(bench: Bench) -> None:
    delivery = new_id()
    await bench.queue.push([(delivery, WEBHOOK), (delivery, WEBHOOK)])
    await bench.queue.claim(PARTITION, "one", 2, 100.0)
    await bench.queue.settle(PARTITION, "one", {delivery: 160.0})
    assert await bench.queue.depth(PARTITION) == Depth(0, 0, 1, 0, ())


async def test_a_delayed_id_comes_back_when_it_is_due(bench: Bench) -> None:
    delivery = new_id()
    await bench.queue.push([(delivery, WEBHOOK)], {delivery: 160.0})
    assert (await bench.queue.claim(PARTITION, "one", 1, 159.9)).ids == ()
    assert (await bench.queue.claim(PARTITION, "one", 1, 160.0)).ids == (delivery,)


async def test_what_a_silent_worker_holds_is_returned_to_the_head(bench: Bench) -> None:
    ids = [new_id() for _ in range(3)]
    await bench.queue.push([(it, WEBHOOK) for it in ids])
    await bench.queue.claim(PARTITION, "silent", 2, 100.0)
    await bench.queue.claim(PARTITION, "alive", 0, 120.0)
    assert (await bench.queue.depth(PARTITION, 110.0)).silent == ("silent",)
    assert await bench.queue.reap(PARTITION, "silent", 110.0) == 2
    assert (await bench.queue.claim(PARTITION, "alive", 3, 120.0)).ids == tuple(ids)


async def test_a_worker_that_spoke_up_again_is_spared(bench: Bench) -> None:
    await bench.queue.push([(new_id(), WEBHOOK)])
    await bench.queue.claim(PARTITION, "one", 1, 100.0)
    assert await bench.queue.reap(PARTITION, "one", 100.0) == 0


async def test_the_epoch_shows_whether_the_partition_lost_its_data(bench: Bench) -> None:
    assert (await bench.queue.claim(PARTITION, "one", 1, 100.0)).epoch == ""
    ids = [new_id() for _ in range(2500)]
    await bench.queue.restore(PARTITION, ids, {ids[0]: 160.0}, "epoch-1")
    claim = await bench.queue.claim(PARTITION, "one", 1, 100.0)
    assert (claim.epoch, claim.left) == ("epoch-1", 2498)


async def test_replaying_takes_a_delivery_off_the_dead(bench: Bench) -> None:
    delivery = new_id()
    await bench.queue.settle(PARTITION, "one", {delivery: "dead"})
    await bench.queue.push([(delivery, WEBHOOK)])
    assert await bench.queue.depth(PARTITION) == Depth(1, 0, 0, 0, ())
