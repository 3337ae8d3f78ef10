"""Counters for tests: shared ones in a real Redis, and those that a process has by itself."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import UUID, uuid4

import attrs
from twisted.internet.task import Clock

from nizam.events.channels import Call, Channel
from nizam.events.legs import Leg
from nizam.kv.single import SingleRedis
from nizam.routing.facts import Limit
from nizam.routing.request import CallRequest
from nizam.switch.call_limits import CallLimits

TENANT = UUID("01900000-0000-7000-8000-000000000001")
EXTENSION = UUID("01900000-0000-7000-8000-000000000002")
ROUTE = UUID("01900000-0000-7000-8000-000000000003")
GATEWAY = UUID("01900000-0000-7000-8000-000000000004")
BACKUP = UUID("01900000-0000-7000-8000-000000000005")
BEGAN = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def redis(reactor: Any, url: str) -> SingleRedis:
    """A client of the tests' Redis."""
    parts = urlsplit(url)
    return SingleRedis(
        reactor, parts.hostname or "", parts.port or 0, unquote(parts.password or "")
    )


class Away:
    """A Redis that is not there."""

    available = False


@attrs.define
class Counting:
    """The counters of one instance, and the calls that its switch has."""

    limits: CallLimits
    clock: Clock
    calls: dict[str, Call]
    now: datetime = BEGAN

    async def take(
        self, call_id: str, *limits: Limit, question: str = "", later: bool = False
    ) -> Mapping[str, int]:
        """What is reached when the call asks."""
        call = CallRequest(
            "acme.example.test",
            "1002",
            str(uuid4()) if later else call_id,
            call_id=call_id if later else None,
            question_id=question or f"core {uuid4().int}",
        )
        return await self.limits.take(TENANT, call, limits)

    async def count(self, limit: Limit) -> int:
        """How high the counter stands."""
        return (await self.limits.count([limit]))[limit.key][0]

    async def says(self, call: Call) -> None:
        """The switch tells of the call as it is now."""
        self.calls[str(call.call_id)] = call
        self.limits.changed(call)
        await self.limits.tick()


def counting(key_value: Any, deadline: float = 5.0) -> Counting:
    """The counters of an instance over this Redis, which has `deadline` seconds to answer."""
    clock = Clock()
    made: list[Counting] = []
    calls: dict[str, Call] = {}
    limits = CallLimits(
        clock,
        key_value,
        calls=calls.values,
        counted=lambda _tenant_id, number: number != "911",
        now=lambda: made[0].now,
        deadline=deadline,
    )
    made.append(Counting(limits, clock, calls))
    return made[0]


def call_of(call_id: str, *, dialled: str = "1002", extension: UUID | None = EXTENSION) -> Call:
    """A call that has just begun at an extension's phone."""
    call = Call(call_id=UUID(call_id), tenant_id=TENANT)
    add_leg(call, call_id, number=dialled, extension=extension)
    return call


def add_leg(
    call: Call,
    leg_id: str | None = None,
    *,
    number: str = "1002",
    extension: UUID | None = None,
    gateway: UUID | None = None,
    answered: datetime | None = None,
) -> Channel:
    """One more leg; the first one came in."""
    channel = Channel(
        leg_id=UUID(leg_id) if leg_id else uuid4(),
        call_id=call.call_id,
        core_id="core",
        direction="outbound" if call.channels else "inbound",
        number=number,
        caller_number="1001",
        caller_name=None,
        context=None,
        started_at=BEGAN,
        extension_id=extension,
        gateway=None if gateway is None else str(gateway),
        answered_at=answered,
    )
    call.channels[channel.leg_id] = channel
    return channel


def end(call: Call, channel: Channel, at: datetime) -> None:
    """The leg is over; with its last one the call is."""
    channel.ended = True
    call.legs[channel.leg_id] = Leg(leg_id=channel.leg_id, started_at=BEGAN, ended_at=at)
    if not call.live:
        call.finished_at = 1.0


def seconds(count: float) -> timedelta:
    """A span of time."""
    return timedelta(seconds=count)
