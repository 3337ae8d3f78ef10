"""Calls end when the minutes of their tenant's day are spent, and no other calls do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_twisted
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock, deferLater

from nizam.kv.single import SingleRedis
from nizam.model.events import Event
from nizam.routing.facts import Limit
from nizam.switch.live import LiveState
from nizam.switch.spent_minutes import SpentMinutes
from tests.http.test_call_control import Link
from tests.routing.tenants import Tenants
from tests.switch.counting import BEGAN, Counting, call_of, counting, redis, seconds

DAY = "2026-11-24"


@pytest_twisted.async_yield_fixture
async def client(redis_url: str) -> AsyncIterator[SingleRedis]:
    from twisted.internet import reactor

    made = redis(reactor, redis_url)
    await made.start()
    yield made
    await made.stop()


async def _talks(counters: Counting, tenant_id: UUID, call_id: str) -> None:
    """A call of the tenant was let in, and has been answered at once."""
    limit = Limit("minutes_per_day", "tenant", tenant_id, 2, day=DAY)
    assert not await counters.take(call_id, limit)
    call = call_of(call_id)
    call.channels[call.call_id].answered_at = BEGAN
    await counters.says(call)


def _shown(
    tenant_id: UUID, call_id: str, to: str = "1002", began: datetime = BEGAN
) -> dict[str, Any]:
    return {
        "call_id": call_id,
        "tenant_id": str(tenant_id),
        "from": "1001",
        "to": to,
        "node": "fs1",
        "state": "answered",
        "started_at": began.isoformat(),
        "legs": [{"leg_id": call_id, "extension_id": None, "state": "answered"}],
    }


def _guard(
    client: SingleRedis,
    tenants: Tenants,
    live: LiveState,
    counters: Counting,
    link: Link,
    told: list[Event],
) -> SpentMinutes:
    return SpentMinutes(
        Clock(),
        client,
        snapshot=tenants.snapshot,
        live=live,
        counts=counters.limits,
        links=link,
        tell=told.extend,
        now=lambda: counters.now,
    )


async def test_calls_end_with_the_minutes_of_their_day(client: SingleRedis) -> None:
    tenants, counters, link = Tenants(), counting(client), Link()
    acme = tenants.tenant("acme", quotas={"max_call_minutes_per_day": 2}, time_zone="UTC")
    free = tenants.tenant("globex")
    live = LiveState(Clock())
    told: list[Event] = []

    guards = [_guard(client, tenants, live, counters, link, told) for _ in range(2)]
    talking, help_call, since_yesterday, others = (str(uuid4()) for _ in range(4))
    theirs = str(uuid4())
    await _talks(counters, acme, talking)
    shown = [
        _shown(acme, talking),
        _shown(acme, help_call, to="911"),
        _shown(acme, since_yesterday, began=BEGAN - seconds(86_400)),
        _shown(free, others),
    ]
    for it in shown:
        live.put("calls", "fs1", it["call_id"], it)
    # The call has a part that is another tenant's, which began before it.
    part = _shown(free, talking, began=BEGAN - seconds(1))
    part["legs"][0]["leg_id"] = theirs
    live.put("calls", "fs0", talking, part)

    counters.now = BEGAN + seconds(118)
    await counters.limits.tick()
    await guards[0].look()
    assert link.sent == []

    counters.now = BEGAN + seconds(121)
    await counters.says(counters.calls[talking])
    for guard in guards:
        await guard.look()
    assert link.sent == [f"uuid_kill {talking} ALLOTTED_TIMEOUT"]
    assert [(it.type, str(it.call_id), it.data["kind"]) for it in told] == [
        ("limit.reached", talking, "minutes_per_day")
    ]


class Stuck(Link):
    """A switch that never answers what is asked about the call `about`."""

    about = ""

    async def bgapi(self, command: str, timeout: float) -> str:
        said = await super().bgapi(command, timeout)
        if self.about in command:
            await Deferred()
        return said


async def test_a_switch_that_does_not_answer_holds_up_no_other_call(client: SingleRedis) -> None:
    from twisted.internet import reactor

    tenants, counters, link = Tenants(), counting(client), Stuck()
    acme = tenants.tenant("acme", quotas={"max_call_minutes_per_day": 2}, time_zone="UTC")
    live, calls = LiveState(Clock()), [str(uuid4()) for _ in range(2)]
    told: list[Event] = []
    guard = _guard(client, tenants, live, counters, link, told)
    for call_id in calls:
        await _talks(counters, acme, call_id)
        live.put("calls", "fs1", call_id, _shown(acme, call_id))
    counters.now = BEGAN + seconds(200)
    for call_id in calls:
        await counters.says(counters.calls[call_id])
    link.about = live.calls()[0]["call_id"]
    looking = Deferred.fromCoroutine(guard.look())
    while not told:
        await deferLater(reactor, 0.01)
    assert {str(it.call_id) for it in told} == set(calls) - {link.about}
    assert not looking.called
    looking.cancel()
    with pytest.raises(CancelledError):
        await looking


async def test_what_could_not_be_ended_is_tried_again(client: SingleRedis) -> None:
    from nizam.errors import ConnectionGone

    tenants, counters, link = Tenants(), counting(client), Link()
    acme = tenants.tenant("acme", quotas={"max_call_minutes_per_day": 2}, time_zone="UTC")
    live, call_id = LiveState(Clock()), str(uuid4())
    told: list[Event] = []
    guard = _guard(client, tenants, live, counters, link, told)
    await _talks(counters, acme, call_id)
    live.put("calls", "fs1", call_id, _shown(acme, call_id))
    counters.now = BEGAN + seconds(200)
    await counters.says(counters.calls[call_id])
    link.outcome = ConnectionGone(maybe_executed=False)
    await guard.look()
    assert told == []
    link.outcome = "+OK"
    await guard.look()
    assert (len(link.sent), len(told)) == (2, 1)
