"""Everything that a real FreeSWITCH asked, where a second tenant has the numbers, names and menus
of the first: each answer is of the tenant that is asked about, and of no other."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from urllib.parse import parse_qsl, urlencode
from uuid import UUID

import pytest
from lxml import etree

from nizam.fsxml.configuration import Configuration
from nizam.fsxml.dialplan import render
from nizam.fsxml.directory import Directory
from nizam.fsxml.request import XmlRequest, call_request
from nizam.fsxml.writer import NOT_FOUND
from nizam.model.feature_code import DEFAULTS
from nizam.routing.decide import decide
from nizam.routing.rows import Row
from nizam.routing.snapshot import Snapshot
from nizam.routing.tokens import menu_name, room_name
from nizam.settings.values import SipSettings
from tests.fsxml.inert import check_document
from tests.recordings import http_requests
from tests.routing.tenants import ACME, GLOBEX, NOON, identifier, recorded_tenants, reveal

SIP = SipSettings("10.0.0.5", 5060, None, 5080, None, "203.0.113.5")
RUNS = ("calls", "calls2", "cdr2", "faults", "live", "unbound")
PAIRS = (
    ("acme.example.test", "globex.example.test"),
    ("12025550101", "12025550201"),
    ("12025550102", "12025550202"),
    ("Acme", "Globex"),
    ("acme", "globex"),
)
"""What a question says of one tenant, and what it says when it is the other's."""

_DIDS = {"12025550101": "acme", "12025550102": "acme"} | {
    "12025550201": "globex",
    "12025550202": "globex",
}
_OF_PASSWORDS = re.compile(rb'name="(?:a1-hash|vm-password)" value="[^"]*"')


# What both tenants of the recordings have; of the rest globex is given a copy.
_SHARED = ("1001", "1002", "1003", "did", *(code for code, _ in DEFAULTS))


@cache
def _acme() -> Snapshot:
    """acme with everything that the recordings call."""
    tenants = recorded_tenants()
    tenants.put("conference_room", "acme/3000", {"number": "3000", "name": "Board"})
    tenants.put(
        "parking_lot",
        "acme/700",
        {"number": "700", "name": "Desk", "slot_from": "701", "slot_to": "709"},
    )
    return tenants.snapshot


@cache
def _ids() -> Mapping[UUID, UUID]:
    """The id of each object of acme, and that of globex's own."""
    shared = {identifier(f"acme/{it}"): identifier(f"globex/{it}") for it in _SHARED}
    rows = _acme().rows_of(identifier("acme"))
    copies = {it.id: identifier(f"globex/{it.id}") for it in rows if it.resource != "tenant"}
    return {**copies, **shared, identifier("acme"): identifier("globex")}


def _id(slug: str, name: str) -> UUID:
    """The id of an object of one of the two, by the name that it has in acme."""
    mine = identifier(f"acme/{name}")
    return mine if slug == "acme" else _ids()[mine]


@cache
def snapshot() -> Snapshot:
    """Both tenants, alike but for domain, public numbers and ids."""
    held = _acme()
    for row in held.rows_of(identifier("acme")):
        if row.resource != "tenant":
            body = swapped(row.body.decode()).encode()
            copy = Row(row.resource, _ids()[row.id], identifier("globex"), 500, body, row.secrets)
            held.put(copy)
    return held


def swapped(text: str) -> str:
    """The same text with the tenants exchanged: domains, public numbers, names and ids."""
    exchange, expression = _exchange()
    return expression.sub(lambda found: exchange[found[0]], text)


@cache
def _exchange() -> tuple[Mapping[str, str], re.Pattern[str]]:
    pairs = [*PAIRS]
    pairs += [(str(mine), str(theirs)) for mine, theirs in _ids().items()]
    pairs += [(mine.hex, theirs.hex) for mine, theirs in _ids().items()]
    exchange = dict(pairs) | {theirs: mine for mine, theirs in pairs}
    longest_first = sorted(exchange, key=len, reverse=True)
    return exchange, re.compile("|".join(map(re.escape, longest_first)))


def questions() -> Iterator[str]:
    """The body of every recorded question."""
    for run in RUNS:
        for request in http_requests(run):
            if request["path"].startswith("/freeswitch/xml") and request.get("body"):
                yield request["body"]


def answer(body: str) -> bytes:
    """What is answered to a question."""
    request = XmlRequest(body.encode())
    if request.section == "directory":
        return Directory(snapshot(), reveal).answer(request)
    if request.section == "configuration":
        return Configuration(snapshot(), SIP, reveal, lambda: NOON).answer(request)
    if request.section == "dialplan":
        call = call_request(request)
        return render(decide(snapshot(), call, NOON, random.Random(1)), call.context)
    return NOT_FOUND


def owner(body: str) -> str | None:
    """Which tenant a question is about; None for the platform's."""
    fields = dict(reversed(parse_qsl(body, keep_blank_values=True)))
    if fields.get("section") == "dialplan":
        context, number = fields.get("Hunt-Context"), fields.get("Hunt-Destination-Number", "")
        if context == "public":
            number = number.lstrip("+")
            return _DIDS.get(number)
        return {ACME: "acme", GLOBEX: "globex"}.get(str(context))
    domain = fields.get("domain") or fields.get("key_value")
    return {ACME: "acme", GLOBEX: "globex"}.get(str(domain))


@cache
def of_others(slug: str | None) -> list[bytes]:
    """Everything that names a tenant other than `slug`: its domain, ids and gateways."""
    found: list[str] = []
    if slug != "acme":
        found += [ACME, *(form for it in _ids() for form in (str(it), it.hex))]
    if slug != "globex":
        found += [GLOBEX, *(form for it in _ids().values() for form in (str(it), it.hex))]
    return [it.encode() for it in found]


@pytest.mark.time_limit(60)
def test_each_recorded_answer_is_of_the_tenant_that_is_asked_about() -> None:
    answered: Counter[tuple[str | None, bool]] = Counter()
    for body in questions():
        found, slug = answer(body), owner(body)
        check_document(found)
        answered[slug, found != NOT_FOUND] += 1
        if slug is not None or "section=dialplan" in body:
            assert not [it for it in of_others(slug) if it in found], body[:300]
    assert answered["acme", True] > 100
    assert answered["globex", True] > 20


@pytest.mark.time_limit(60)
def test_what_is_asked_of_the_other_tenant_is_answered_alike() -> None:
    asked = 0
    for body in questions():
        if owner(body) is None:
            continue
        asked += 1
        mirrored = swapped(answer(body).decode())
        theirs = answer(swapped(body)).decode()
        assert _blank(mirrored) == _blank(theirs), body[:300]
    assert asked > 200


def _blank(text: str) -> bytes:
    without = _OF_PASSWORDS.sub(b"", text.encode())
    # Each tenant has its own revision.
    return re.sub(rb"nizam_revision=\d+", b"nizam_revision=", without)


@pytest.mark.parametrize("slug", ["acme", "globex"])
def test_menus_and_rooms_of_the_same_number_and_name_are_apart(slug: str) -> None:
    names = {
        "Menu-Name": menu_name(_id(slug, "5000")),
        "profile_name": room_name(_id(slug, "3000")),
    }
    for configuration in ("ivr.conf", "conference.conf"):
        fields = {"section": "configuration", "key_value": configuration, **names}
        found = answer(urlencode(fields))
        assert found != NOT_FOUND
        check_document(found)
        assert not [it for it in of_others(slug) if it in found]


@pytest.mark.parametrize(("mine", "theirs"), [("acme", "globex"), ("globex", "acme")])
def test_a_menu_is_not_run_in_a_call_of_the_other_tenant(mine: str, theirs: str) -> None:
    fields = {
        "section": "configuration",
        "key_value": "ivr.conf",
        "Menu-Name": menu_name(_id(theirs, "5000")),
        "variable_nizam_tenant_id": str(identifier(mine)),
    }
    assert answer(urlencode(fields)) == NOT_FOUND


def test_gateways_of_the_same_name_are_two() -> None:
    found = answer("section=configuration&key_value=sofia.conf")
    gateways = [it.get("name") for it in etree.fromstring(found).iter("gateway")]
    assert len(set(gateways)) == len(gateways) == 4
