"""SIP profiles and gateways as FreeSWITCH is given them: TLS, SRTP, and what makes it take one."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import pytest
from lxml import etree
from pydantic import ValidationError

from nizam.fsxml.configuration import Configuration
from nizam.fsxml.directory import Directory
from nizam.fsxml.profiles import start_mark
from nizam.fsxml.registrar import registrars
from nizam.fsxml.request import XmlRequest
from nizam.model.sip_profile import SipProfile
from nizam.settings.values import SipSettings
from tests.routing.tenants import NOON, Tenants, recorded_tenants, reveal

SIP = SipSettings(None, 5060, None, 5080, None, None, rtp_port_first=20000, rtp_port_last=30000)
TLS: dict[str, Any] = {"tls": True, "tls_port": 5061}


@pytest.fixture
def tenants() -> Tenants:
    return recorded_tenants()


def served(tenants: Tenants, name: str, **fields: str) -> etree._Element:
    body = urlencode({"section": "configuration", "key_value": name, **fields}).encode()
    answer = Configuration(tenants.snapshot, SIP, reveal, lambda: NOON).answer(XmlRequest(body))
    return etree.fromstring(answer)


def pairs(root: etree._Element, path: str) -> dict[str, str]:
    return {str(it.get("name")): str(it.get("value")) for it in root.iterfind(path)}


def profile(tenants: Tenants, name: str = "internal", **fields: Any) -> dict[str, str]:
    tenants.put("sip_profile", name, {"name": name, "sip_port": 5060, **fields})
    return pairs(served(tenants, "sofia.conf"), f".//profile[@name='{name}']/settings/param")


def gateway(tenants: Tenants, **fields: Any) -> tuple[UUID, dict[str, str]]:
    body = {"name": "New", "host": "sip.carrier.example", **fields}
    made = tenants.put("gateway", "acme/new", body)
    root = served(tenants, "sofia.conf", profile="external")
    return made, pairs(root, f".//gateway[@name='{made}']/param")


def test_a_profile_with_tls_says_where_its_certificates_are_and_what_it_speaks(
    tenants: Tenants,
) -> None:
    settings = profile(
        tenants,
        **TLS,
        tls_certificate_directory="/etc/freeswitch/tls",
        tls_verify="outbound",
        tls_ciphers="HIGH:!aNULL",
    )
    assert {name: value for name, value in settings.items() if name.startswith("tls")} == {
        "tls": "true",
        "tls-sip-port": "5061",
        "tls-only": "false",
        "tls-cert-dir": "/etc/freeswitch/tls",
        "tls-version": "tlsv1.2,tlsv1.3",
        "tls-ciphers": "HIGH:!aNULL",
        "tls-verify-policy": "out",
        "tls-verify-date": "true",
    }


@pytest.mark.parametrize(
    ("minimum", "spoken"),
    [
        ("1.0", "tlsv1,tlsv1.1,tlsv1.2,tlsv1.3"),
        ("1.1", "tlsv1.1,tlsv1.2,tlsv1.3"),
        ("1.2", "tlsv1.2,tlsv1.3"),
        ("1.3", "tlsv1.3"),
    ],
)
def test_versions_of_tls_from_the_minimum_on_are_spoken(
    tenants: Tenants, minimum: str, spoken: str
) -> None:
    assert profile(tenants, **TLS, tls_minimum_version=minimum)["tls-version"] == spoken


@pytest.mark.parametrize(
    "wrong",
    [
        {"tls": True},
        {"tls": True, "tls_port": 5060},
        {"tls_only": True},
        {**TLS, "tls_certificate_directory": "tls"},
        {**TLS, "tls_certificate_directory": "/etc/../root"},
        {**TLS, "tls_certificate_directory": "/etc/$${x}"},
        {**TLS, "tls_ciphers": "${system id}"},
        {**TLS, "tls_minimum_version": "1"},
        {"srtp": "sometimes"},
    ],
)
def test_a_profile_that_cannot_be_started_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SipProfile.model_validate({"name": "internal", "sip_port": 5060, **wrong})


@pytest.mark.parametrize(
    ("change", "restarts"),
    [
        ({"sip_port": 5070}, True),
        ({"sip_ip": "10.0.0.9"}, True),
        ({"advertised_ip": "203.0.113.9"}, True),
        (TLS, True),
        ({"tls_minimum_version": "1.3"}, True),
        ({"codecs_in": "PCMA"}, False),
        ({"rtp_timeout_seconds": 60}, False),
        ({"srtp": "required"}, False),
        ({"nat_ping": True}, False),
    ],
)
def test_the_mark_changes_with_what_is_read_only_when_a_profile_starts(
    tenants: Tenants, change: dict[str, Any], restarts: bool
) -> None:
    before = profile(tenants)["bind-params"]
    after = profile(tenants, **change)["bind-params"]
    assert (before != after) is restarts
    declared = SipProfile.model_validate({"name": "internal", "sip_port": 5060, **change})
    assert after == f"transport=udp,tcp;nizam={start_mark(declared)}"


def test_phones_are_told_of_tls_alone_where_nothing_else_listens(tenants: Tenants) -> None:
    profile(tenants, **TLS, advertised_ip="203.0.113.5")
    assert {it.transport for it in registrars(tenants.snapshot, SIP)} == {"udp", "tcp", "tls"}
    profile(tenants, **TLS, tls_only=True, advertised_ip="203.0.113.5")
    assert {it.transport for it in registrars(tenants.snapshot, SIP)} == {"tls"}


@pytest.mark.parametrize(
    ("srtp", "variable"), [("off", None), ("optional", "optional"), ("required", "mandatory")]
)
def test_srtp_of_phones_holds_for_calls_from_them_and_to_them(
    tenants: Tenants, srtp: str, variable: str | None
) -> None:
    profile(tenants, srtp=srtp)
    body = urlencode({"action": "sip_auth", "user": "1001", "domain": "acme.example.test"})
    answer = Directory(tenants.snapshot, reveal).answer(XmlRequest(body.encode()))
    root = etree.fromstring(answer)
    assert pairs(root, ".//variable").get("rtp_secure_media") == variable
    dialled = pairs(root, ".//param")["dial-string"]
    assert (f":rtp_secure_media={variable}}}" in dialled) is (variable is not None)
    view = tenants.snapshot.tenant_by_domain("acme.example.test")
    assert view is not None
    assert view.srtp == srtp


@pytest.mark.parametrize(
    ("of_profile", "own", "variable"),
    [
        ("off", None, None),
        ("required", None, "mandatory"),
        ("required", "off", None),
        ("off", "optional", "optional"),
    ],
)
def test_srtp_of_a_gateway_is_its_own_or_that_of_the_profile(
    tenants: Tenants, of_profile: str, own: str | None, variable: str | None
) -> None:
    profile(tenants, "external", srtp=of_profile)
    made, _ = gateway(tenants, srtp=own)
    root = served(tenants, "sofia.conf")
    found = pairs(root, f".//gateway[@name='{made}']/variables/variable")
    assert found.get("rtp_secure_media") == variable


def test_a_gateway_is_reached_through_its_proxy_and_keeps_its_own_name(tenants: Tenants) -> None:
    _, params = gateway(tenants, transport="tcp", port=5070, proxy="edge.carrier.example:5060")
    assert params["proxy"] == "sip.carrier.example:5070;transport=tcp"
    assert params["outbound-proxy"] == "edge.carrier.example:5060;transport=tcp"
    assert params["register-proxy"] == params["outbound-proxy"]
    assert params["register-transport"] == "tcp"
    assert params["realm"] == "sip.carrier.example"


def test_what_a_carrier_wants_of_a_registration_can_be_said(tenants: Tenants) -> None:
    _, params = gateway(
        tenants,
        register=True,
        username="line1",
        password="secret",
        auth_username="auth1",
        contact_host="203.0.113.9",
        contact_params="tport=tcp;line=4711",
        rfc_5626=True,
        retry_seconds=60,
    )
    wanted = {
        "register": "true",
        "username": "line1",
        "password": "secret",
        "auth-username": "auth1",
        "contact-host": "203.0.113.9",
        "contact-params": "tport=tcp;line=4711",
        "rfc-5626": "true",
        "reg-id": "1",
        "retry-seconds": "60",
    }
    assert params | wanted == params


def test_a_gateway_over_tls_is_served_once_its_profile_has_tls(tenants: Tenants) -> None:
    made, params = gateway(tenants, transport="tls", port=5061)
    assert params == {}
    profile(tenants, "external", tls=True, tls_port=5081)
    found = pairs(served(tenants, "sofia.conf"), f".//gateway[@name='{made}']/param")
    assert found["proxy"] == "sip.carrier.example:5061;transport=tls"


def test_a_gateway_that_registers_without_a_password_is_not_served(tenants: Tenants) -> None:
    _, params = gateway(tenants, register=True, username="line1")
    assert params == {}


@pytest.mark.parametrize(
    "parameters", ["a=b,c", "line=<sip:x>", "a;", ";a", 'a="b"', "a=${system id}", "a\r\nB: c"]
)
def test_parameters_of_the_contact_are_nothing_else(tenants: Tenants, parameters: str) -> None:
    with pytest.raises(ValidationError):
        gateway(tenants, contact_params=parameters)


def test_the_ports_of_audio_are_those_of_the_settings(tenants: Tenants) -> None:
    params = pairs(served(tenants, "post_load_switch.conf"), ".//param")
    assert (params["rtp-start-port"], params["rtp-end-port"]) == ("20000", "30000")
    assert params["api-expansion"] == "false"
