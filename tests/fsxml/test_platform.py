"""Conference profiles, access control lists and SIP profiles, as FreeSWITCH is given them."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from lxml import etree

from nizam.fsxml.configuration import Configuration
from nizam.fsxml.request import XmlRequest
from nizam.fsxml.writer import NOT_FOUND
from nizam.settings.values import SipSettings
from tests.routing.tenants import Tenants, identifier, recorded_tenants, reveal

SIP = SipSettings(
    internal_ip=None,
    internal_port=5060,
    external_ip=None,
    external_port=5080,
    rtp_ip=None,
    advertised_ip=None,
)


@pytest.fixture
def tenants() -> Tenants:
    return recorded_tenants()


def ask(tenants: Tenants, name: str, **fields: str) -> bytes:
    body = urlencode({"section": "configuration", "key_value": name, **fields}).encode()
    return Configuration(tenants.snapshot, SIP, reveal).answer(XmlRequest(body))


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
    assert profile["conference-flags"] == "livearray-sync|wait-mod"
    assert profile["pin-sound"]


def test_nobody_waits_for_a_moderator_that_cannot_come(tenants: Tenants) -> None:
    name = room(tenants, moderator_pin=None, wait_for_moderator=True)
    profile = params(ask(tenants, "conference.conf", profile_name=name), "profile")
    assert profile["conference-flags"] == "livearray-sync"
    assert "moderator-pin" not in profile


def test_whoever_has_entered_a_conference_has_keys(tenants: Tenants) -> None:
    question = {"Conf-Profile": room(tenants), "Action": "request-controls", "Controls": "nizam"}
    answer = ask(tenants, "conference.conf", **question)
    keys = etree.fromstring(answer).iterfind(".//caller-controls/group[@name='nizam']/control")
    assert {it.get("digits"): it.get("action") for it in keys} == {"0": "mute", "#": "hangup"}
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
    assert [it.get("name") for it in root.iterfind(".//list")] == ["gateways", "offices"]
    (node,) = root.iterfind(".//list[@name='offices']/node")
    assert (node.get("type"), node.get("cidr")) == ("deny", "10.1.0.0/16")


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
    assert (internal["inbound-codec-prefs"], internal["apply-inbound-acl"]) == ("PCMA", "offices")
    external = params(answer, "profile[@name='external']/settings")
    assert (external["sip-port"], external["tls"]) == ("5080", "false")
