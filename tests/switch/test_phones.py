"""Which phones are shown, and what is told when one is lost, and why."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import attrs
import pytest
from twisted.internet.task import Clock

from nizam.model.events import Event
from nizam.switch.live import LiveState
from nizam.switch.phones import Phones

ACME = UUID("01900000-0000-7000-8000-000000000001")
START = datetime(2026, 11, 28, 9, 0, tzinfo=UTC)
CORE = "3283d0f7-afcb-4165-b2fb-e45756bbd706"


@attrs.define
class Desk:
    """What one instance knows; `seconds` have passed since the start."""

    seconds: float = 0.0
    sequence: int = 0
    live: LiveState = attrs.field(factory=lambda: LiveState(Clock()))
    phones: Phones = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.phones = Phones(self.live, self.now)
        self.live.put("links", "fs1", "link", {"connected": True})

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def hear(self, kind: str, core: str = CORE, **data: Any) -> list[tuple[str, str | None]]:
        """The events, as type and reason, that are stored when the switch says this."""
        self.sequence += 1
        event = Event(
            type=f"registration.{kind}",
            occurred_at=self.now(),
            core_id=core,
            sequence=self.sequence,
            node="fs1",
            tenant_id=ACME,
            data={**row(), "expires_seconds": 60, **data},
        )
        return told(self.phones.told(event, "fs1"))

    def list(self, *rows: dict[str, Any], core: str = CORE) -> list[tuple[str, str | None]]:
        """The same when the switch lists these phones."""
        before = self.phones.shown("fs1")
        return told(self.phones.listed("fs1", rows, before, core))

    @property
    def shown(self) -> dict[str, str]:
        """The contacts of the phones by their Call-IDs."""
        return {it["call_id"]: it["contact"] for it in self.live.registrations(ACME)}


def row(call_id: str = "a", contact: str = "sip:1001@192.0.2.1") -> dict[str, Any]:
    return {
        "user": "1001",
        "domain": "acme.example.test",
        "call_id": call_id,
        "contact": contact,
        "tenant_id": str(ACME),
        "node": "fs1",
    }


def told(events: list[Event]) -> list[tuple[str, str | None]]:
    return [(it.type.removeprefix("registration."), it.data.get("reason")) for it in events]


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_phone_that_renews_its_registration_is_no_news(desk: Desk) -> None:
    assert desk.hear("registered") == [("registered", None)]
    desk.seconds = 30
    assert desk.hear("registered") == []
    [phone] = desk.live.registrations(ACME)
    assert phone["registered_at"] == "2026-11-28T09:00:00.000000Z"
    assert phone["renewed_at"] == "2026-11-28T09:00:30.000000Z"
    assert phone["expires_at"] == "2026-11-28T09:01:30.000000Z"


def test_signing_out_is_told_with_its_reason(desk: Desk) -> None:
    desk.hear("registered")
    assert desk.hear("unregistered") == [("unregistered", "unregistered")]
    assert desk.shown == {}


def test_a_phone_that_signs_out_by_another_call_id_is_gone(desk: Desk) -> None:
    desk.hear("registered")
    desk.hear("registered", call_id="b", contact="sip:1001@192.0.2.2")
    assert desk.hear("unregistered", call_id="c") == [("unregistered", "unregistered")]
    assert desk.shown == {"b": "sip:1001@192.0.2.2"}


def test_a_phone_that_starts_anew_at_the_same_contact_replaces_itself(desk: Desk) -> None:
    desk.hear("registered")
    assert desk.hear("registered", call_id="b") == [
        ("unregistered", "replaced"),
        ("registered", None),
    ]
    assert list(desk.shown) == ["b"]
    # What FreeSWITCH says of the old one later is old.
    assert desk.hear("expired", call_id="a") == []


def test_a_phone_with_another_contact_replaces_itself(desk: Desk) -> None:
    """Its router has given it another port; FreeSWITCH keeps the old contact until it expires."""
    desk.hear("registered")
    moved = "sip:1001@192.0.2.1:4444"
    assert desk.hear("registered", contact=moved) == [
        ("unregistered", "replaced"),
        ("registered", None),
    ]
    assert desk.hear("expired", contact="sip:1001@192.0.2.1") == []
    assert desk.shown == {"a": moved}


def test_a_second_phone_replaces_nothing(desk: Desk) -> None:
    desk.hear("registered")
    assert desk.hear("registered", call_id="b", contact="sip:1001@192.0.2.2") == [
        ("registered", None)
    ]
    assert len(desk.shown) == 2


def test_a_phone_whose_time_is_over_is_gone_though_nobody_said_so(desk: Desk) -> None:
    desk.hear("registered")
    desk.seconds = 60 + 60 + 44  # FreeSWITCH waits a minute more, and looks twice a minute
    assert told(desk.phones.expire()) == []
    desk.seconds += 2
    [event] = desk.phones.expire()
    assert told([event]) == [("expired", "expired")]
    assert event.occurred_at == START + timedelta(seconds=60)
    assert desk.shown == {}
    assert desk.hear("expired") == []


def test_nothing_expires_at_a_node_that_is_not_heard(desk: Desk) -> None:
    """The phone may have renewed its registration meanwhile."""
    desk.hear("registered")
    desk.live.put("links", "fs1", "link", {"connected": False})
    desk.seconds = 3600
    assert desk.phones.expire() == []
    assert desk.shown


@pytest.mark.parametrize(
    ("seconds", "core", "reason"),
    [
        (10, CORE, ("unregistered", "unknown")),
        (10, "another", ("unregistered", "node_lost")),
        (61, CORE, ("expired", "expired")),
    ],
)
def test_a_phone_that_is_not_listed_has_been_lost_unheard(
    desk: Desk, seconds: float, core: str, reason: tuple[str, str]
) -> None:
    desk.hear("registered")
    desk.hear("registered", call_id="b", contact="sip:1001@192.0.2.2")
    desk.seconds = seconds
    listed = row("b", "sip:1001@192.0.2.2")
    assert desk.list(listed, core=core) == [reason]
    assert list(desk.shown) == ["b"]
    assert desk.list(listed, core=core) == []


def test_what_was_heard_while_the_list_was_made_counts_before_it(desk: Desk) -> None:
    desk.hear("registered")
    desk.hear("registered", call_id="b", contact="sip:1001@192.0.2.2")
    before = desk.phones.shown("fs1")
    desk.hear("unregistered", call_id="b")
    desk.hear("registered", call_id="c", contact="sip:1001@192.0.2.3")
    desk.seconds = 20
    desk.hear("registered")
    rows = [row("b", "sip:1001@192.0.2.2")]
    assert desk.phones.listed("fs1", rows, before, CORE) == []
    assert set(desk.shown) == {"a", "c"}


def test_a_list_does_not_move_the_end_of_a_registration_to_and_fro(desk: Desk) -> None:
    desk.hear("registered")
    [phone] = desk.live.registrations(ACME)
    desk.list(row() | {"expires_at": "2026-11-28T09:00:59.000000Z", "extension_id": None})
    assert desk.live.registrations(ACME) == [phone]
    desk.list(row() | {"expires_at": "2026-11-28T09:30:00.000000Z"})
    assert desk.live.registrations(ACME)[0]["expires_at"] == "2026-11-28T09:30:00.000000Z"


def test_two_instances_tell_the_same_of_the_same() -> None:
    ids: list[list[str]] = []
    for desk in (Desk(), Desk()):
        events: list[Event] = []
        for call_id in ("a", "b"):
            it = Event(
                type="registration.registered",
                occurred_at=START,
                core_id=CORE,
                sequence=7 + (call_id == "b"),
                node="fs1",
                tenant_id=ACME,
                data=row(call_id) | {"expires_seconds": 60},
            )
            events += desk.phones.told(it, "fs1")
        desk.seconds = 3600
        events += desk.phones.expire()
        ids.append([it.id for it in events])
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == 4


def test_phones_of_a_lost_node_are_lost_with_it(desk: Desk) -> None:
    desk.hear("registered")
    assert told(desk.phones.node_lost("fs1")) == [("unregistered", "node_lost")]
