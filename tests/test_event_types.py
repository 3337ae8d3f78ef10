"""Each type of event that NIZAM publishes is made of recorded or simulated traffic, and is as its
schema says."""

from __future__ import annotations

import functools
import importlib
import inspect
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from jsonschema_rs import Draft202012Validator

import nizam
from nizam.esl.event import SwitchEvent
from nizam.events.places import Place, Places
from nizam.http.event_schemas import event_schema, told
from nizam.http.event_schemas.render import PAGE, page
from nizam.model.event_types import event_types
from nizam.model.events import Event
from nizam.model.registry import resources
from nizam.switch.notices import notices
from tests.event_types import check_event
from tests.events.replaying import ACME, feed, normaliser, recorded
from tests.routing.cases.calling import Made
from tests.routing.cases.case import cases

NOW = datetime(2026, 11, 28, 9, 30, tzinfo=UTC)
PLACE = Place(UUID(int=5), ACME, "8100", "Board")
PLACES = Places(lambda _name: PLACE, lambda _name: PLACE)
STREAMS = (
    "calls/esl/events-json-all",
    "transfers/esl/events-json",
    "voicemail/esl/events-json",
)

OF_RESOURCES = "tests.http.test_resources:test_it_is_made_listed_changed_replaced_and_deleted"
INTAKE, KEEPER = "tests.switch.test_intake", "tests.recorded.test_keeper"
_CUT = f"{INTAKE}:test_calls_that_end_while_the_link_is_cut_are_right_after_it_is_back"
_MISSING = "test_a_missing_file_is_told_once_and_found_when_it_comes_after_all"
MAILBOXES = "tests.voicemail.test_mailboxes:test_what_is_told_is_as_published"
ELSEWHERE = {
    "node.up": _CUT,
    "node.down": _CUT,
    "node.gap": _CUT,
    "call.originate_failed": "tests.daemon.test_call_control:outcomes_are_told",
    "recording.completed": f"{KEEPER}:test_completed_is_told_when_the_file_is_whole",
    "recording.failed": f"{KEEPER}:{_MISSING}",
    "recording.upload_failed": (
        "tests.recorded.test_objects:test_a_storage_that_stays_away_is_told_of_once"
    ),
    "recording.deleted": (
        "tests.recorded.test_retention:test_a_file_that_cannot_be_removed_is_tried_again"
    ),
    "voicemail.read": MAILBOXES,
    "voicemail.unread": MAILBOXES,
    "voicemail.deleted": MAILBOXES,
    "webhook.test": "tests.http.test_actions:test_a_test_event_makes_one_delivery",
    "webhook.disabled": (
        "tests.webhooks.test_worker:test_410_disables_the_webhook_and_tells_the_others"
    ),
}
"""Types that need more than a normaliser, and the tests that have them checked."""


@functools.cache
def made() -> dict[str, list[Event]]:
    """What follows from recorded traffic and from decisions, by type."""
    found: defaultdict[str, list[Event]] = defaultdict(list)
    for event in (*_of_traffic(), *_of_decisions()):
        found[event.type].append(event)
    return found


def _of_traffic() -> Iterator[Event]:
    for stream in STREAMS:
        events = recorded(stream)
        yield from feed(normaliser(places=PLACES), (*events, _expired(events))).events


def _expired(events: Sequence[SwitchEvent]) -> SwitchEvent:
    """What FreeSWITCH says when the phone that registered last does not do so again: nothing of
    it was recorded (sofia_reg_del_callback in sofia_reg.c)."""
    last = next(it for it in reversed(events) if it.subclass == "sofia::register")
    kept = ("Core-UUID", "call-id", "contact", "user-agent", "profile-name")
    headers = {name: last.get(name) or "" for name in kept}
    headers |= {"user": last.get("from-user") or "", "host": last.get("from-host") or ""}
    headers |= {"Event-Subclass": "sofia::expire", "expires": "60", "Event-Sequence": "99999"}
    headers |= {"Event-Date-Timestamp": events[-1].get("Event-Date-Timestamp") or ""}
    return SwitchEvent("CUSTOM", headers)


def _of_decisions() -> Iterator[Event]:
    for _, case in cases():
        if case.tells:
            it = Made.of(case)
            yield from notices(it.request, it.decision, NOW)


def _changes() -> set[str]:
    return {f"{it}.{how}" for it in resources() for how in ("created", "updated", "deleted")}


HERE = sorted(event_types() - _changes() - ELSEWHERE.keys())


def test_every_type_has_its_schema() -> None:
    assert told().keys() == event_types()


def test_the_page_of_the_types_is_current() -> None:
    written = (Path(nizam.__file__).parent.parent / PAGE).read_text(encoding="utf-8")
    assert written == page(), "python -m nizam.http.event_schemas.render writes it"


@pytest.mark.parametrize("kind", HERE)
def test_an_event_of_each_type_is_as_published(kind: str) -> None:
    events = made()[kind]
    assert events, f"nothing here makes a {kind}: it needs a test that does"
    for event in events:
        assert check_event(event) == kind


@pytest.mark.parametrize("place", sorted({OF_RESOURCES, *ELSEWHERE.values()}))
def test_what_is_checked_elsewhere_is_checked_there(place: str) -> None:
    module, _, name = place.partition(":")
    test = getattr(importlib.import_module(module), name)
    text = inspect.getsource(test)
    assert "check_event(" in text
    for kind in (it for it, where in ELSEWHERE.items() if where == place):
        assert f'"{kind}"' in text


@pytest.mark.parametrize("kind", sorted(event_types()))
def test_a_schema_is_one_and_describes_what_it_names(kind: str) -> None:
    schema = event_schema(kind)
    Draft202012Validator(schema)
    assert schema["description"].endswith(".")
    for name, it in schema["properties"]["data"]["properties"].items():
        assert it.get("description") or "$ref" in it, f"{kind}: nothing says what {name} is"
