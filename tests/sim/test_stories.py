"""Stories of calls: what people do, and what they hear, are shown and are connected with.

The documents are written by hand, as those that a dialplan may hold.
"""

from __future__ import annotations

import wave
from pathlib import Path
from typing import ClassVar

import attrs
import pytest

from nizam.sim.people import Manner
from nizam.sim.stage import Stage, StoryError
from tests.sim.conftest import ACME, SCENERY, USERS, MakeSwitch
from tests.sim.world import RING_1002, World

pytestmark = pytest.mark.time_limit(20)


async def test_a_conversation_lasts_until_somebody_hangs_up(world: World) -> None:
    world.plans["1002"] = ["ring_ready", RING_1002]
    world.ben.will(Manner(ring=2.0))
    call = world.anna.dials("1002")
    await call.reaches("bridged 1002")
    assert world.anna.heard == ["ringing"]
    await world.stage.passes(5)
    world.ben.hangs_up()
    assert (await call.ended()).cause == "NORMAL_CLEARING"


async def test_the_caller_gives_up(world: World) -> None:
    world.plans["1002"] = [RING_1002]
    world.ben.will(Manner("lets it ring"))
    call = world.anna.dials("1002")
    await world.ben.rings()
    world.anna.hangs_up()
    assert (await call.ended()).cause == "ORIGINATOR_CANCEL"
    assert world.ben.past_leg.cause == "ORIGINATOR_CANCEL"


async def test_a_story_that_goes_otherwise_says_how_far_it_came(world: World) -> None:
    world.plans["1002"] = [RING_1002]
    world.ben.will(Manner("is busy"))
    call = world.anna.dials("1002")
    with pytest.raises(StoryError, match=r"refused USER_BUSY"):
        await call.reaches("bridged 1002")


class TestPrompts:
    ASK = (
        "play_and_get_digits 2 4 2 3000 # tone_stream://%(200,100,440) wrong.wav "
        r"my_digits ^\d+$ 2000"
    )

    async def test_digits_are_taken_until_the_terminator(self, world: World) -> None:
        world.plans["8000"] = ["answer", self.ASK, "playback got-${my_digits}.wav"]
        call = await world.anna.dials("8000", answering_prompts=("12#",)).ended()
        assert "digits my_digits=12" in call.proofs
        (leg,) = call.legs
        assert leg.heard == ("tone_stream://%(200,100,440)", "got-12.wav")
        assert leg.variables["my_digits"] == "12"
        assert leg.variables["read_terminator_used"] == "#"
        await world.told()
        assert world.events("DTMF") == ["1", "2", "#"]

    async def test_too_few_digits_are_asked_for_again_and_then_given_up(self, world: World) -> None:
        world.plans["8000"] = ["answer", self.ASK, "hangup USER_BUSY"]
        call = await world.anna.dials("8000", answering_prompts=("1", "")).ended()
        assert "no digits my_digits" in call.proofs
        assert call.legs[0].heard[1::2] == ("wrong.wav", "wrong.wav")
        # What was pressed last stays, too short as it is.
        assert call.legs[0].variables["my_digits"] == "1"

    async def test_what_does_not_match_is_kept_apart(self, world: World) -> None:
        ask = r"play_and_get_digits 1 4 1 3000 # ask.wav wrong.wav pin ^[5-9]+$ 2000 901 XML "
        world.plans |= {"8000": ["answer", f"{ask}{ACME}".replace("901 ", "'901 ") + "'"]}
        world.plans |= {"901": ["playback failed.wav"]}
        call = await world.anna.dials("8000", answering_prompts=("12#",)).ended()
        assert call.legs[0].variables["pin_invalid"] == "12"
        assert "pin" not in call.legs[0].variables
        assert "transferred 901" in call.proofs
        assert call.legs[0].heard[-1] == "failed.wav"

    async def test_read_says_what_came_of_it(self, world: World) -> None:
        world.plans["8001"] = ["read 1 4 ask.wav pin 2000 #"]
        call = await world.anna.dials("8001", answering_prompts=("42",)).ended()
        assert call.legs[0].variables["pin"] == "42"
        assert call.legs[0].variables["read_result"] == "timeout"

    async def test_keys_may_be_pressed_while_the_prompt_plays(self, world: World) -> None:
        world.plans["8000"] = ["answer", self.ASK, "sleep 60000"]
        call = world.anna.dials("8000")
        await call.reaches("dialplan 8000")
        await world.stage.passes(0.5)
        world.anna.presses("7788")
        await call.reaches("digits my_digits=7788")


class TestTransfers:
    async def test_a_transfer_asks_again_with_the_variables_of_the_call(self, world: World) -> None:
        world.plans |= {"800": ["set step=1", f"transfer token-1 XML {ACME}"]}
        world.plans |= {"token-1": ["playback ${step}.wav"]}
        call = await world.anna.dials("800").ended()
        assert call.legs[0].heard == ("1.wav",)
        (form,) = world.answers.forms(**{"Hunt-Destination-Number": "token-1"})
        assert form["variable_step"] == "1"
        assert form["Hunt-Context"] == ACME
        assert form["Hunt-RDNIS"] == "800"
        assert form["Hunt-Profile-Index"] == "2"

    @pytest.mark.parametrize("who", ["the caller", "the callee"])
    async def test_either_side_transfers_the_other(self, world: World, who: str) -> None:
        world.plans |= {"1002": [RING_1002], "1003": ["bridge user/1003@acme.example.test"]}
        call = world.anna.dials("1002")
        await call.reaches("bridged 1002")
        sender, sent = (world.anna, world.ben) if who == "the caller" else (world.ben, world.anna)
        sender.refers_to("1003")
        await world.cora.rings()
        await world.stage.until(lambda: [it.bridged for it in sent.legs] == [True])
        await world.stage.until(lambda: sender.legs == [])
        (form,) = world.answers.forms(**{"Hunt-Destination-Number": "1003"})
        assert form["variable_sip_refer_to"] == f"<sip:1003@{ACME}>"
        assert form["Hunt-Direction"] == ("outbound" if who == "the caller" else "inbound")

    async def test_a_phone_connects_the_two_that_it_talks_to(self, world: World) -> None:
        world.plans |= {"1002": [RING_1002], "1003": ["bridge user/1003@acme.example.test"]}
        first = world.anna.dials("1002")
        await first.reaches("bridged 1002")
        world.anna.holds()
        second = world.anna.dials("1003")
        await second.reaches("bridged 1003")
        world.anna.connects_both()
        await first.ended()
        await second.ended()
        await world.stage.until(lambda: world.ben.leg.other is world.cora.leg)
        world.cora.hangs_up()
        await world.stage.until(lambda: world.ben.legs == [])


class TestBoundKeys:
    async def test_the_caller_starts_a_recording(self, world: World) -> None:
        world.plans["1002"] = ["bind_meta_app 1 a s record_session::/r/one.wav", RING_1002]
        call = world.anna.dials("1002")
        await call.reaches("bridged 1002")
        world.anna.presses("5*1")
        await world.stage.passes(3)
        assert world.ben.heard[-1] == "digit 5"
        world.anna.hangs_up()
        truth = await call.ended()
        recorded = next(leg for leg in truth.legs if leg.direction == "inbound").variables
        assert int(recorded["record_ms"]) > 0
        await world.told()
        assert len(world.events("RECORD_START")) == len(world.events("RECORD_STOP")) == 1
        assert world.events("DTMF") == ["5"]

    async def test_the_callee_transfers_itself(self, world: World) -> None:
        world.plans |= {"1002": [f"bind_meta_app 2 b s transfer::901 XML {ACME}", RING_1002]}
        world.plans |= {"901": ["endless_playback music.wav"]}
        call = world.anna.dials("1002")
        await call.reaches("bridged 1002")
        world.ben.presses("*2")
        await call.ended()
        await world.ben.hears("music.wav")

    async def test_a_row_of_digits_is_bound_in_its_realm(self, world: World) -> None:
        world.plans["1002"] = [
            "bind_digit_action here,*11,exec:record_session,/r/two.wav",
            "digit_action_set_realm here",
            RING_1002,
        ]
        call = world.anna.dials("1002")
        await call.reaches("bridged 1002")
        world.anna.presses("*12*11")
        await world.stage.until(lambda: bool(world.anna.leg.recordings))
        await world.told()
        assert len(world.events("RECORD_START")) == 1


class TestPickup:
    async def test_a_ringing_call_is_taken_by_its_callers_leg(self, world: World) -> None:
        world.plans |= {"1002": [RING_1002], "*8": ["intercept ${wanted}"]}
        world.ben.will(Manner("lets it ring"))
        call = world.anna.dials("1002")
        await world.ben.rings()
        world.plans["*8"] = [f"intercept {world.anna.leg.uuid}"]
        taking = world.cora.dials("*8")
        await taking.reaches("intercepted 1001")
        await world.stage.until(lambda: world.anna.leg.other is world.cora.leg)
        assert world.ben.past_leg.cause == "PICKED_OFF"
        world.cora.hangs_up()
        assert (await call.ended()).answered > 0
        assert (await taking.ended()).cause == "NORMAL_CLEARING"
        await world.told()
        assert world.events("CHANNEL_EXECUTE")[-3:] == ["intercept", "uuid_bridge", "uuid_bridge"]
        assert len(world.events("CHANNEL_BRIDGE")) == 1

    async def test_taking_the_called_leg_that_rings_ends_everybodys_call(
        self, world: World
    ) -> None:
        world.plans["1002"] = [RING_1002]
        world.ben.will(Manner("lets it ring"))
        call = world.anna.dials("1002")
        world.plans["*8"] = [f"intercept {(await world.ben.rings()).uuid}"]
        assert (await world.cora.dials("*8").ended()).cause == "ORIGINATOR_CANCEL"
        assert (await call.ended()).cause == "PICKED_OFF"
        assert len(world.stage.exchange.truth.problems) == 1

    async def test_a_conversation_is_taken_over(self, world: World) -> None:
        world.plans["1002"] = [RING_1002]
        call = world.anna.dials("1002")
        await call.reaches("bridged 1002")
        world.plans["*8"] = [f"intercept {world.anna.leg.uuid}"]
        await world.cora.dials("*8").reaches("intercepted 1001")
        await world.stage.until(lambda: world.anna.leg.other is world.cora.leg)
        assert world.ben.past_leg.cause == "PICKED_OFF"

    async def test_without_such_a_call_the_dialplan_goes_on(self, world: World) -> None:
        world.plans["*8"] = ["answer", "intercept gone", "playback nothing-rings.wav"]
        call = await world.cora.dials("*8").ended()
        assert call.legs[0].heard == ("nothing-rings.wav",)


class TestParking:
    @pytest.fixture(autouse=True)
    def _plans(self, world: World) -> None:
        world.plans |= {
            "700": [
                "set valet_parking_timeout=30",
                "set valet_parking_orbit_exten=back",
                "answer",
                "valet_park lot auto in 701 702",
            ],
            "701": ["answer", "valet_park lot 701"],
            "702": ["answer", "valet_park lot 702"],
            "back": ["playback nobody-came.wav"],
        }

    async def test_a_parked_call_is_retrieved_by_its_slot(self, world: World) -> None:
        parked = world.anna.dials("700")
        await parked.reaches("parked 701")
        assert world.anna.heard[0] == "phrase://valet_announce_ext,lot:701"
        fetching = world.ben.dials("701")
        await fetching.reaches("retrieved 701")
        await world.stage.until(lambda: world.anna.leg.other is world.ben.leg)
        world.anna.hangs_up()
        await parked.ended()
        assert (await fetching.ended()).cause == "NORMAL_CLEARING"
        await world.told()
        assert world.events("valet_parking::info") == ["hold", "bridge", "exit"]
        assert world.stage.exchange.lots["lot"] == {}

    async def test_each_call_has_a_slot_of_its_own_until_the_lot_is_full(
        self, world: World
    ) -> None:
        await world.anna.dials("700").reaches("parked 701")
        await world.ben.dials("700").reaches("parked 702")
        third = await world.cora.dials("700").ended()
        assert third.legs[0].heard == ("phrase://valet_lot_full",)

    async def test_who_is_not_fetched_returns(self, world: World) -> None:
        parked = await world.anna.dials("700").ended()
        assert "transferred back" in parked.proofs
        assert parked.legs[0].heard[-1] == "nobody-came.wav"
        assert world.stage.exchange.lots["lot"] == {}

    async def test_who_hangs_up_frees_the_slot(self, world: World) -> None:
        parked = world.anna.dials("700")
        await parked.reaches("parked 701")
        world.anna.hangs_up()
        await parked.ended()
        await world.ben.dials("700").reaches("parked 701")


class TestConferences:
    PINS: ClassVar = {
        **{"pin": "1234", "moderator-pin": "9999"},
        **{"pin-sound": "pin.wav", "max-members": "2"},
    }

    @pytest.fixture(autouse=True)
    def _plans(self, world: World) -> None:
        world.plans["810"] = ["answer", "conference room@room", "playback left.wav"]
        world.conference = {"caller-controls": "nizam", "moh-sound": "alone.wav"}

    async def test_members_meet_and_leave(self, world: World) -> None:
        one = world.anna.dials("810")
        await world.anna.hears("alone.wav")
        two = world.ben.dials("810")
        await world.anna.hears("conference of 2")
        assert world.anna.heard == ["alone.wav", "conference of 2"]
        world.anna.presses("0")
        world.anna.presses("#")
        assert (await one.ended()).legs[0].heard[-1] == "left.wav"
        world.ben.hangs_up()
        await two.ended()
        await world.told()
        assert world.events("conference::maintenance") == [
            *("conference-create", "add-member", "floor-change", "add-member", "mute-member"),
            # The floor goes to nobody, and then to who is left.
            *("floor-change", "del-member", "floor-change"),
            *("floor-change", "del-member", "conference-destroy"),
        ]
        asked = world.answers.forms(key_value="conference.conf", profile_name="room")
        assert [form["conference_name"] for form in asked] == ["room", "room"]
        assert len(world.answers.forms(Action="request-controls", Controls="nizam")) == 2

    async def test_the_pin_decides_who_may_enter_and_who_moderates(self, world: World) -> None:
        world.conference = self.PINS | {"conference-flags": "wait-mod", "moh-sound": "wait.wav"}
        one = world.anna.dials("810", answering_prompts=("1111", "1234"))
        await one.reaches("conference room")
        await world.anna.hears("wait.wav")
        assert world.anna.heard.count("pin.wav") == 2
        await world.ben.dials("810", answering_prompts=("9999",)).reaches("conference room")
        await world.anna.hears("conference of 2")
        third = await world.cora.dials("810", answering_prompts=("1234",)).ended()
        assert "conference full" in third.proofs

    async def test_three_wrong_pins_end_it(self, world: World) -> None:
        world.conference = self.PINS
        call = await world.anna.dials("810", answering_prompts=("1", "2", "3")).ended()
        assert "refused by the conference" in call.proofs
        await world.told()
        assert world.events("conference::maintenance") == [
            *("conference-create", "conference-destroy"),
        ]


class TestRinging:
    async def test_all_literal_contacts_of_a_user_ring(
        self, make_switch: MakeSwitch, world: World
    ) -> None:
        desk = attrs.evolve(USERS[1], device="desk")
        switch = make_switch(scenery=attrs.evolve(SCENERY, users=(*USERS, desk)))
        await switch.start()
        stage = Stage(switch)
        contacts = switch.core.contacts("1002", ACME)
        assert len(contacts) == 2
        legs = ",".join(f"[leg_timeout=20]sofia/internal/{it.contact}" for it in contacts)
        world.plans["1002"] = ["bridge {ignore_early_media=true}" + legs]
        mobile = stage.phone(USERS[1]).will(Manner("lets it ring"))
        at_desk = stage.phone(desk).will(Manner(ring=3.0))
        call = stage.phone(USERS[0]).dials("1002")
        await call.reaches("bridged 1002")
        assert at_desk.leg.bridged
        assert [it for it in mobile.legs if not it.ended] == []
        await stage.drained()

    async def test_a_phone_with_an_unknown_contact_never_answers(self, world: World) -> None:
        world.plans["1002"] = [
            "set continue_on_fail=PROGRESS_TIMEOUT",
            "bridge [leg_progress_timeout=3]sofia/internal/sip:1002@10.0.0.1:5060;transport=udp",
            "playback not-there.wav",
        ]
        world.stage.everybody_will(Manner("is dead"), "1002@10.0.0.1:5060")
        call = await world.anna.dials("1002").ended()
        assert "refused PROGRESS_TIMEOUT" in call.proofs
        assert next(leg for leg in call.legs if leg.direction == "inbound").heard == (
            "not-there.wav",
        )

    @pytest.mark.parametrize(
        ("continue_on_fail", "goes_on"),
        [
            (None, False),
            ("true", True),
            ("false", False),
            ("user_busy", True),
            ("17", True),
            ("NO_ANSWER,CALL_REJECTED", False),
        ],
    )
    async def test_which_causes_go_on(
        self, world: World, continue_on_fail: str | None, goes_on: bool
    ) -> None:
        world.plans["1002"] = [RING_1002, "playback next.wav"]
        if continue_on_fail is not None:
            world.plans["1002"] = [f"set continue_on_fail={continue_on_fail}", *world.plans["1002"]]
        world.ben.will(Manner("is busy"))
        call = await world.anna.dials("1002").ended()
        assert call.cause == ("NORMAL_CLEARING" if goes_on else "USER_BUSY")

    async def test_who_confirms_by_a_key_gets_the_call(self, world: World) -> None:
        variables = "group_confirm_key=1,group_confirm_file=press-1.wav,leg_timeout=20"
        world.plans["2000"] = [
            "ring_ready",
            "bridge {ignore_early_media=true}"
            f"[{variables}]user/1002@{ACME},[{variables},leg_delay_start=2]user/1003@{ACME}",
        ]
        world.ben.will(Manner(ring=1.0, confirm="2"))
        world.cora.will(Manner(ring=4.0, confirm="1"))
        call = world.anna.dials("2000")
        await call.reaches("bridged 1003")
        assert world.cora.heard == ["press-1.wav"]
        assert world.ben.past_leg.heard == ("press-1.wav",)
        assert world.ben.past_leg.cause == "LOSE_RACE"

    async def test_early_media_is_heard_unless_it_is_to_be_ignored(self, world: World) -> None:
        quiet = "bridge {ignore_early_media=true}user/1002@acme.example.test"
        world.plans |= {"1002": [RING_1002], "2000": ["ring_ready", quiet]}
        world.ben.will(Manner(ring=3.0, early_media="please-hold.wav"))
        call = world.anna.dials("1002")
        await call.reaches("bridged 1002")
        assert world.anna.heard == ["please-hold.wav"]
        world.anna.hangs_up()
        await call.ended()
        again = world.anna.dials("2000")
        await again.reaches("bridged 1002")
        assert world.anna.heard == ["ringing"]

    async def test_a_phone_answers_by_itself_when_it_is_told_to(self, world: World) -> None:
        world.plans["*80"] = ["bridge {sip_auto_answer=true}user/1002@acme.example.test"]
        world.ben.will(Manner("lets it ring"))
        await world.anna.dials("*80").reaches("bridged 1002")
        assert world.ben.shown.headers == {"Call-Info": "<sip:127.0.0.1>;answer-after=0"}

    async def test_the_called_phone_is_shown_what_the_dialplan_says(self, world: World) -> None:
        world.plans["1002"] = [
            "set effective_caller_id_name=Reception",
            "set effective_caller_id_number=100",
            "export sip_h_X-Ticket=42",
            "privacy full",
            "bridge [sip_cid_type=pid,absolute_codec_string=PCMA]user/1002@acme.example.test",
        ]
        await world.anna.dials("1002").reaches("bridged 1002")
        shown = world.ben.shown
        assert (shown.name, shown.number, shown.asserted) == ("Reception", "100", "100")
        assert shown.headers == {"X-Ticket": "42"}
        assert (shown.privacy, shown.codecs) == ("id", "PCMA")


class TestSounds:
    async def test_what_is_played_is_heard_in_order(self, world: World) -> None:
        world.plans["900"] = [
            "answer",
            "playback file_string://one.wav!two.wav",
            "say en number pronounced 12",
            "speak flite|kal|hello",
            "phrase greeting,1",
            "gentones %(100,100,700)|2",
            "playback silence_stream://500",
        ]
        call = await world.anna.dials("900").ended()
        assert call.legs[0].heard == (
            *("one.wav", "two.wav", "say://en number pronounced 12", "speak://hello"),
            *("phrase://greeting,1", "tone_stream://%(100,100,700)", "silence_stream://500"),
        )

    async def test_ringback_is_heard_while_others_ring(self, world: World) -> None:
        world.plans["1002"] = ["set ringback=music.wav", RING_1002]
        await world.anna.dials("1002").reaches("bridged 1002")
        assert world.anna.heard == ["music.wav"]

    async def test_a_message_is_recorded_until_a_key_is_pressed(self, world: World) -> None:
        world.plans["901"] = ["answer", "record /r/greeting.wav 30", "playback saved.wav"]
        call = await world.anna.dials("901", answering_prompts=("*",), message=8.0).ended()
        leg = call.legs[0]
        assert leg.heard == ("saved.wav",)
        assert leg.variables["record_seconds"] == "8"
        assert leg.variables["playback_terminator_used"] == "*"

    async def test_a_session_is_recorded_until_it_is_stopped(self, world: World) -> None:
        world.plans["902"] = [
            *("answer", "record_session /r/a.wav", "sleep 3000", "stop_record_session /r/a.wav"),
        ]
        call = await world.anna.dials("902").ended()
        assert int(call.legs[0].variables["record_ms"]) > 0

    async def test_files_are_written_below_the_media_root_only(
        self, world: World, tmp_path: Path
    ) -> None:
        world.stage.exchange.core.media_root = root = tmp_path / "media"
        inside, outside = root / "acme/2026/a.wav", tmp_path / "b.wav"
        escaping = root / "../c.wav"
        world.plans["902"] = [
            "answer",
            *(f"record_session {it}" for it in (inside, outside, escaping)),
            "sleep 3000",
        ]
        leg = (await world.anna.dials("902").ended()).legs[0]
        assert _milliseconds(inside) == pytest.approx(int(leg.variables["record_ms"]), abs=20)
        assert _sounds(tmp_path) == [inside]


def _milliseconds(file: Path) -> float:
    with wave.open(str(file)) as sound:
        assert any(sound.readframes(100))
        return float(1000 * sound.getnframes() / sound.getframerate())


def _sounds(folder: Path) -> list[Path]:
    return list(folder.rglob("*.wav"))


class TestEnds:
    async def test_a_call_is_cut_off_when_its_time_is_over(self, world: World) -> None:
        world.plans["1002"] = ["sched_hangup +10 alloted_timeout", RING_1002]
        world.plans["1003"] = ["sched_hangup +10 ALLOTTED_TIMEOUT", RING_1002]
        call = await world.anna.dials("1003").ended()
        assert call.cause == "ALLOTTED_TIMEOUT"
        assert world.ben.past_leg.cause == "ALLOTTED_TIMEOUT"
        # A misspelt cause is none.
        assert (await world.anna.dials("1002").ended()).cause == "NORMAL_CLEARING"

    async def test_an_unknown_application_ends_the_leg_and_is_told(self, world: World) -> None:
        world.plans["903"] = ["answer", "no_such_thing x", "playback never.wav"]
        call = await world.anna.dials("903").ended()
        assert call.cause == "DESTINATION_OUT_OF_ORDER"
        assert call.legs[0].heard == ()
        truth = world.stage.exchange.truth
        assert truth.unknown_applications == ["no_such_thing"]
        assert truth.applications == {"answer": 1}

    async def test_variables_are_set_in_all_ways(self, world: World) -> None:
        world.plans["904"] = [
            *("multiset ^^|a=1|b=2 3", "multiset c=4 d=5", "set d=", "unset c"),
            *("export nolocal:e=6", "set_profile_var caller_id_name=Front", RING_1002),
        ]
        call = world.anna.dials("904")
        await call.reaches("bridged 1002")
        a, b = world.anna.leg, world.ben.leg
        assert [a.get(name) for name in "abcde"] == ["1", "2 3", None, None, None]
        assert b.get("e") == "6"
        assert a.profile.caller_id_name == "Front"
