"""Nothing that was promised is lost when Redis, a worker or a message is."""

from __future__ import annotations

from typing import Any

import pytest

from nizam.errors import KeyValueUnavailable
from nizam.webhooks import recovery
from nizam.webhooks.lanes import FIRST_WINDOW
from nizam.webhooks.queue import PARTITIONS, DeliveryQueue, partition_of
from nizam.webhooks.worker import WebhookWorker
from tests.webhooks.conftest import Bench
from tests.webhooks.receiver import Answer


async def test_after_redis_lost_everything_all_is_delivered(bench: Bench) -> None:
    bench.receiver.behave["a"] = lambda _: Answer(seconds=0.01)
    webhooks = [await bench.add_webhook("a", max_in_flight=2) for _ in range(3)]
    worker = bench.start()
    events = [bench.event() for _ in range(40)]
    worker.enqueue((await bench.write(*events)).deliveries)
    await bench.until(lambda: len(bench.receiver.received) > 10)
    await bench.key_value.command("FLUSHALL")
    flushed = bench.reactor.seconds()
    for webhook in webhooks:
        await bench.until_statuses(webhook, *["succeeded"] * 40)
    assert bench.reactor.seconds() - flushed < 5
    assert set(bench.receiver.event_ids("a")) == {it.id for it in events}


async def test_a_delayed_retry_survives_a_flush_and_is_not_sent_early(bench: Bench) -> None:
    answers = [Answer(500), Answer(200)]
    bench.receiver.behave["a"] = lambda _: answers.pop(0)
    webhook = await bench.add_webhook("a", retry_schedule_seconds=[2])
    worker = bench.start(random=lambda: 0.5)
    worker.enqueue((await bench.write(bench.event())).deliveries)
    await bench.until(lambda: len(bench.receiver.received) == 1)
    await bench.until_statuses(webhook, "pending")
    await bench.key_value.command("FLUSHALL")
    await bench.until_statuses(webhook, "succeeded")
    first, second = bench.receiver.received
    assert second.at - first.at >= 1.9


async def test_what_never_reached_the_queue_is_swept_up(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "CHECK_SECONDS", 0.2)
    monkeypatch.setattr(recovery, "UNTOUCHED_SECONDS", 0.5)
    webhook = await bench.add_webhook("a")
    worker = bench.start()
    first = await bench.write(bench.event())
    worker.enqueue(first.deliveries)
    await bench.until_statuses(webhook, "succeeded")
    await bench.write(bench.event(), bench.event())
    await bench.until_statuses(webhook, "succeeded", "succeeded", "succeeded")


@pytest.mark.parametrize("flushed", [False, True])
async def test_what_a_killed_worker_held_is_delivered_by_another(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, flushed: bool
) -> None:
    """Also when Redis has lost its data meanwhile, and with it the name of the dead one."""
    monkeypatch.setattr(recovery, "CHECK_SECONDS", 0.2)
    monkeypatch.setattr(recovery, "SILENT_SECONDS", 1.0)
    answered: list[bool] = []
    bench.receiver.behave["a"] = lambda _: Answer(seconds=0.0 if answered else None)
    webhook = await bench.add_webhook("a")
    killed = bench.start("killed")
    events = [bench.event() for _ in range(20)]
    killed.enqueue((await bench.write(*events)).deliveries)
    await bench.until(lambda: bench.receiver.open["a"] == FIRST_WINDOW)
    assert set(await bench.statuses(webhook)) == {"delivering"}
    await bench.die(killed)
    assert set(await bench.statuses(webhook)) == {"delivering"}
    if flushed:
        await bench.key_value.command("FLUSHALL")
    answered.append(True)
    bench.start("another")
    await bench.until_statuses(webhook, *["succeeded"] * 20)
    assert set(bench.receiver.event_ids("a")) == {it.id for it in events}


async def test_a_worker_that_died_between_claims_is_reaped(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It had taken the ids from the queue, and not yet claimed them in PostgreSQL."""
    monkeypatch.setattr(recovery, "CHECK_SECONDS", 0.2)
    monkeypatch.setattr(recovery, "SILENT_SECONDS", 1.0)
    webhook = await bench.add_webhook("a")
    written = await bench.write(bench.event(), bench.event())
    await bench.queue.push(written.deliveries)
    for partition in range(PARTITIONS):
        await bench.queue.restore(partition, (), {}, "epoch")
        await bench.queue.claim(partition, "dead", 10, bench.reactor.seconds())
    bench.start("another")
    await bench.until_statuses(webhook, "succeeded", "succeeded")


async def test_a_graceful_stop_gives_back_what_was_not_sent(bench: Bench) -> None:
    bench.receiver.behave["a"] = lambda _: Answer(seconds=0.2)
    webhook = await bench.add_webhook("a", max_in_flight=2)
    worker = bench.start("first")
    worker.enqueue((await bench.write(*(bench.event() for _ in range(12)))).deliveries)
    await bench.until(lambda: bench.receiver.open["a"] == 2)
    await worker.stopService()
    statuses = await bench.statuses(webhook)
    assert sorted(set(statuses)) == ["pending", "succeeded"]
    depths = [await bench.queue.depth(it) for it in range(PARTITIONS)]
    assert sum(it.processing for it in depths) == 0
    # The first check after a start may hand in once more what was just written: harmless.
    assert sum(it.open for it in depths) >= statuses.count("pending")
    bench.start("second")
    await bench.until_statuses(webhook, *["succeeded"] * 12)
    assert len(bench.receiver.received) == 12


async def test_two_workers_send_nothing_twice(bench: Bench) -> None:
    webhook = await bench.add_webhook("a")
    workers = [bench.start("one"), bench.start("two")]
    pairs = (await bench.write(*(bench.event() for _ in range(100)))).deliveries
    for worker in workers:
        worker.enqueue(pairs)
    await bench.until_statuses(webhook, *["succeeded"] * 100)
    assert len(bench.receiver.received) == 100


async def test_deliveries_handed_in_while_redis_is_away_are_sent_when_it_is_back(
    bench: Bench,
) -> None:
    webhook = await bench.add_webhook("a")
    away: list[bool] = [True]

    class Flaky(DeliveryQueue):
        async def push(self, *args: Any, **kwargs: Any) -> None:
            if away:
                raise KeyValueUnavailable("away")
            await super().push(*args, **kwargs)

    bench.queue = Flaky(bench.key_value)
    worker: WebhookWorker = bench.start()
    worker.enqueue((await bench.write(bench.event())).deliveries)
    await bench.pause(0.3)
    assert bench.receiver.received == []
    away.clear()
    await bench.until_statuses(webhook, "succeeded")


async def test_what_was_claimed_by_an_answer_that_never_came_is_sent_all_the_same(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection ended after the script had run: nobody else may have it while we live."""
    lost: list[bytes] = []
    script = bench.key_value.script

    async def unlucky(name: str, *args: Any) -> Any:
        answer = await script(name, *args)
        if name == "webhook_claim" and answer[1] and not lost:
            lost.extend(answer[1])
            raise KeyValueUnavailable("the connection to Redis ended")
        return answer

    webhook = await bench.add_webhook("a")
    worker = bench.start()
    # Else it would be handed in again because nothing is there yet.
    await bench.until(lambda: bench.key_value.get("nizam:webhooks:{q15}:epoch"))
    monkeypatch.setattr(bench.key_value, "script", unlucky)
    worker.enqueue((await bench.write(*(bench.event() for _ in range(3)))).deliveries)
    await bench.until_statuses(webhook, *["succeeded"] * 3)
    assert len(lost) > 0
    assert len(bench.receiver.received) == 3


async def test_when_another_server_takes_over_what_it_lacks_is_handed_in_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It lacks items, and the turn of a webhook whose other items it has."""
    told: list[Any] = []

    def remember(_: str, tell: Any) -> Any:
        told.append(tell)
        return lambda: None

    monkeypatch.setattr(bench.key_value, "on_takeover", remember)
    answering: list[bool] = []
    bench.receiver.behave["a"] = lambda _: Answer(seconds=0.0 if answering else None)
    webhook = await bench.add_webhook("a", max_in_flight=1)
    worker = bench.start()
    worker.enqueue((await bench.write(*(bench.event() for _ in range(50)))).deliveries)
    await bench.until(lambda: bench.receiver.open["a"] == 1)
    partition = partition_of(webhook)
    ready = f"nizam:webhooks:{{q{partition}}}:ready:{webhook}"
    await bench.until(lambda: bench.key_value.llen(ready))
    await bench.key_value.ltrim(ready, 0, 0)
    await bench.key_value.delete(f"nizam:webhooks:{{q{partition}}}:ring")
    assert len(told) == PARTITIONS
    answering.append(True)
    told[partition]()
    bench.receiver.hang_up()
    await bench.until_statuses(webhook, *["succeeded"] * 50)
