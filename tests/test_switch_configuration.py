"""The switch-side configuration: well-formed, complete, without users and without open doors."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest
from lxml import etree

from nizam.fsxml.dialplan import actions
from nizam.routing import plan

FOLDER = Path(__file__).parent.parent / "etc/freeswitch"
FILES = sorted(FOLDER.rglob("*.xml"))
# Set by FreeSWITCH itself (switch_core.c).
BUILT_IN = {"sounds_dir", "log_dir"}


def parameters(name: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for parameter in etree.parse(FOLDER / "autoload_configs" / name).iter("param"):
        found.setdefault(str(parameter.get("name")), []).append(str(parameter.get("value")))
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_variable_is_set(file: Path) -> None:
    directives = etree.parse(FOLDER / "vars.xml").iter("X-PRE-PROCESS")
    known = {str(directive.get("data")).partition("=")[0] for directive in directives}
    assert set(re.findall(r"\$\$\{(\w+)\}", file.read_text())) <= known | BUILT_IN


@pytest.mark.parametrize(
    "file", [file for file in FILES if file.name.endswith(".conf.xml")], ids=lambda file: file.name
)
def test_each_configuration_carries_the_name_that_freeswitch_asks_for(file: Path) -> None:
    root = etree.parse(file).getroot()
    assert (root.tag, root.get("name")) == ("configuration", file.name.removesuffix(".xml"))


def test_there_are_no_users_and_no_dialplan_on_disk() -> None:
    for file in FILES:
        tree = etree.parse(file)
        assert not tree.xpath("//user | //extension | //context | //gateway"), file
    sections = etree.parse(FOLDER / "freeswitch.xml").xpath("/document/section/@name")
    assert sections == ["configuration", "languages"]


def test_questions_go_to_two_instances_with_credentials_and_a_limit() -> None:
    bindings = etree.parse(FOLDER / "autoload_configs/xml_curl.conf.xml").findall(".//binding")
    assert len(bindings) == 2
    for number, binding in enumerate(bindings, start=1):
        given = {p.get("name"): p.get("value") for p in binding}
        assert given["gateway-url"] == f"$${{nizam_url_{number}}}/freeswitch/xml"
        assert given["gateway-credentials"] == "$${nizam_xml_username}:$${nizam_xml_password}"
        assert 1 <= int(given["timeout"]) <= 5
        assert binding[0].get("bindings") == "directory|dialplan|configuration"


def test_records_are_posted_to_both_instances_and_kept_when_neither_takes_them() -> None:
    given = parameters("json_cdr.conf.xml")
    assert given["url"] == [f"$${{nizam_url_{n}}}/freeswitch/cdr" for n in (1, 2)]
    assert given["cred"] == ["$${nizam_xml_username}:$${nizam_xml_password}"]
    assert given["err-log-dir"]


def test_the_event_socket_has_an_own_password_and_lets_only_loopback_in() -> None:
    text = (FOLDER / "vars.xml").read_text()
    assert {"nizam_esl_ip=127.0.0.1", "nizam_esl_acl=loopback.auto"} <= set(
        re.findall(r'data="([^"]+)"', text)
    )
    assert "ClueCon" not in text
    assert parameters("event_socket.conf.xml")["apply-inbound-acl"] == ["$${nizam_esl_acl}"]


@pytest.mark.parametrize("file", ["switch.conf.xml", "post_load_switch.conf.xml"])
def test_dialplan_data_runs_no_api_commands(file: str) -> None:
    assert parameters(file)["api-expansion"] == ["false"]


def test_the_switch_shows_every_phone_of_an_extension() -> None:
    assert parameters("switch.conf.xml")["multiple-registrations"] == ["true"]


def test_questions_can_be_asked_before_anything_that_asks_is_loaded() -> None:
    tree = etree.parse(FOLDER / "autoload_configs/modules.conf.xml")
    modules = [load.get("module") for load in tree.iter("load")]
    for asking in ("mod_sofia", "mod_voicemail", "mod_json_cdr", "mod_event_socket"):
        assert modules.index("mod_xml_curl") < modules.index(asking)


EVERY_STEP: plan.Plan = (
    plan.Set("nizam_route", "nowhere"),
    plan.Ringback("tone_stream://%(200,100,500)"),
    plan.Export("nizam_route", "to nowhere"),
    plan.Answer(),
    plan.RingReady(),
    plan.Sleep(500),
    plan.Bridge((plan.UserLeg("1001", "acme.example.test"),)),
    plan.Voicemail("acme.example.test", "1001"),
    plan.VoicemailCheck("acme.example.test"),
    plan.RunIvr("ivr-1"),
    plan.Conference("conf-1"),
    plan.Park("lot-1", "701", "709"),
    plan.ParkInSlot("lot-1", "701"),
    plan.Transfer("1001", "acme.example.test"),
    plan.HoldMusic(("/var/lib/nizam/media/tenants/a/music-on-hold/b/c.wav",)),
    plan.Playback("ivr/ivr-welcome.wav"),
    plan.RecordCall("/var/lib/nizam/media/tenants/a/recordings/b.wav"),
    plan.OfferRecording("/var/lib/nizam/media/tenants/a/recordings/b.wav", "2", "ab"),
    plan.Page(
        "page-1", "page", (plan.UserLeg("1001", "acme.example.test"),), "Ada Lovelace", "1001"
    ),
    plan.Intercept("6ea0bf15-77d6-42ac-8f51-8e7252f1e616"),
    plan.CollectDigits("nizam_flow_order", 1, 4, 3, 5000, 2000),
    plan.Speak("flite", "kal", "Hello"),
    plan.SayDigits("en", "42"),
    plan.Record("/var/lib/nizam/media/tenants/a/recordings/b.wav", 60, 5),
    plan.Echo(),
    plan.Respond(480, "Gone"),
    plan.Hangup("NORMAL_CLEARING"),
)
# What of it does not come with mod_dptools (the SWITCH_ADD_APP lines of each module).
MODULE_OF = {
    "conference": "mod_conference",
    "valet_park": "mod_valet_parking",
    "voicemail": "mod_voicemail",
}


def test_every_application_of_the_dialplan_is_loaded() -> None:
    assert {type(step) for step in EVERY_STEP} == set(get_args(plan.Step))
    needed = {MODULE_OF.get(name, "mod_dptools") for name, _ in actions(EVERY_STEP)}
    tree = etree.parse(FOLDER / "autoload_configs/modules.conf.xml")
    assert needed <= {load.get("module") for load in tree.iter("load")}


# Of the modules that we load, those that refuse to load when their configuration is not found.
@pytest.mark.parametrize("module", ["sofia", "voicemail", "local_stream", "event_socket"])
def test_a_module_loads_when_no_instance_answers(module: str) -> None:
    assert (FOLDER / f"autoload_configs/{module}.conf.xml").exists()


def test_without_an_instance_there_is_no_sip_profile() -> None:
    assert not etree.parse(FOLDER / "autoload_configs/sofia.conf.xml").findall(".//profile")
