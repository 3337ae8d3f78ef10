"""No text of a tenant or a caller has a meaning to FreeSWITCH or breaks the XML."""

from __future__ import annotations

import random
import re
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from nizam.fsxml import values
from nizam.fsxml.dialplan import actions, render
from nizam.fsxml.directory import Directory, dial_string
from nizam.fsxml.request import XmlRequest, call_request
from nizam.fsxml.values import UnsafeValue
from nizam.model.extension import CallerId, Extension
from nizam.routing.decide import decide
from nizam.routing.decision import Decision
from nizam.routing.plan import (
    Bridge,
    Caller,
    Diversion,
    Export,
    GatewayLeg,
    Hangup,
    Location,
    Playback,
    RunIvr,
    Set,
    Transfer,
    UserLeg,
    Voicemail,
)
from nizam.routing.rows import Entry
from nizam.sim.dialstring import parse_dial_string
from tests.fsxml.asking import encoded, hostile_call
from tests.routing.tenants import ACME, NOON, Tenants, identifier, recorded_tenants, reveal

HOSTILE = (
    "${system rm -rf /}",
    "\\${system(x)}",
    "$${domain}",
    "a,b|c{d}[e]^^:",
    "'\"<>&]]>",
    "x\r\nRoute: <sip:evil>",
    "a\\",
    "\u202e\x00\ud800\ufffe",
    "李 é 😀",
)
MEANING = re.compile(r"[$\\{}\[\]|,;'\"`<>\r\n\x00-\x1f]")


def _examples(test: Any) -> Any:
    for text in HOSTILE:
        test = example(text)(test)
    return test


@_examples
@given(st.text(st.characters()))
def test_free_text_keeps_nothing_that_has_a_meaning(text: str) -> None:
    cleaned = values.text(text)
    assert not MEANING.search(cleaned)
    assert len(cleaned) <= 200
    cleaned.encode()


@pytest.mark.parametrize("text", ["Ada Lovelace", "李 é 😀", "Müller (Büro) #1 & Co."])
def test_ordinary_names_stay_as_they_are(text: str) -> None:
    assert values.text(text) == text


@pytest.mark.parametrize("text", [*HOSTILE[:-1], "", "a b", "x" * 300])
@pytest.mark.parametrize("kind", ["word", "domain", "sound", "cause"])
def test_identifiers_are_refused_unless_they_look_as_they_should(kind: str, text: str) -> None:
    with pytest.raises(UnsafeValue):
        getattr(values, kind)(text)


def test_a_sound_cannot_leave_its_folder() -> None:
    with pytest.raises(UnsafeValue):
        values.sound("../../etc/passwd")


@_examples
@given(st.text(st.characters()))
def test_whatever_callers_send_the_dialplan_is_harmless(text: str) -> None:
    snapshot = recorded().snapshot
    for context, number in (("public", "12025550101"), (ACME, "1002"), (ACME, text)):
        request = call_request(encoded(hostile_call(context, number, text)))
        answer = render(decide(snapshot, request, NOON, random.Random(1)), request.context)
        root = ElementTree.fromstring(answer)  # noqa: S314 - our own answer
        for action in root.iter("action"):
            _assert_harmless(action.get("application", ""), action.get("data", ""))


_tenants: list[Tenants] = []


def recorded() -> Tenants:
    """One snapshot for all examples: making it takes longer than an example."""
    if not _tenants:
        tenants = recorded_tenants()
        tenants.put(
            "did",
            "acme/did",
            {
                "number": "+12025550101",
                "caller_name_prefix": "In",
                "destination": {"type": "extension", "id": str(identifier("acme/1001"))},
            },
        )
        _tenants.append(tenants)
    return _tenants[0]


def _assert_harmless(application: str, data: str) -> None:
    assert "$" not in data
    assert "\\" not in data
    if application == "bridge":
        assert parse_dial_string(data)
    else:
        assert not re.search(r"[{}\[\]|\r\n'\"]", data)


@_examples
@given(st.text(st.characters(), min_size=1, max_size=60))
def test_whatever_tenants_write_is_harmless_or_refused(text: str) -> None:
    tenants = Tenants()
    tenants.tenant("acme")
    for kind, name, body in _bodies(text):
        try:
            tenants.put(kind, name, body)
        except ValidationError:
            continue
    directory = Directory(tenants.snapshot, reveal)
    answer = directory.answer(XmlRequest(b"section=directory&domain=acme.example.test&user=1001"))
    for variable in ElementTree.fromstring(answer).iter("variable"):  # noqa: S314 - ours
        assert not MEANING.search(variable.get("value", ""))
    for number in ("1001", "2000", "7000", "12025550777"):
        decision = tenants.dial(number)
        root = ElementTree.fromstring(render(decision, ACME))  # noqa: S314 - our own answer
        for action in root.iter("action"):
            _assert_harmless(action.get("application", ""), action.get("data", ""))


def _bodies(text: str) -> list[tuple[str, str, dict[str, Any]]]:
    phone = {"number": "1001", "display_name": "Ada"}
    group = {"number": "2000", "name": "G", "members": [{"number": "1001"}]}
    when = {
        "number": "7000",
        "name": "T",
        "override": "match",
        "match_destination": {"type": "play", "sound": "x.wav"},
        "otherwise_destination": {"type": "hangup"},
    }
    carrier = {"name": "one", "host": "192.0.2.10"}
    route = {
        "name": "R",
        "patterns": ["+1."],
        "gateways": [{"gateway_id": str(identifier("acme/one"))}],
    }
    return [
        ("extension", "acme/1001", phone),
        ("extension", "acme/1001", phone | {"display_name": text}),
        ("extension", "acme/1001", phone | {"caller_id": {"internal_name": text}}),
        ("extension", "acme/1001", phone | {"caller_id": {"external_name": text}}),
        ("ring_group", "acme/2000", group),
        ("ring_group", "acme/2000", group | {"caller_name_prefix": text}),
        ("ring_group", "acme/2000", group | {"ringback": text}),
        ("time_condition", "acme/7000", when),
        (
            "time_condition",
            "acme/7000",
            when | {"match_destination": {"type": "play", "sound": text}},
        ),
        ("gateway", "acme/one", carrier),
        ("outbound_route", "acme/r", route),
        ("outbound_route", "acme/r", route | {"name": text}),
        ("outbound_route", "acme/r", route | {"prepend": text}),
    ]


@pytest.mark.parametrize(
    "step",
    [
        Hangup("${x}"),
        Playback("${x}"),
        RunIvr("${x}"),
        Transfer("1 XML other.test\n", ACME),
        Transfer("1001", "x y"),
        Voicemail(ACME, "1 2"),
        Set("a=${b}", "1"),
        Export("a b", "1"),
        Bridge((UserLeg("1001|error/user_busy", ACME),)),
        Bridge((UserLeg("1001", "a@b"),)),
        Bridge((GatewayLeg("x/y", "1"),)),
        Bridge((GatewayLeg("x", "1,user/2"),)),
        Bridge((GatewayLeg("x", "1", caller=Caller("1]loopback/2")),)),
        Bridge((GatewayLeg("x", "1", caller=Caller("1", diversion=Diversion("1>", ACME, "x"))),)),
        Bridge((GatewayLeg("x", "1", caller=Caller("1", diversion=Diversion("1", "a>", "x"))),)),
        Bridge((GatewayLeg("x", "1", caller=Caller("1", diversion=Diversion("1", ACME, "x;y"))),)),
        Bridge((GatewayLeg("x", "1", codecs="PCMA]"),)),
        Bridge((GatewayLeg("x", "1", location=Location("Route", "1")),)),
        Bridge((GatewayLeg("x", "1", location=Location("X-A: b\r\nX", "1")),)),
        Bridge((UserLeg("1001", ACME),), continue_on=("a,b",)),
    ],
)
def test_a_plan_with_a_meaning_of_its_own_is_refused(step: Any) -> None:
    with pytest.raises(UnsafeValue):
        render(Decision((step,), (), "routed", ""), ACME)


def test_dial_strings_are_read_by_the_switch_as_they_were_meant() -> None:
    bridge = Bridge(
        (
            UserLeg("1001", ACME, timeout_seconds=8),
            UserLeg("1002", ACME, timeout_seconds=4, delay_seconds=2),
            GatewayLeg(
                "gw",
                "+12025550777",
                confirm=True,
                caller=Caller("+12025550101", "Acme", "pai"),
                codecs="PCMA,G729@20i",
            ),
        ),
        ring_seconds=20,
        continue_on="always",
        ignore_early_media=True,
    )
    written = list(actions((bridge,)))
    assert written[:2] == [("set", "continue_on_fail=true"), ("set", "call_timeout=20")]
    (branch,) = parse_dial_string(written[2][1])
    assert branch.variables == {"ignore_early_media": "true"}
    ((first, second, third),) = branch.attempts
    assert (first.address, first.variables) == (f"1001@{ACME}", {"leg_timeout": "8"})
    assert second.variables == {"leg_timeout": "4", "leg_delay_start": "2"}
    assert third.address == "gateway/gw/+12025550777"
    assert third.variables == {
        "origination_callee_id_name": "+12025550777",
        "origination_caller_id_number": "+12025550101",
        "origination_caller_id_name": "Acme",
        "sip_cid_type": "pid",
        "origination_privacy": "screen",
        "absolute_codec_string": "PCMA,G729@20i",
        "group_confirm_key": "1",
        "group_confirm_file": "tone_stream://%(300,100,700);loops=5",
    }


def test_bridges_in_turn_and_failover_set_only_what_changes() -> None:
    leg = UserLeg("1001", ACME)
    plan = (
        Bridge((leg,), continue_on=("GATEWAY_DOWN", "PROGRESS_TIMEOUT")),
        Bridge((leg, leg), order="in_turn"),
        Bridge((leg,)),
    )
    user = f"user/1001@{ACME}"
    assert list(actions(plan)) == [
        ("set", "continue_on_fail=GATEWAY_DOWN,PROGRESS_TIMEOUT"),
        ("bridge", user),
        ("set", "continue_on_fail=false"),
        ("bridge", f"{user}|{user}"),
        ("bridge", user),
    ]


@_examples
@given(st.text(st.characters()))
def test_the_name_of_an_extension_is_shown_to_callers_and_is_only_a_name(name: str) -> None:
    caller_id = CallerId(internal_number="7777")
    body = Extension.model_construct(number="1001", display_name=name, caller_id=caller_id)
    entry: Entry[Extension] = Entry("extension", identifier("acme/1001"), 1, body, {})
    (branch,) = parse_dial_string(dial_string(identifier("acme"), entry, None))
    (((leg,),),) = (branch.attempts,)
    assert leg.address == "internal/${dialed_user}%${dialed_domain}"
    assert set(branch.variables) == {
        "sip_invite_domain",
        "presence_id",
        "origination_callee_id_name",
        "origination_callee_id_number",
        "nizam_tenant_id",
        "nizam_extension_id",
    }
    assert branch.variables["origination_callee_id_number"] == "7777"
    assert branch.variables["origination_callee_id_name"] == (values.text(name) or "7777")
    assert branch.variables["nizam_extension_id"] == str(entry.id)


@pytest.mark.parametrize(
    "uri",
    [
        "sip:1001@192.0.2.10",
        "sip:1001@192.0.2.10:5060",
        "sips:ada@phone.example.test:5061;transport=tls",
        "sip:1001@10.0.0.5:5062;ob;fs_nat=yes;fs_path=sip%3A1001%40198.51.100.7%3A40000%3Bob",
        "sip:192.0.2.10:5060;line=abc",
    ],
)
def test_a_contact_is_dialled_as_it_was_registered(uri: str) -> None:
    assert values.contact(uri) == uri


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "1001",
        "tel:1001",
        "sip:1001@192.0.2.10,sofia/external/sip:900@192.0.2.99",
        "sip:1001@192.0.2.10|loopback/9",
        "sip:1001@192.0.2.10;x=${system rm}",
        "sip:1001@192.0.2.10;x=$${domain}",
        "sip:{a=b}1001@192.0.2.10",
        "sip:[a=b]1001@192.0.2.10",
        "sip:1001@[2001:db8::1]:5060",
        "sip:1001@192.0.2.10^1002",
        "sip:1001@192.0.2.10 &bridge(x)",
        "sip:1001@192.0.2.10?Replaces=x",
        "sip:1001@192.0.2.10;x='",
        'sip:1001@192.0.2.10;x="',
        "sip:1001@192.0.2.10\r\nVia: x",
        "sip:1001@192.0.2.10\n",
        "sip:1001%@192.0.2.10",
        "sip:1001@192.0.2.10/x",
        "sip:1001@192.0.2.10:_:sofia/x",
        "sip:1001@192.0.2.10;x=%2",
        "sip:" + "1" * 500 + "@192.0.2.10",
    ],
)
def test_a_contact_that_would_mean_something_to_the_switch_is_not_dialled(uri: str) -> None:
    assert values.contact(uri) is None
