"""The legs of extensions as dial-strings: several phones, loudspeakers, recordings."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from nizam.fsxml import values
from nizam.fsxml.dialplan import actions
from nizam.routing.plan import (
    Bridge,
    Elsewhere,
    OfferRecording,
    Page,
    Phone,
    Phones,
    RecordCall,
    UserLeg,
)

TENANT, EXTENSION = "019c0000-0000-7000-8000-000000000001", "019c0000-0000-7000-8000-000000000002"
FIRST, SECOND = "sip:1002@192.0.2.7:5060", "sip:1002@192.0.2.8:5060;transport=tcp"
LEG = UserLeg("1002", "acme.example.test")
FILE = "/srv/media/tenant/recordings/call.wav"


def phones(*uris: str, name: str = "Bob Noyce") -> Phones:
    return Phones(tuple(Phone(it, "internal") for it in uris), TENANT, EXTENSION, name, "1002")


def dial_string(*legs: UserLeg, **more: Any) -> str:
    return next(data for name, data in actions((Bridge(legs, **more),)) if name == "bridge")


def leg(**more: Any) -> UserLeg:
    return attrs.evolve(LEG, **more)


def test_every_phone_is_a_leg_with_what_the_directory_would_have_told_it() -> None:
    told = (
        "[sip_invite_domain=acme.example.test,presence_id=1002@acme.example.test,"
        "origination_callee_id_name=Bob Noyce,origination_callee_id_number=1002,"
        f"nizam_tenant_id={TENANT},nizam_extension_id={EXTENSION}]sofia/internal/"
    )
    assert dial_string(leg(phones=phones(FIRST, SECOND))) == f"{told}{FIRST},{told}{SECOND}"


@pytest.mark.parametrize(
    ("srtp", "told"), [("off", ""), ("optional", "optional"), ("required", "mandatory")]
)
def test_every_phone_is_offered_srtp_as_the_profile_of_phones_says(srtp: Any, told: str) -> None:
    written = dial_string(leg(phones=attrs.evolve(phones(FIRST, SECOND), srtp=srtp)))
    assert written.count(f",rtp_secure_media={told}]") == (2 if told else 0)
    assert ("rtp_secure_media" in written) is bool(told)


def test_a_contact_that_cannot_be_written_is_left_out() -> None:
    written = dial_string(leg(phones=phones(FIRST, "sip:1002@[2001:db8::1]")))
    assert written.endswith(f"]sofia/internal/{FIRST}")
    assert written.count("sofia/") == 1


def test_where_no_contact_can_be_written_the_switch_looks_for_the_phone() -> None:
    hostile = phones("sip:1002@192.0.2.7,sofia/external/sip:900@192.0.2.9", "${system rm}")
    assert dial_string(leg(phones=hostile)) == "user/1002@acme.example.test"


def test_a_name_with_a_meaning_loses_it() -> None:
    written = dial_string(leg(phones=phones(FIRST, name="Bob,x=[y]{z}|'${a}")))
    assert "origination_callee_id_name=Bob x= y z a," in written


def test_one_after_the_other_the_phones_of_each_ring_together() -> None:
    written = dial_string(leg(phones=phones(FIRST, SECOND)), LEG, order="in_turn")
    first, second = written.split("|")
    assert (first.count("sofia/internal/"), second) == (2, "user/1002@acme.example.test")


def test_a_phone_is_asked_to_answer_by_itself() -> None:
    assert dial_string(leg(auto_answer=True)) == (
        "[sip_auto_answer=true,"
        "alert_info=<sip:acme.example.test>;info=alert-autoanswer;delay=0]"
        "user/1002@acme.example.test"
    )


def test_a_leg_is_recorded_from_its_answer_on() -> None:
    written = dial_string(leg(record=FILE))
    assert written.startswith(f"[execute_on_answer=record_session {FILE},RECORD_STEREO=true,")


@pytest.mark.parametrize(
    "path",
    ["", "x.wav", "/a/../b.wav", "/a b.wav", "/a.wav,x=y", "/a.wav +5", "/${x}.wav", "/a.mp3"],
)
def test_recordings_go_nowhere_else(path: str) -> None:
    for step in (RecordCall(path), OfferRecording(path, "2", "a"), Bridge((leg(record=path),))):
        with pytest.raises(values.UnsafeValue):
            list(actions((step,)))


def test_a_call_is_recorded_with_one_side_on_each_channel() -> None:
    written = list(actions((RecordCall(FILE),)))
    assert ("set", "RECORD_STEREO=true") in written
    assert written[-1] == ("record_session", FILE)


def test_a_page_calls_each_phone_into_a_conference_that_ends_with_the_caller() -> None:
    asked = leg(auto_answer=True)
    written = list(actions((Page("page-1", "page-2", (asked, asked), "Ada, ${x}", "1001"),)))
    calls = [data for name, data in written if name == "conference_set_auto_outcall"]
    assert calls == [dial_string(asked)] * 2
    assert ("set", "conference_auto_outcall_caller_id_name=Ada x") in written
    assert written[-1] == ("conference", "page-1@page-2+flags{endconf}")


def test_a_leg_that_is_made_apart_from_the_call_says_whose_it_is() -> None:
    assert "nizam_call_id=call-1," in dial_string(leg(auto_answer=True, call_id="call-1"))
    with pytest.raises(values.UnsafeValue):
        dial_string(leg(call_id="call-1,x=y"))


def test_recording_on_demand_is_switched_by_a_key_of_whom_it_is_offered() -> None:
    written = list(actions((OfferRecording(FILE, "2", "b"),)))
    assert ("set", "RECORD_TOGGLE_ON_REPEAT=true") in written
    assert written[-1] == ("bind_meta_app", f"2 b a record_session::{FILE}")


def test_phones_at_another_switch_are_called_there_with_the_id_of_the_call() -> None:
    away = Elsewhere(("10.0.0.6:5060",), "ring-1-2", "call-1", True, phones())
    here, there = dial_string(leg(elsewhere=away)).split(",[")
    assert here == "user/1002@acme.example.test"
    assert there.endswith("sip_h_X-Nizam-Call-ID=call-1]sofia/internal/sip:ring-1-2@10.0.0.6:5060")
    alone = dial_string(leg(elsewhere=attrs.evolve(away, here=False)))
    assert "user/" not in alone


@pytest.mark.parametrize("address", ["", "a b", "10.0.0.6,sofia/x", "10.0.0.6;x=y", "${x}", "a/b"])
def test_another_switch_is_an_address_and_nothing_else(address: str) -> None:
    with pytest.raises(values.UnsafeValue):
        dial_string(leg(elsewhere=Elsewhere((address,), "ring-1-2", "call-1", True, phones())))
