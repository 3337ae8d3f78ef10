"""What had no room is told of: the window of each node, by its own clock, once it is over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import Mock
from uuid import uuid4

from twisted.internet.task import Clock

from nizam.errors import DatabaseUnavailable
from nizam.events.legs import Leg
from nizam.model.events import Event, timestamp
from nizam.switch.batch import Batch
from nizam.switch.channel_index import ChannelIndex
from nizam.switch.intake import TICK_SECONDS, Intake
from nizam.switch.live import LiveState
from nizam.switch.missing import Missing, Window
from nizam.switch.writer import Writer
from tests.event_types import check_event

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)


def event(node: str | None, seconds: int, kind: str = "call.dtmf") -> Event:
    return Event(
        type=kind,
        occurred_at=NOON + timedelta(seconds=seconds),
        core_id="core",
        sequence=seconds,
        node=node,
    )


def test_each_node_has_the_window_of_what_it_said() -> None:
    missing = Missing()
    leg = Leg(leg_id=uuid4(), started_at=NOON, ended_at=NOON + timedelta(seconds=9), node="fs1")
    missing.note(Batch([event("fs1", 5), event("fs2", 1), event(None, 0)]))
    missing.note(Batch([event("fs1", 3)], [leg]))
    found = dict(missing.take())
    at = [NOON + timedelta(seconds=it) for it in range(10)]
    assert found == {"fs1": Window(at[3], at[9], 3), "fs2": Window(at[1], at[1], 1)}
    assert not missing


async def test_a_gap_is_told_when_there_is_room_again() -> None:
    """Its window is that of the events, however long nothing could be stored."""
    clock, stored, away = Clock(), [], [True]

    class Database:
        async def transaction(self, work: Any, deadline: float | None = None) -> Any:
            if away:
                raise DatabaseUnavailable("away")
            transaction = Mock()

            async def query(sql: str, args: Any = ()) -> list[Any]:
                stored.append(args)
                return [([], [], [])]

            transaction.query = query
            return await work(transaction)

    async def no_deliveries(_: Any) -> None:
        return

    intake = Intake(
        clock,
        Database(),
        None,
        LiveState(clock, None),
        ChannelIndex(clock),
        tenant_of_domain=lambda _domain: None,
        on_deliveries=no_deliveries,
        now=lambda: NOON + timedelta(hours=1),
    )
    intake.writer = Writer(clock, Database(), None, no_deliveries, intake._was_shed, capacity=2)
    told: list[Event] = []
    intake.writer.add = lambda batch: told.extend(batch.events)  # type: ignore[method-assign]
    intake.startService()
    Writer.add(intake.writer, Batch([event("fs1", it, "call.held") for it in (7, 8)]))
    Writer.add(intake.writer, Batch([event("fs1", it) for it in range(4)]))
    clock.pump([TICK_SECONDS] * 4)
    assert intake.writer.spilling
    assert told == []
    away.clear()
    clock.pump([TICK_SECONDS] * 8)
    [gap] = told
    assert check_event(gap) == "node.gap"
    assert (gap.node, dict(gap.data)) == (
        "fs1",
        {
            "from": timestamp(NOON),
            "to": timestamp(NOON + timedelta(seconds=3)),
            "reason": "buffer full",
            "dropped": 4,
        },
    )
    intake.stopService()
    clock.pump([TICK_SECONDS] * 60)
