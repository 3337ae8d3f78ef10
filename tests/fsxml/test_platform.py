"""Conference profiles, access control lists and SIP profiles, as FreeSWITCH is given them."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from lxml import etree
from pydantic import ValidationError

from nizam.fsxml.configuration import Configuration
from nizam.fsxml.request import XmlRequest
from nizam.fsxml.writer import NOT_FOUND
from tests.routing.tenants import NOON, SIP, Tenants, identifier, recorded_tenants, reveal

MUSIC_ID = identifier("piano.wav")
MUSIC: dict[str, Any] = {
    "files": [
        {
            "id": str(MUSIC_ID),
            "name": "Piano",
            "sample_rate": 8000,
            "seconds": 3.5,
            "bytes": 56044,
            "sha256": "0" * 64,
            "source_format": "wav",
            "source_sample_rate": 8000,
            "source_channels": 1,
        }
    ]
}


@pytest.fixture
def tenants() -> Tenants:
    return recorded_tenants()


def ask(tenants: Tenants, name: str, **fields: str) -> bytes:
    body = urlencode({"section": "configuration", "key_value": name, **fields}).encode()
    return Configuration(tenants.snapshot, SIP, reveal, lambda: NOON).answer(XmlRequest(body))


def params(answer: bytes, place: str) -> dict[str, str]:
    found = etree.fromstring(answer).iterfind(f".//{place}/param")
    return {str(it.get("name")): str(it.get("value")) for it in found}


def room(tenants: Tenants, **changes: Any) -> str:
    body = {"number": "3000", "name": "Board", "member_pin": "4711", "moderator_pin": "0815"}
    made = tenants.put("conference_room", "acme/3000", body | changes)
    return f"conf-{made.hex}"


def test_a_conference_profile_has_the_pins_and_how_people_enter(tenants: Tenants) -> None:
    name = room(tenants, max_members=5, mute_on_entry=True, wait_for_moderator=True)
    profile = params(ask(tenants, "conference.conf", profile_name=name), f"profile[@name='{name}']")
    assert (profile["pin"], profile["moderator-pin"]) == ("4711", "0815")
    assert (profile["max-members"], profile["member-flags"]) == ("5", "mute")
    assert profile["conference-flags"] == "wait-mod"
    assert profile["pin-sound"]


def test_nobody_waits_for_a_moderator_that_cannot_come(tenants: Tenants) -> None:
    name = room(tenants, moderator_pin=None, wait_for_moderator=True)
    profile = params(ask(tenants, "conference.conf", profile_name=name), "profile")
    assert not {"conference-flags", "moderator-pin"} & profile.keys()


def profile_of(tenants: Tenants, name: str) -> dict[str, str]:
    return params(ask(tenants, "conference.conf", profile_name=name), "profile")


def test_a_recorded_conference_is_recorded_below_the_folder_of_its_tenant(
    tenants: Tenants,
) -> None:
    name = room(tenants, record=True)
    tenants.snapshot.media_root = None
    assert "auto-record" not in profile_of(tenants, name)
    tenants.snapshot.media_root = Path("/var/lib/nizam/media")
    acme = identifier("acme")
    recorded = profile_of(tenants, name)["auto-record"]
    assert recorded == f"/var/lib/nizam/media/{acme}/recordings/${{uuid}}.wav"
    tenants.tenant("acme", recording_folders="{year}/{month}")
    recorded = profile_of(tenants, name)["auto-record"]
    assert recorded == f"/var/lib/nizam/media/{acme}/recordings/2026/11/${{uuid}}.wav"
    room(tenants, record=False)
    assert "auto-record" not in profile_of(tenants, name)


def test_who_waits_in_a_conference_hears_the_music_of_the_tenant(tenants: Tenants) -> None:
    name = room(tenants)
    assert profile_of(tenants, name)["moh-sound"] == "local_stream://default"
    tenants.snapshot.media_root = Path("/media")
    body = {"name": "Piano", "is_default": True, **MUSIC}
    made = tenants.put("music_on_hold", "acme/piano", body)
    heard = profile_of(tenants, name)["moh-sound"]
    assert heard == f"/media/{identifier('acme')}/music-on-hold/{made}/{MUSIC_ID}.wav"


@pytest.mark.parametrize(
    ("fields", "sounds"),
    [
        ({}, {"pin-sound": "tone_stream://%(200,100,500)"}),
        ({"pin_sound": "conference/conf-pin.wav"}, {"pin-sound": "conference/conf-pin.wav"}),
        (
            {"announce": True},
            {"enter-sound": "tone_stream://%(200,0,500,600,700)"},
        ),
        ({"announce": False}, {"enter-sound": None, "exit-sound": None}),
    ],
)
def test_sounds_of_a_conference_are_tones_unless_it_names_files(
    tenants: Tenants, fields: dict[str, Any], sounds: dict[str, str | None]
) -> None:
    name = room(tenants, **fields)
    profile = profile_of(tenants, name)
    assert {it: profile.get(it) for it in sounds} == sounds


def test_mailboxes_have_one_profile_with_limits_for_messages(tenants: Tenants) -> None:
    profile = params(ask(tenants, "voicemail.conf"), "profile[@name='default']")
    assert (profile["min-record-len"], profile["max-record-len"]) == ("3", "300")
    assert profile["file-extension"] == "wav"


def test_queues_have_no_configuration(tenants: Tenants) -> None:
    assert ask(tenants, "callcenter.conf") == NOT_FOUND
    assert ask(tenants, "callcenter.conf", **{"CC-Queue": "support"}) == NOT_FOUND


@pytest.mark.parametrize("wrong", [{"type": "queue", "id": str(identifier("queue"))}])
def test_a_queue_is_no_destination_yet(tenants: Tenants, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="'queue' is not a destination; known are"):
        tenants.put("did", "acme/did", {"number": "+12025550123", "destination": wrong})


@pytest.mark.parametrize("feature", ["agent_login", "agent_logout", "agent_break"])
def test_codes_of_agents_do_not_exist_yet(tenants: Tenants, feature: str) -> None:
    with pytest.raises(ValidationError, match="Input should be 'voicemail'"):
        tenants.put("feature_code", "acme/code", {"code": "*45", "feature": feature})


def test_whoever_has_entered_a_conference_has_keys(tenants: Tenants) -> None:
    question = {"Conf-Profile": room(tenants), "Action": "request-controls", "Controls": "nizam"}
    answer = ask(tenants, "conference.conf", **question)
    keys = etree.fromstring(answer).iterfind(".//caller-controls/group[@name='nizam']/control")
    assert {it.get("digits"): it.get("action") for it in keys} == {"0": "mute"}
    assert b"pin" not in answer
    assert ask(tenants, "conference.conf", **question | {"Controls": "default"}) == NOT_FOUND


def test_no_conference_is_advertised(tenants: Tenants) -> None:
    room(tenants)
    root = etree.fromstring(ask(tenants, "conference.conf", presence="true"))
    assert list(root.iterfind(".//configuration"))
    assert not list(root.iterfind(".//room"))


@pytest.mark.parametrize("name", ["default", "conf-0", f"conf-{identifier('nobody').hex}"])
def test_other_conference_profiles_are_not_served(tenants: Tenants, name: str) -> None:
    assert ask(tenants, "conference.conf", profile_name=name) == NOT_FOUND


def test_a_disabled_room_is_not_served(tenants: Tenants) -> None:
    name = room(tenants, enabled=False)
    assert ask(tenants, "conference.conf", profile_name=name) == NOT_FOUND


def test_declared_lists_are_served_beside_the_gateways(tenants: Tenants) -> None:
    nodes = [{"action": "deny", "cidr": "10.1.0.0/16"}]
    tenants.put("acl", "offices", {"name": "offices", "default": "allow", "nodes": nodes})
    tenants.put("acl", "former", {"name": "former", "enabled": False})
    root = etree.fromstring(ask(tenants, "acl.conf"))
    assert [it.get("name") for it in root.iterfind(".//list")] == [
        "gateways",
        "tenants",
        "switch_nodes",
        "offices",
    ]
    (node,) = root.iterfind(".//list[@name='offices']/node")
    assert (node.get("type"), node.get("cidr")) == ("deny", "10.1.0.0/16")


def test_lists_have_the_addresses_of_gateways_and_the_networks_of_extensions(
    tenants: Tenants,
) -> None:
    carrier = {
        "host": "sip.carrier.example",
        "proxy": "198.51.100.7:5070",
        "inbound_cidrs": ["203.0.113.0/24", "2001:db8::/32"],
    }
    tenants.put("gateway", "acme/three", {"name": "three", **carrier})
    tenants.put("gateway", "acme/four", {"name": "four", "host": "198.51.100.8", "enabled": False})
    person = {"number": "1001", "display_name": "Ada", "allowed_cidrs": ["10.1.0.0/16"]}
    tenants.put("extension", "acme/1001", person, {"sip_password": "x"})
    root = etree.fromstring(ask(tenants, "acl.conf"))

    def listed(name: str) -> list[str | None]:
        return [it.get("cidr") for it in root.iterfind(f".//list[@name='{name}']/node")]

    assert listed("gateways") == [
        "192.0.2.10/32",
        "198.51.100.7/32",
        "203.0.113.0/24",
        "2001:db8::/32",
    ]
    assert listed("tenants") == ["10.1.0.0/16"]


@pytest.mark.parametrize("name", ["gateways", "tenants", "switch_nodes", "none"])
def test_lists_that_are_made_by_themselves_cannot_be_declared(tenants: Tenants, name: str) -> None:
    with pytest.raises(ValidationError, match="is a list that is there already"):
        tenants.put("acl", "mine", {"name": name})


def test_phones_profile_lets_in_the_other_nodes_by_their_addresses(tenants: Tenants) -> None:
    """Where phones register a call without a password is refused: a node has none to tell."""
    for name, address in (
        ("fs1", "10.0.0.5:5060"),
        ("fs2", "[2001:db8::6]:5060"),
        ("fs3", "fs3.example.com"),
        ("fs4", None),
    ):
        body = {"name": name, "esl_host": "10.0.0.9", "xml_username": name}
        tenants.put("switch_node", name, body | {"sip_address": address})
    away = {"name": "fs5", "esl_host": "10.0.0.9", "xml_username": "fs5", "enabled": False}
    tenants.put("switch_node", "fs5", away | {"sip_address": "10.0.0.8:5060"})
    root = etree.fromstring(ask(tenants, "acl.conf"))
    listed = [it.get("cidr") for it in root.iterfind(".//list[@name='switch_nodes']/node")]
    assert listed == ["10.0.0.5/32", "2001:db8::6/128"]
    answer = ask(tenants, "sofia.conf")
    internal = params(answer, "profile[@name='internal']/settings")
    assert (internal["auth-calls"], internal["apply-inbound-acl"]) == ("true", "switch_nodes")
    assert "apply-inbound-acl" not in params(answer, "profile[@name='external']/settings")


def test_a_declared_profile_stands_in_for_the_settings(tenants: Tenants) -> None:
    acl = tenants.put("acl", "offices", {"name": "offices"})
    profile = {"name": "internal", "sip_port": 5070, "tls": True, "tls_port": 5071}
    tenants.put("sip_profile", "p", profile | {"codecs_in": "PCMA", "inbound_acl_id": str(acl)})
    answer = ask(tenants, "sofia.conf")
    internal = params(answer, "profile[@name='internal']/settings")
    assert (internal["sip-port"], internal["tls"], internal["tls-sip-port"]) == (
        "5070",
        "true",
        "5071",
    )
    assert internal["inbound-codec-prefs"] == "PCMA"
    lists = [
        it.get("value")
        for it in etree.fromstring(answer).iterfind(".//param[@name='apply-inbound-acl']")
    ]
    assert lists == ["offices", "switch_nodes"]
    external = params(answer, "profile[@name='external']/settings")
    assert (external["sip-port"], external["tls"]) == ("5080", "false")
