"""`POST /freeswitch/xml`: every question of the recordings, and what must be refused."""

from __future__ import annotations

import base64
import hashlib
import random
import re
from collections.abc import Iterator
from datetime import datetime
from io import BytesIO
from typing import Any
from urllib.parse import parse_qsl, urlencode
from uuid import UUID
from xml.etree import ElementTree

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.web.test.requesthelper import DummyRequest

from nizam.errors import InternalError
from nizam.fsxml.reveal import Reveal
from nizam.fsxml.served import Served
from nizam.http.deciding import CallDecider
from nizam.http.node_credentials import FAILURES_PER_MINUTE, NodeCredentials
from nizam.http.xmlcurl import XmlCurlResource
from nizam.settings.values import Secret, SipSettings, XmlClient
from tests.recordings import http_requests
from tests.routing.tenants import (
    ACME,
    NOON,
    Tenants,
    identifier,
    recorded_tenants,
    reveal,
)

SIP = SipSettings("10.0.0.5", 5060, None, 5080, None, "203.0.113.5")


class Channels:
    """Keeps what was decided for channels."""

    def __init__(self) -> None:
        self.recorded: dict[str, tuple[str, str]] = {}

    def served(self, it: Served) -> None:
        decision = it.decision
        if decision.tenant_id is not None and decision.call_id:
            self.recorded[it.call.unique_id] = (str(decision.tenant_id), decision.call_id)


class Node:
    """A FreeSWITCH node that asks questions with its credentials."""

    def __init__(
        self, tenants: Tenants, networks: tuple[Any, ...] = (), unseal: Reveal = reveal
    ) -> None:
        self.channels = Channels()
        self.clock = Clock()
        self.ready = True
        self.at(NOON)
        clients = (XmlClient("static", "fs2", Secret("pässword")),)
        credentials = NodeCredentials(tenants.snapshot, unseal, clients, networks)
        self.resource = XmlCurlResource(
            tenants.snapshot,
            credentials,
            CallDecider(
                tenants.snapshot,
                self.clock,
                random.Random(1),
                observers=(self.channels.served,),
            ),
            unseal,
            SIP,
            lambda: self.ready,
        )

    def at(self, moment: datetime) -> None:
        self.clock.rightNow = moment.timestamp()

    def post(
        self,
        body: bytes,
        credentials: str | None = "fs1:s3cret",
        method: bytes = b"POST",
        address: str = "127.0.0.1",
    ) -> tuple[int, bytes]:
        request: Any = DummyRequest([b""])
        request.method = method
        request.content = BytesIO(body)
        request.client = IPv4Address("TCP", address, 40000)
        if credentials is not None:
            encoded = base64.b64encode(credentials.encode())
            request.requestHeaders.setRawHeaders(b"authorization", [b"Basic " + encoded])
        answer = self.resource.render(request)
        assert isinstance(answer, bytes)
        self.headers = request.responseHeaders
        return request.responseCode or 200, answer

    def ask(self, **fields: str) -> ElementTree.Element:
        """The section of the answer to a form."""
        return section(self.post(urlencode(fields).encode()))


def section(reply: tuple[int, bytes]) -> ElementTree.Element:
    """The one section of a 200 answer, read by a parser that NIZAM does not use."""
    status, answer = reply
    assert status == 200
    root = ElementTree.fromstring(answer)  # noqa: S314 - our own answer
    assert (root.tag, root.get("type")) == ("document", "freeswitch/xml")
    (found,) = root
    return found


def is_found(answer: ElementTree.Element) -> bool:
    """Whether the section is anything but "not found"."""
    if answer.get("name") != "result":
        return True
    assert [(it.tag, it.get("status")) for it in answer] == [("result", "not found")]
    return False


def named(parent: ElementTree.Element, path: str) -> dict[str, str]:
    """name -> value of the elements at `path`."""
    return {it.get("name", ""): it.get("value", "") for it in parent.findall(path)}


def actions(answer: ElementTree.Element) -> list[tuple[str, str]]:
    """The applications and their data; the dialplan has one extension and one bare condition."""
    (context,) = answer
    (extension,) = context
    (condition,) = extension
    assert condition.attrib == {}
    return [(it.get("application", ""), it.get("data", "")) for it in condition]


@pytest.fixture
def node() -> Node:
    return Node(recorded_tenants())


# -- the recordings ------------------------------------------------------------------------------


def _recorded(section_name: str) -> Iterator[tuple[dict[str, str], bytes]]:
    for run in ("calls", "calls2", "cdr2", "faults", "live", "unbound"):
        for recorded in http_requests(run):
            body = recorded.get("body") or ""
            if not recorded["path"].startswith("/freeswitch/xml"):
                continue
            pairs = parse_qsl(body, keep_blank_values=True)
            fields: dict[str, str] = {}
            for name, value in pairs:
                fields.setdefault(name, value)
            if fields.get("section", "") == section_name:
                yield fields, body.encode()


def test_recorded_directory_questions_are_answered(node: Node) -> None:
    asked = 0
    for fields, body in _recorded("directory"):
        asked += 1
        answer = section(node.post(body))
        action, purpose = fields.get("action"), fields.get("purpose")
        domain = fields.get("domain") or fields["key_value"]
        users = answer.findall(".//user")
        if action in {"reverse-auth-lookup", "event_socket_auth"}:
            assert not is_found(answer)
        elif purpose == "gateways":
            assert users == []
            assert is_found(answer) == (fields["profile"] == "internal")
        elif purpose == "network-list" or domain not in {ACME, "globex.example.test"}:
            assert not is_found(answer)
        elif action == "group_call":
            expected = ["1001", "1002", "1003"] if fields["group"] == "sales" else []
            assert [it.get("id") for it in users] == expected
        elif fields.get("user") in {"1001", "1002", "1003"}:
            (user,) = users
            _assert_user(answer, user, fields["user"], domain)
        elif fields.get("user"):
            assert not is_found(answer)
        else:
            assert [it.get("name") for it in answer] == [domain]
            assert users == []
    assert asked > 200


def _assert_user(
    answer: ElementTree.Element, user: ElementTree.Element, number: str, domain: str
) -> None:
    slug = domain.partition(".")[0]
    assert (answer[0].get("name"), user.get("id")) == (domain, number)
    params, variables = named(user, "params/param"), named(user, "variables/variable")
    text = f"{number}:{domain}:{slug}-{number}-pw"
    assert params["a1-hash"] == hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    assert params["vm-password"] == "4711"
    assert f"nizam_extension_id={identifier(f'{slug}/{number}')}" in params["dial-string"]
    assert params["dial-string"].endswith("}sofia/internal/${dialed_user}%${dialed_domain}")
    assert variables == {
        "user_context": domain,
        "domain_name": domain,
        "timezone": "America/New_York",
        "nizam_tenant_id": str(identifier(slug)),
        "nizam_extension_id": str(identifier(f"{slug}/{number}")),
        "effective_caller_id_name": f"{slug.title()} {number}",
        "effective_caller_id_number": number,
        "callgroup": "sales",
    }


def test_recorded_dialplan_questions_are_answered(node: Node) -> None:
    last_action: dict[tuple[str, str], tuple[str, str]] = {}
    for fields, body in _recorded("dialplan"):
        context = fields.get("Hunt-Context")
        answer = section(node.post(body))
        if context is None:
            assert not is_found(answer)
            continue
        assert answer[0].get("name") == context
        done = actions(answer)
        last_action[context, fields["Hunt-Destination-Number"]] = done[-1]
        if ("export", f"nizam_tenant_id={identifier('acme')}") in done:
            tenant, call_id = node.channels.recorded[fields["Unique-ID"]]
            assert tenant == str(identifier("acme"))
            assert ("export", f"nizam_call_id={call_id}") in done
    assert last_action["acme.example.test", "1002"] == ("voicemail", f"default {ACME} 1002")
    assert last_action["acme.example.test", "2000"] == ("voicemail", f"default {ACME} 1003")
    assert last_action["acme.example.test", "5000"] == ("hangup", "NORMAL_CLEARING")
    assert last_action["acme.example.test", "9999"] == ("hangup", "UNALLOCATED_NUMBER")
    assert last_action["globex.example.test", "1002"][1] == "default globex.example.test 1002"
    assert last_action["public", "12025550101"] == ("voicemail", f"default {ACME} 1001")
    assert last_action["public", "12025559999"] == ("hangup", "UNALLOCATED_NUMBER")


def test_recorded_configuration_questions_are_answered(node: Node) -> None:
    served: dict[str, bool] = {}
    for fields, body in _recorded("configuration"):
        answer = section(node.post(body))
        name = fields["key_value"]
        if is_found(answer):
            assert answer[0].get("name") == name
        served[f"{name} {fields.get('profile', '')}".strip()] = is_found(answer)
    assert {name for name, found in served.items() if found} == {
        "acl.conf",
        "conference.conf",  # the rooms to advertise, of which there are none
        "post_load_switch.conf",
        "sofia.conf",
        "sofia.conf internal",
        "sofia.conf external",
        "voicemail.conf",
    }
    assert served["sofia.conf nosuch"] is False


@pytest.mark.parametrize("name", ["languages", "phrases", "chatplan", ""])
def test_other_sections_are_left_to_the_switch(node: Node, name: str) -> None:
    for _, body in _recorded(name):
        assert not is_found(section(node.post(body)))
    assert not is_found(node.ask(section=name))


# -- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("credentials", "status"),
    [
        ("fs1:s3cret", 200),
        ("fs2:pässword", 200),
        ("fs1:wrong", 401),
        ("fs1:", 401),
        ("fs1", 401),
        ("nobody:s3cret", 401),
        (":", 401),
        ("\x00 no such user:\x00 no such user", 401),
        (None, 401),
    ],
)
def test_only_nodes_with_their_credentials_are_answered(
    node: Node, credentials: str | None, status: int
) -> None:
    reply = node.post(b"section=directory", credentials)
    assert reply[0] == status
    assert node.headers.hasHeader(b"www-authenticate") == (status == 401)


@pytest.mark.parametrize("header", [b"Bearer x", b"Basic !!!", b"Basic", b"basic ", b"\xff"])
def test_a_broken_authorization_header_is_refused(node: Node, header: bytes) -> None:
    request: Any = DummyRequest([b""])
    request.method, request.content = b"POST", BytesIO(b"section=dialplan")
    request.requestHeaders.setRawHeaders(b"authorization", [header])
    node.resource.render(request)
    assert request.responseCode == 401


def test_a_guesser_is_shut_out_and_the_node_beside_it_is_not(node: Node) -> None:
    assert node.post(b"section=directory")[0] == 200
    for _ in range(FAILURES_PER_MINUTE):
        assert node.post(b"section=directory", "fs2:wrong")[0] == 401
    assert node.post(b"section=directory", "fs2:pässword")[0] == 401
    assert node.post(b"section=directory", "fs2:pässword", address="192.0.2.9")[0] == 200
    assert node.post(b"section=directory")[0] == 200


def test_a_disabled_node_is_refused() -> None:
    tenants = recorded_tenants()
    body = {"name": "fs1", "esl_host": "10.0.0.5", "xml_username": "fs1", "enabled": False}
    tenants.put("switch_node", "fs1", body, {"xml_password": "s3cret"})
    assert Node(tenants).post(b"section=directory")[0] == 401


def test_a_changed_password_counts_at_once(node: Node) -> None:
    tenants = recorded_tenants()
    node = Node(tenants)
    assert node.post(b"")[0] == 200
    body = {"name": "fs1", "esl_host": "10.0.0.5", "xml_username": "fs1"}
    tenants._version += 100
    tenants.put("switch_node", "fs1", body, {"xml_password": "other"})
    assert node.post(b"")[0] == 401
    assert node.post(b"", "fs1:other")[0] == 200


def test_only_allowed_networks_are_answered() -> None:
    from ipaddress import ip_network

    node = Node(recorded_tenants(), (ip_network("10.0.0.0/8"),))
    assert node.post(b"", address="10.1.2.3")[0] == 200
    assert node.post(b"", address="192.0.2.1")[0] == 401


@pytest.mark.parametrize("method", [b"GET", b"PUT", b"HEAD", b"DELETE", b"TRACE"])
def test_only_post_is_answered(node: Node, method: bytes) -> None:
    assert node.post(b"section=directory", method=method)[0] == 405
    assert node.headers.getRawHeaders(b"allow") == [b"POST"]


def test_a_body_of_ten_megabytes_is_refused(node: Node) -> None:
    assert node.post(b"section=dialplan&x=" + b"y" * 10_000_000)[0] == 413


def test_without_routing_data_freeswitch_is_sent_to_its_next_binding(node: Node) -> None:
    node.ready = False
    assert node.post(b"section=directory")[0] == 503


def test_a_fault_of_ours_sends_freeswitch_to_its_next_binding(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nizam.http.deciding.decide", lambda *_: 1 / 0)
    assert node.post(b"section=dialplan&Hunt-Context=public")[0] == 503


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"&&&==&=",
        b"section",
        b"section=",
        b"section=directory",
        b"section=directory&user=1001",
        b"section=directory&domain=acme.example.test%00&user=1001",
        b"section=directory&domain=nowhere.example.test&user=1001",
        b"section=directory&domain=globex.example.test&user=1077",
        b"section=directory&action=sip_auth&domain=acme.example.test&user=2000",
        b"section=dialplan",
        b"section=dialplan&Hunt-Context=%3Cx%3E&Hunt-Destination-Number=1",
        b"section=configuration",
        b"section=configuration&key_value=ivr.conf",
        b"section=configuration&key_value=ivr.conf&Menu-Name=ivr-00",
        b"section=configuration&key_value=../../etc/passwd",
        b"section=no%ffsuch\xff",
        b"\x00\xff%zz" * 1000,
    ],
)
def test_whatever_is_not_there_is_not_found(node: Node, body: bytes) -> None:
    assert not is_found(section(node.post(body)))


# -- single answers ------------------------------------------------------------------------------


def test_only_one_user_and_only_the_asked_one_is_in_an_answer(node: Node) -> None:
    answer = node.ask(section="directory", domain="ACME.example.test", user="1002")
    assert [it.get("id") for it in answer.findall(".//user")] == ["1002"]


def test_an_extension_with_networks_signs_in_only_from_them_and_is_not_cached() -> None:
    tenants = recorded_tenants()
    tenants.extension("acme/1001", allowed_cidrs=["10.0.0.0/8"])
    node = Node(tenants)
    asked = {"section": "directory", "action": "sip_auth", "domain": ACME, "user": "1001"}
    assert not is_found(node.ask(**asked, ip="192.0.2.1"))
    assert not is_found(node.ask(**asked, ip="nonsense"))
    (user,) = node.ask(**asked, ip="10.1.1.1").findall(".//user")
    assert user.get("cacheable") is None
    listed = node.ask(section="directory", purpose="network-list", domain=ACME)
    assert [(it.get("id"), it.get("cidr")) for it in listed.findall(".//user")] == [
        ("1001", "10.0.0.0/8")
    ]


def test_a_mailbox_without_a_pin_is_not_open_to_everybody() -> None:
    tenants = recorded_tenants()
    tenants.extension("acme/1001")
    answer = Node(tenants).ask(section="directory", domain=ACME, user="1001")
    assert re.fullmatch(r"\d{60,}", named(answer, ".//param")["vm-password"])


@pytest.mark.parametrize(("status", "found"), [("suspended", True), ("terminated", False)])
def test_phones_of_a_suspended_tenant_still_sign_in(status: str, found: bool) -> None:
    tenants = recorded_tenants()
    tenants.tenant("acme", status=status)
    answer = Node(tenants).ask(section="directory", domain=ACME, user="1001")
    assert is_found(answer) == found


def test_a_menu_is_served_by_its_name(node: Node) -> None:
    name = f"ivr-{identifier('acme/5000').hex}"
    answer = node.ask(section="configuration", key_value="ivr.conf", **{"Menu-Name": name})
    (menu,) = answer.findall(".//menu")
    assert menu.attrib == {
        "name": name,
        "greet-long": "ivr/ivr-welcome.wav",
        "greet-short": "ivr/ivr-welcome.wav",
        "timeout": "10000",
        "inter-digit-timeout": "2000",
        "max-failures": "3",
        "max-timeouts": "3",
        "digit-len": "4",
        "exec-on-max-timeouts": f"transfer {name}-timeout XML {ACME}",
        "exec-on-max-failures": f"transfer {name}-invalid XML {ACME}",
    }
    assert [tuple(it.attrib.values()) for it in menu] == [
        ("menu-exec-app", "1", f"transfer {name}-e1 XML {ACME}"),
        ("menu-exec-app", "*", f"transfer {name}-es XML {ACME}"),
        ("menu-exec-app", r"/^(\d{2,15})$/", f"transfer {name}-d$1 XML {ACME}"),
    ]


def test_another_tenants_menu_is_not_served_to_a_call(node: Node) -> None:
    answer = node.ask(
        section="configuration",
        key_value="ivr.conf",
        **{
            "Menu-Name": f"ivr-{identifier('acme/5000').hex}",
            "variable_nizam_tenant_id": str(identifier("globex")),
        },
    )
    assert not is_found(answer)


def test_gateways_are_on_the_external_profile_under_their_ids(node: Node) -> None:
    answer = node.ask(section="configuration", key_value="sofia.conf")
    assert [it.get("name") for it in answer.findall(".//profile")] == ["internal", "external"]
    assert answer.findall(".//profile[@name='internal']//gateway") == []
    gateways = answer.findall(".//profile[@name='external']//gateway")
    assert [it.get("name") for it in gateways] == [
        str(identifier("acme/one")),
        str(identifier("acme/two")),
    ]
    params = named(gateways[0], "param")
    assert (params["username"], params["password"]) == ("ten_acme", "s3cret")
    assert (params["proxy"], params["realm"]) == ("192.0.2.10:5070", "192.0.2.10")
    external = named(answer, ".//profile[@name='external']/settings/param")
    assert external["disable-transfer"] == "true"
    assert external["ext-sip-ip"] == "203.0.113.5"
    assert "sip-ip" not in external
    internal = named(answer, ".//profile[@name='internal']/settings/param")
    assert (internal["sip-ip"], internal["auth-calls"]) == ("10.0.0.5", "true")


def test_a_password_that_no_key_opens_costs_what_it_is_for_and_nothing_else() -> None:
    def unseal(encrypted: str, resource_name: str, object_id: UUID, field: str) -> str:
        if resource_name == "switch_node" or object_id == identifier("acme/one"):
            raise InternalError("a stored secret needs the key 'k0', which is not configured")
        return reveal(encrypted, resource_name, object_id, field)

    node = Node(recorded_tenants(), unseal=unseal)
    question = b"section=configuration&key_value=sofia.conf"
    assert node.post(question, "fs1:s3cret")[0] == 401
    gateways = section(node.post(question, "fs2:pässword")).findall(".//gateway")
    assert [it.get("name") for it in gateways] == [str(identifier("acme/two"))]


def test_the_list_of_carriers_holds_addresses_only(node: Node) -> None:
    answer = node.ask(section="configuration", key_value="acl.conf")
    assert [it.get("cidr") for it in answer.findall(".//node")] == ["192.0.2.10/32"]


def test_commands_in_dialplan_data_are_switched_off(node: Node) -> None:
    answer = node.ask(section="configuration", key_value="post_load_switch.conf")
    assert named(answer, ".//param")["api-expansion"] == "false"
