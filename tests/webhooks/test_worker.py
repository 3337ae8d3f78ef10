"""From a stored event to the endpoint, over real servers."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
import standardwebhooks

from nizam.errors import InternalError, KeyValueUnavailable
from nizam.model.events import envelope_bytes
from nizam.model.identifiers import new_id
from nizam.store import deliveries as tenant_deliveries
from nizam.store import replays
from nizam.webhooks.queue import DeliveryQueue, partition_of
from nizam.webhooks.signing import new_secret
from tests.event_types import check_event
from tests.webhooks.conftest import Bench
from tests.webhooks.receiver import Answer, Received


async def test_an_event_arrives_signed_word_for_word_and_is_accounted_for(bench: Bench) -> None:
    webhook = await bench.add_webhook("a", headers={"X-Team": "blue"})
    worker = bench.start()
    event = bench.event()
    worker.enqueue((await bench.write(event)).deliveries)
    await bench.until_statuses(webhook, "succeeded")
    (seen,) = bench.receiver.received
    assert seen.body == envelope_bytes(event)
    assert seen.headers["webhook-id"] == event.id
    assert seen.headers["x-team"] == "blue"
    assert seen.headers["content-type"] == "application/json"
    standardwebhooks.Webhook(bench.secrets[webhook]).verify(seen.body, seen.headers)
    (attempt,) = await bench.attempts(webhook)
    assert (attempt.number, attempt.response_status, attempt.error) == (1, 204, None)


@pytest.mark.parametrize(
    ("fields", "kind", "data", "wanted"),
    [
        ({"event_types": ["*"]}, "call.ended", {}, True),
        ({"event_types": ["call.*"]}, "call.ended", {}, True),
        ({"event_types": ["call.ended"]}, "call.ended", {}, True),
        ({"event_types": ["call.started"]}, "call.ended", {}, False),
        ({"event_types": ["registration.*"]}, "call.ended", {}, False),
        ({"enabled": False}, "call.ended", {}, False),
        ({"status": "disabled"}, "call.ended", {}, False),
        ({"status": "paused"}, "call.ended", {}, True),
        ({"filter": {"did": "+4930123"}}, "call.ended", {"to": "+4930123"}, True),
        ({"filter": {"did": "+4930123"}}, "call.ended", {"to": "+4930124"}, False),
        ({"filter": {"extension_id": "e1"}}, "call.ended", {"extension_id": "e1"}, True),
        ({"filter": {"extension_id": "e1"}}, "call.ended", {"extension_ids": ["e0", "e1"]}, True),
        ({"filter": {"extension_id": "e1"}}, "call.ended", {"extension_id": "e2"}, False),
    ],
)
async def test_events_are_matched_to_webhooks_as_they_are_stored(
    bench: Bench, fields: dict[str, object], kind: str, data: dict[str, object], wanted: bool
) -> None:
    webhook = await bench.add_webhook("a", **fields)
    written = await bench.write(bench.event(kind, data=data))
    assert [it[1] for it in written.deliveries] == [webhook] * wanted


async def test_after_a_push_that_redis_refused_at_once_the_next_is_pushed_too(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = bench.start()
    pushed: list[object] = []

    async def refuse(_queue: DeliveryQueue, items: object) -> None:
        raise KeyValueUnavailable("there is no connection to Redis")

    async def take(_queue: DeliveryQueue, items: object, _due: object = None) -> None:
        pushed.append(items)

    monkeypatch.setattr(DeliveryQueue, "push", refuse)
    worker.enqueue([(new_id(), new_id())])
    monkeypatch.setattr(DeliveryQueue, "push", take)
    pair = (new_id(), new_id())
    worker.enqueue([pair])
    assert pushed == [[pair]]


async def test_another_tenants_events_are_not_sent(bench: Bench) -> None:
    await bench.add_webhook("a")
    written = await bench.write(bench.event(tenant_id=new_id()), bench.event(tenant_id=None))
    assert written.deliveries == ()


async def test_an_event_that_is_stored_twice_is_promised_once(bench: Bench) -> None:
    await bench.add_webhook("a")
    event = bench.event()
    assert len((await bench.write(event)).deliveries) == 1
    assert (await bench.write(event)).deliveries == ()


@pytest.mark.parametrize(
    ("status", "statuses", "requests"),
    [
        (200, ["succeeded"], 1),
        (299, ["succeeded"], 1),
        (302, ["dead"], 2),
        (400, ["dead"], 2),
        (500, ["dead"], 2),
        (410, ["dead"], 1),
    ],
)
async def test_an_answer_ends_a_delivery(
    bench: Bench, status: int, statuses: list[str], requests: int
) -> None:
    headers = (("Location", bench.receiver.url("elsewhere")),)
    bench.receiver.behave["a"] = lambda _: Answer(status, headers, b"because \x00 of this")
    webhook = await bench.add_webhook("a", retry_schedule_seconds=[1])
    worker = bench.start(random=lambda: 0.0)
    worker.enqueue((await bench.write(bench.event())).deliveries)
    await bench.until_statuses(webhook, *statuses)
    assert len(bench.receiver.on("a")) == requests
    assert bench.receiver.on("elsewhere") == []
    attempts = await bench.attempts(webhook)
    assert [it.response_status for it in attempts] == [status] * requests
    assert attempts[0].response_head == "because \ufffd of this"


async def test_every_attempt_has_the_same_id_and_body(bench: Bench) -> None:
    bench.receiver.behave["a"] = lambda _: Answer(500 if len(bench.receiver.received) < 3 else 200)
    webhook = await bench.add_webhook("a")
    worker = bench.start()
    worker.enqueue((await bench.write(bench.event())).deliveries)
    await bench.until_statuses(webhook, "succeeded")
    assert len({(it.headers["webhook-id"], it.body) for it in bench.receiver.received}) == 1
    assert len(bench.receiver.received) == 3
    for seen in bench.receiver.received:
        standardwebhooks.Webhook(bench.secrets[webhook]).verify(seen.body, seen.headers)


async def test_retry_after_is_waited_for(bench: Bench) -> None:
    answers = [Answer(503, (("Retry-After", "2"),)), Answer(200)]
    bench.receiver.behave["a"] = lambda _: answers.pop(0)
    webhook = await bench.add_webhook("a")
    worker = bench.start(random=lambda: 0.0)
    worker.enqueue((await bench.write(bench.event())).deliveries)
    await bench.until_statuses(webhook, "succeeded")
    first, second = bench.receiver.received
    assert second.at - first.at >= 1.9


async def test_410_disables_the_webhook_and_tells_the_others(bench: Bench) -> None:
    bench.receiver.behave["gone"] = lambda _: Answer(410)
    gone = await bench.add_webhook("gone", event_types=["call.*"])
    await bench.add_webhook("other", event_types=["webhook.disabled"])
    worker = bench.start()
    worker.enqueue((await bench.write(bench.event())).deliveries)
    await bench.until(lambda: bench.receiver.on("other"))
    (told,) = bench.receiver.on("other")
    assert check_event(told.event) == "webhook.disabled"
    assert told.event["data"]["webhook_id"] == str(gone)
    assert (await bench.write(bench.event())).deliveries == ()
    assert await bench.statuses(gone) == ["dead"]


async def test_nothing_but_failures_for_five_days_disables_the_webhook(bench: Bench) -> None:
    bench.receiver.behave["a"] = lambda _: Answer(500)
    webhook = await bench.add_webhook("a")
    await bench.add_webhook("other", event_types=["webhook.disabled"])
    await bench.database.query(
        "insert into webhook_states (webhook_id, tenant_id, failing_since) values (%s, %s, %s)",
        (webhook, bench.tenant_id, datetime.now(UTC) - timedelta(days=5, minutes=1)),
    )
    worker = bench.start()
    worker.enqueue((await bench.write(bench.event(), bench.event())).deliveries)
    await bench.until(lambda: bench.receiver.on("other"))
    await bench.until_statuses(webhook, "dead", "dead")


async def test_a_success_ends_the_count_of_days(bench: Bench) -> None:
    answers = [Answer(200), Answer(500), Answer(200)]
    bench.receiver.behave["a"] = lambda _: answers.pop(0)
    webhook = await bench.add_webhook("a", max_in_flight=1)
    await bench.database.query(
        "insert into webhook_states (webhook_id, tenant_id, failing_since) values (%s, %s, %s)",
        (webhook, bench.tenant_id, datetime.now(UTC) - timedelta(days=6)),
    )
    worker = bench.start()
    worker.enqueue((await bench.write(bench.event())).deliveries)
    await bench.until_statuses(webhook, "succeeded")
    worker.enqueue((await bench.write(bench.event())).deliveries)
    await bench.until_statuses(webhook, "succeeded", "succeeded")
    assert (await tenant_deliveries.stats(bench.database, webhook)).failing_since is None


async def test_an_endpoint_that_never_answers_delays_no_other(bench: Bench) -> None:
    bench.receiver.behave["slow"] = lambda _: Answer(seconds=None)
    await bench.add_webhook("slow", timeout_seconds=5)
    healthy = await bench.add_webhook("healthy")
    worker = bench.start(concurrency=4)
    for _ in range(10):
        worker.enqueue((await bench.write(*(bench.event() for _ in range(5)))).deliveries)
    await bench.until_statuses(healthy, *["succeeded"] * 50)
    assert bench.receiver.on("slow")


@pytest.mark.parametrize(("own", "settings", "most"), [(3, 8, 3), (10, 2, 2)])
async def test_an_endpoint_never_gets_more_at_once_than_it_takes(
    bench: Bench, own: int, settings: int, most: int
) -> None:
    bench.receiver.behave["a"] = lambda _: Answer(seconds=0.02)
    webhook = await bench.add_webhook("a", max_in_flight=own)
    worker = bench.start(endpoint_concurrency=settings)
    worker.enqueue((await bench.write(*(bench.event() for _ in range(60)))).deliveries)
    await bench.until_statuses(webhook, *["succeeded"] * 60)
    assert bench.receiver.most_open["a"] == most


async def test_an_endpoints_rate_is_kept(bench: Bench) -> None:
    webhook = await bench.add_webhook("a", rate_per_second=20)
    worker = bench.start()
    worker.enqueue((await bench.write(*(bench.event() for _ in range(21)))).deliveries)
    await bench.until_statuses(webhook, *["succeeded"] * 21)
    times = [it.at for it in bench.receiver.received]
    # Moments are reserved a quarter of a second ahead: the first may be late by that.
    assert times[-1] - times[0] >= 0.75


async def test_an_ordered_webhook_gets_the_events_of_a_call_in_order(bench: Bench) -> None:
    failed: set[str] = set()

    def fail_once(seen: Received) -> Answer:
        again = seen.headers["webhook-id"] in failed or seen.event["data"]["number"] % 3
        failed.add(seen.headers["webhook-id"])
        return Answer(200 if again else 500, seconds=0.01)

    bench.receiver.behave["a"] = fail_once
    webhook = await bench.add_webhook("a", ordered=True)
    calls = [new_id(), new_id()]
    events = [bench.event(call_id=calls[n % 2], type="call.dtmf") for n in range(10)]
    worker = bench.start()
    written = await bench.write(*events)
    worker.enqueue(reversed(written.deliveries))
    await bench.until_statuses(webhook, *["succeeded"] * 10)
    for call in calls:
        numbers = [
            it.event["data"]["number"]
            for it in bench.receiver.on("a")
            if it.event["call_id"] == str(call)
        ]
        assert numbers == sorted(numbers)


async def test_a_paused_webhook_holds_its_deliveries_until_it_is_resumed(bench: Bench) -> None:
    webhook = await bench.add_webhook("a")
    other = await bench.add_webhook("b")
    worker = bench.start()
    await bench.set_status(webhook, "paused")
    worker.enqueue((await bench.write(bench.event(), bench.event())).deliveries)
    await bench.until_statuses(other, "succeeded", "succeeded")
    assert await bench.statuses(webhook) == ["pending", "pending"]
    await bench.set_status(webhook, "active")
    worker.enqueue(await tenant_deliveries.wake(bench.database, webhook))
    await bench.until_statuses(webhook, "succeeded", "succeeded")


async def test_a_dead_delivery_is_replayed_with_a_new_schedule(bench: Bench) -> None:
    answers = [Answer(500)] * 3 + [Answer(200)]
    bench.receiver.behave["a"] = lambda _: answers.pop(0)
    webhook = await bench.add_webhook("a", retry_schedule_seconds=[1])
    worker = bench.start(random=lambda: 0.0)
    event = bench.event()
    worker.enqueue((await bench.write(event)).deliveries)
    await bench.until_statuses(webhook, "dead")
    depths = [await bench.queue.depth(it) for it in range(16)]
    assert sum(it.dead for it in depths) == 1
    (dead,) = await bench.ids(webhook)
    worker.enqueue(await replays.replay_these(bench.database, webhook, [dead], ["dead"]))
    await bench.until_statuses(webhook, "succeeded")
    assert bench.receiver.event_ids("a") == [event.id] * 4
    numbers = [it.number for it in await bench.attempts(webhook)]
    assert numbers == [4, 3, 2, 1]
    assert await replays.replay_these(bench.database, webhook, [dead], ["dead"]) == []


async def test_an_event_is_redispatched_to_all_that_want_it_now(bench: Bench) -> None:
    before = await bench.add_webhook("a")
    worker = bench.start()
    event = bench.event()
    worker.enqueue((await bench.write(event)).deliveries)
    await bench.until_statuses(before, "succeeded")
    await bench.add_webhook("b")
    again = await tenant_deliveries.redispatch(bench.database, event.id, event.occurred_at)
    worker.enqueue(again)
    await bench.until(lambda: len(bench.receiver.received) == 3)
    assert bench.receiver.event_ids("a") == [event.id] * 2
    assert bench.receiver.event_ids("b") == [event.id]


async def test_a_test_event_goes_to_its_webhook_only(bench: Bench) -> None:
    tested = await bench.add_webhook("a", event_types=["node.up"], filter={"did": "+49301"})
    await bench.add_webhook("b")
    worker = bench.start()
    event = bench.event("webhook.test", data={"webhook_id": str(tested)})
    worker.enqueue((await bench.write(event)).deliveries)
    await bench.until_statuses(tested, "succeeded")
    (seen,) = bench.receiver.received
    assert (seen.path, seen.event["type"]) == ("a", "webhook.test")


async def test_the_published_library_verifies_every_delivery_also_during_a_rotation(
    bench: Bench,
) -> None:
    """Before, during and after: whoever has one of the live secrets accepts every attempt, with
    any one bit changed nobody does."""
    answers = iter([Answer(500)])
    bench.receiver.behave["a"] = lambda _: next(answers, Answer(204))
    webhook = await bench.add_webhook("a")
    old, new = bench.secrets[webhook], new_secret()
    worker = bench.start()

    async def deliver(count: int) -> list[Received]:
        before = len(bench.receiver.received)
        worker.enqueue((await bench.write(*(bench.event() for _ in range(count)))).deliveries)
        await bench.until(lambda: bench.settled(webhook))
        return bench.receiver.received[before:]

    first = await deliver(3)
    assert len(first) == 4
    until = datetime.now(UTC) + timedelta(hours=1)
    await tenant_deliveries.keep_previous_secret(bench.database, webhook, until)
    await bench.database.execute(
        "update webhooks set secrets = jsonb_build_object('secret', %s::text) where id = %s",
        (new, webhook),
    )
    during = await deliver(3)
    await bench.database.execute("update webhook_states set previous_secret_until = now()")
    after = await deliver(2)
    for requests, good, bad in (
        (first, [old], [new]),
        (during, [old, new], [new_secret()]),
        (after, [new], [old]),
    ):
        for seen in requests:
            for secret in good:
                event = standardwebhooks.Webhook(secret).verify(seen.body, seen.headers)
                assert event == seen.event
            for secret in bad:
                assert not _verifies(secret, seen.body, seen.headers)
    seen = during[0]
    for changed in _with_one_bit_changed(seen.body):
        assert not _verifies(new, changed, seen.headers)
    for name in ("webhook-id", "webhook-timestamp", "webhook-signature"):
        for value in _with_one_bit_changed(seen.headers[name].encode()):
            headers = {**seen.headers, name: value.decode("latin-1")}
            if _signatures(headers) == _signatures(seen.headers):
                continue  # two bits of the last letter of base64 mean nothing
            both = name == "webhook-signature"
            # Of two signatures one may be spoilt: the other one is for the other secret.
            assert not all(_verifies(it, seen.body, headers) for it in (old, new)) or not both
            assert both or not _verifies(new, seen.body, headers)


def _verifies(secret: str, body: bytes, headers: dict[str, str]) -> bool:
    try:
        standardwebhooks.Webhook(secret).verify(body, headers)
    except (standardwebhooks.WebhookVerificationError, ValueError):
        return False
    return True


def _signatures(headers: Mapping[str, str]) -> tuple[str, list[bytes]]:
    """What the headers say apart from the signatures, and those as the bytes that they are."""
    rest = {name: it for name, it in headers.items() if name != "webhook-signature"}
    parts = [it.partition(",") for it in headers["webhook-signature"].split(" ")]
    try:
        found = [base64.b64decode(value, validate=True) for _, _, value in parts]
    except ValueError:
        found = []
    return f"{rest} {[it for it, _, _ in parts]}", found


def _with_one_bit_changed(data: bytes) -> Iterator[bytes]:
    for place in range(len(data)):
        yield data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


async def test_a_deleted_webhook_is_given_up_visibly(bench: Bench) -> None:
    webhook = await bench.add_webhook("a")
    written = await bench.write(bench.event())
    await bench.database.execute("delete from webhooks where id = %s", (webhook,))
    bench.start().enqueue(written.deliveries)
    await bench.until_statuses(webhook, "dead")
    rows = await bench.database.query("select last_error from webhook_deliveries")
    assert rows == [("the webhook was deleted",)]
    assert bench.receiver.received == []


async def test_a_huge_answer_is_read_up_to_a_limit(bench: Bench) -> None:
    bench.receiver.behave["a"] = lambda _: Answer(500, (), b"x" * 10_000_000)
    webhook = await bench.add_webhook("a", retry_schedule_seconds=[])
    bench.start().enqueue((await bench.write(bench.event())).deliveries)
    await bench.until_statuses(webhook, "dead")
    (attempt,) = await bench.attempts(webhook)
    assert attempt.response_head == "x" * 4096


async def test_an_address_inside_is_refused_and_said_so(bench: Bench) -> None:
    webhook = await bench.add_webhook("a", url="http://10.0.0.1/", retry_schedule_seconds=[])
    bench.start().enqueue((await bench.write(bench.event())).deliveries)
    await bench.until_statuses(webhook, "dead")
    (attempt,) = await bench.attempts(webhook)
    assert attempt.error == "10.0.0.1 is not a public address"


async def test_a_tenant_sees_only_its_own_deliveries(bench: Bench) -> None:
    webhook = await bench.add_webhook("a")
    await bench.write(bench.event())

    async def seen_by(tenant: UUID) -> int:
        figures = await bench.database.tenant_transaction(
            tenant, lambda it: tenant_deliveries.stats(it, webhook)
        )
        return figures.pending

    assert await seen_by(bench.tenant_id) == 1
    assert await seen_by(new_id()) == 0


async def test_a_rate_holds_over_several_workers(bench: Bench) -> None:
    webhook = await bench.add_webhook("a", rate_per_second=40)
    workers = [bench.start(name) for name in ("one", "two", "three")]
    pairs = (await bench.write(*(bench.event() for _ in range(41)))).deliveries
    for number, worker in enumerate(workers):
        worker.enqueue(pairs[number::3])
    await bench.until_statuses(webhook, *["succeeded"] * 41)
    times = [it.at for it in bench.receiver.received]
    # A rate for each by itself would take a third of a second.
    assert times[-1] - times[0] >= 0.75


async def test_the_backlog_of_one_endpoint_delays_no_other_of_its_partition(bench: Bench) -> None:
    """What waits for an endpoint that is down stays in its own list."""
    bench.receiver.behave["slow"] = lambda _: Answer(seconds=None)
    slow = await bench.add_webhook("slow", event_types=["call.started"], timeout_seconds=30)
    healthy = await bench.add_webhook("healthy", event_types=["call.ended"])
    while partition_of(healthy) != partition_of(slow):
        await bench.database.execute("delete from webhooks where id = %s", (healthy,))
        healthy = await bench.add_webhook("healthy", event_types=["call.ended"])
    worker = bench.start()
    backlog = [bench.event("call.started") for _ in range(2000)]
    worker.enqueue((await bench.write(*backlog)).deliveries)
    await bench.until(lambda: bench.receiver.on("slow"))
    began = bench.reactor.seconds()
    worker.enqueue((await bench.write(bench.event())).deliveries)
    await bench.until(lambda: bench.receiver.on("healthy"))
    assert bench.reactor.seconds() - began < 1.0


async def test_a_secret_header_is_sent_and_cut_out_of_what_is_kept_of_the_answer(
    bench: Bench,
) -> None:
    def echo(seen: Received) -> Answer:
        return Answer(200, body=f"you said {seen.headers['x-key']} and abc-123".encode())

    bench.receiver.behave["a"] = echo
    webhook = await bench.add_webhook("a", authentication={"header": "X-Key"})
    await bench.database.execute(
        "update webhooks set secrets = secrets || "
        "jsonb_build_object('authentication.value', 'Bearer abc-123') where id = %s",
        (webhook,),
    )
    bench.start().enqueue((await bench.write(bench.event())).deliveries)
    await bench.until_statuses(webhook, "succeeded")
    assert bench.receiver.received[0].headers["x-key"] == "Bearer abc-123"
    assert (await bench.attempts(webhook))[0].response_head == "you said *** and ***"


async def test_a_secret_that_cannot_be_read_fails_the_attempt_and_leaves_nothing_behind(
    bench: Bench,
) -> None:
    def reveal(_webhook_id: UUID, field: str, stored: str) -> str:
        if field == "authentication.value":
            raise InternalError("a stored secret needs the key '1', which is not configured")
        return stored

    webhook = await bench.add_webhook(
        "a", authentication={"header": "X-Key"}, retry_schedule_seconds=[]
    )
    await bench.database.execute(
        "update webhooks set secrets = secrets || "
        "jsonb_build_object('authentication.value', 'sealed') where id = %s",
        (webhook,),
    )
    worker = bench.worker()
    worker._sender._reveal = reveal
    worker.startService()
    worker.enqueue((await bench.write(bench.event())).deliveries)
    await bench.until_statuses(webhook, "dead")
    (attempt,) = await bench.attempts(webhook)
    assert attempt.error == "the request could not be made: InternalError"
    assert bench.receiver.received == []
