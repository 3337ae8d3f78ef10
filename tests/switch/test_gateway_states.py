"""What is shown of gateways: since when they are up or down, whether an event or a look told it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from twisted.internet.task import Clock

from nizam.esl.event import SwitchEvent
from nizam.metrics import REGISTRY
from nizam.switch.channel_index import ChannelIndex
from nizam.switch.intake import Intake
from nizam.switch.live import LiveState
from tests.routing.tenants import identifier

CARRIER = str(identifier("acme/one"))
OTHER = str(identifier("acme/two"))
START = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Told:
    """An intake at a clock that is put forward by hand; `events` are those that it stored."""

    def __init__(self) -> None:
        clock: Any = Clock()
        database: Any = None
        self.now = START
        self.events: list[str] = []
        self.live = LiveState(clock)
        self.intake = Intake(
            clock,
            database,
            None,
            self.live,
            ChannelIndex(clock),
            tenant_of_domain=lambda _domain: None,
            gateway_owner=lambda _name: identifier("acme"),
            on_deliveries=self._nothing,
            now=lambda: self.now,
        )
        self.intake.writer.add = self._stored  # type: ignore[method-assign]

    async def _nothing(self, _deliveries: Any) -> None:
        return

    def _stored(self, batch: Any) -> None:
        self.events += [it.type for it in batch.events]

    def later(self, minutes: int) -> Told:
        self.now = START + timedelta(minutes=minutes)
        return self

    def event(self, subclass: str, **headers: str) -> None:
        stamp = str(int(self.now.timestamp() * 1_000_000))
        basis = {"Event-Subclass": subclass, "Gateway": CARRIER, "Event-Date-Timestamp": stamp}
        sequence = {"Event-Sequence": stamp, "Core-UUID": str(identifier("core"))}
        self.intake.switch_event("fs1", SwitchEvent("CUSTOM", basis | sequence | headers))

    def look(self, **up: bool | None) -> None:
        names = {"carrier": CARRIER, "other": OTHER}
        seen = [({"gateway": names[it]}, state) for it, state in up.items()]
        self.intake.gateways.seen("fs1", seen)

    @property
    def shown(self) -> dict[str, tuple[bool, int]]:
        """By gateway: whether it is up, and since how many minutes after the start."""
        found = {}
        for it in self.live.gateways(identifier("acme")):
            since = datetime.fromisoformat(it["changed_at"]) - START
            found[it["gateway"]] = (it["up"], since // timedelta(minutes=1))
        return found


@pytest.fixture
def told() -> Told:
    return Told()


def test_a_look_that_finds_nothing_new_leaves_the_time_of_the_change(told: Told) -> None:
    told.later(1).look(carrier=True, other=False)
    told.later(2).look(carrier=True, other=False)
    assert told.shown == {CARRIER: (True, 1), OTHER: (False, 1)}
    told.later(3).look(carrier=False, other=False)
    assert told.shown == {CARRIER: (False, 3), OTHER: (False, 1)}
    assert told.events == ["gateway.up", "gateway.down", "gateway.down"]


def test_an_event_and_the_look_after_it_tell_one_change(told: Told) -> None:
    told.later(1).look(carrier=True)
    told.later(2).event("sofia::gateway_state", State="NOREG", **{"Ping-Status": "DOWN"})
    told.later(3).look(carrier=False)
    assert told.shown == {CARRIER: (False, 2)}
    assert told.events == ["gateway.up", "gateway.down"]


def test_a_gateway_between_two_states_stays_as_it_was(told: Told) -> None:
    told.later(1).look(carrier=True)
    told.later(2).look(carrier=None)
    told.later(3).event("sofia::gateway_state", State="TRYING")
    assert told.shown == {CARRIER: (True, 1)}


def test_a_gateway_that_is_gone_is_not_shown(told: Told) -> None:
    told.later(1).look(carrier=True, other=True)
    told.later(2).event("sofia::gateway_delete")
    assert told.shown == {OTHER: (True, 1)}
    told.later(3).look()
    assert told.shown == {}


def test_of_a_gateway_that_is_gone_nobody_measures_that_it_is_down(told: Told) -> None:
    def measured() -> float | None:
        return REGISTRY.get_sample_value("nizam_gateway_up", {"gateway": CARRIER})

    told.look(carrier=False)
    assert measured() == 0.0
    told.look()
    assert measured() is None
