"""Hostile texts in every field of every resource, and in everything that a caller controls.

They are refused when they are saved, or come out inert: the switch, by its own rules, makes nothing
of them but text.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import cache
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid5

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nizam.document.links import slots
from nizam.fsxml.configuration import Configuration
from nizam.fsxml.dialplan import render
from nizam.fsxml.directory import Directory
from nizam.fsxml.request import XmlRequest, call_request
from nizam.model.base import Body
from nizam.model.registry import resource, resources
from nizam.model.resource import Resource
from nizam.routing.decide import decide
from nizam.routing.request import CallRequest
from nizam.routing.rows import Row
from nizam.routing.snapshot import Snapshot
from nizam.routing.tokens import menu_name, room_name
from tests.fsxml.asking import encoded, hostile_call
from tests.fsxml.attacks import ATTACKS
from tests.fsxml.inert import check_document
from tests.fsxml.tenant_fields import SOME_ID, TextField, text_fields
from tests.routing.cases.case import TUESDAY
from tests.routing.cases.site import SPACE, switch, tenant_id, tenants
from tests.routing.tenants import CALL, NOON, SIP, reveal

ACME = "acme.example.test"
TRIED = uuid5(SPACE, "tried")
ROUTED = [it for it in resources().values() if it.routed]

CONFIGURATIONS = ("acl.conf", "conference.conf", "ivr.conf", "sofia.conf", "voicemail.conf")
CALLED = ("1002", "1006", "2000", "2002", "5000", "700", "*97", "911", "+13105550123")
ASKED = ("key_value", "profile", "profile_name", "Menu-Name", "variable_nizam_tenant_id")


@pytest.mark.parametrize("it", ROUTED, ids=[it.name for it in ROUTED])
def test_what_tenants_write_is_refused_or_inert(it: Resource) -> None:
    snapshot = switch()
    tried = 0
    for field in text_fields(it):
        for attack in ATTACKS:
            body = field.accepts(attack)
            if body is None:
                continue
            tried += 1
            try:
                _visit(snapshot, it, body)
            except Exception as error:
                error.add_note(f"{it.name} {field.path} took {attack[:80]!r}")
                raise
    # Every resource has some text, such as a name, that takes anything harmless.
    assert tried > 0


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_whatever_tenants_write_is_refused_or_inert(data: st.DataObject) -> None:
    field: TextField = data.draw(st.sampled_from(_all_fields()))
    text = data.draw(st.text(st.sampled_from("${}[]()<>|,;:/\\'\"`^%&=!*#+@._- \nxXaA1\u202e")))
    body = field.accepts(text)
    if body is not None:
        _visit(_shared(), field.resource, body)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda it: repr(it[:24]))
def test_what_callers_send_is_inert(attack: str) -> None:
    numbers = ("1002",) if len(attack) > 1000 else CALLED
    for number in (*numbers, attack):
        for context in (ACME, "public", attack):
            _call(_shared(), hostile_call(context, number, attack))
    for configuration in CONFIGURATIONS:
        for name in ASKED:
            _configuration(_shared(), {"key_value": configuration, name: attack})
    for name in ("user", "domain", "group_name", "profile", "key_value", "ip", "purpose", "action"):
        fields = {"domain": ACME, "user": "1001", "action": "sip_auth", name: attack}
        _directory(_shared(), fields)


@settings(max_examples=80, deadline=None)
@given(st.text(), st.sampled_from(["1002", "2002", "5000", "+13105550123", "911"]))
def test_whatever_callers_send_is_inert(text: str, number: str) -> None:
    for context in (ACME, "public"):
        _call(_shared(), hostile_call(context, number, text))
        _call(_shared(), hostile_call(context, text, text))


@cache
def _all_fields() -> list[TextField]:
    return [field for it in ROUTED for field in text_fields(it)]


@cache
def _shared() -> Snapshot:
    return switch()


def _call(snapshot: Snapshot, fields: dict[str, str]) -> None:
    _decide(snapshot, call_request(encoded(fields)))


def _decide(snapshot: Snapshot, request: CallRequest) -> None:
    decision = decide(snapshot, request, TUESDAY, random.Random(1))
    check_document(render(decision, request.context))


def _configuration(snapshot: Snapshot, fields: dict[str, str]) -> None:
    question = encoded({"section": "configuration", **fields})
    check_document(Configuration(snapshot, SIP, reveal, lambda: NOON).answer(question))


def _directory(snapshot: Snapshot, fields: dict[str, str]) -> None:
    question = XmlRequest(urlencode({"section": "directory", **fields}, errors="replace").encode())
    check_document(Directory(snapshot, reveal).answer(question))


# -- an object of a tenant, and everything that a switch can ask because of it --------------------


def _visit(snapshot: Snapshot, it: Resource, body: Body) -> None:
    """Put the object on the switch, ask all that leads to it, and take it away again."""
    values = orjson.loads(orjson.dumps(it.public(body)))
    _resolve(it, values)
    secrets = {each.field: f"sealed:{text}" for each in it.secrets if (text := each.of(body))}
    identifier, owner = TRIED, tenant_id("acme")
    if it.name == "tenant":
        identifier = owner
        values |= {"status": "active"}
    if it.name == "call_flow":
        values["published"] = {
            "version": 1,
            "published_at": "2026-01-01T00:00:00Z",
            "start": values["start"],
            "nodes": values["nodes"],
        }
    before = list(_rows_in_the_way(snapshot, it, values))
    for row in before:
        snapshot.remove(row.resource, row.tenant_id, row.id)
    given = None if it.scope == "platform" else owner
    row = Row(it.name, identifier, given, 9, orjson.dumps(values), orjson.dumps(secrets))
    ways = list(_ways_to(it, identifier))
    for each in (row, *ways):
        snapshot.put(each)
    try:
        _ask_everything(snapshot, it, identifier, values)
    finally:
        for each in (row, *ways):
            if each.resource != "tenant":
                snapshot.remove(each.resource, each.tenant_id, each.id)
        for each in (*before, *_tenant_as_it_was(it)):
            snapshot.put(each)


def _tenant_as_it_was(it: Resource) -> Iterator[Row]:
    if it.name == "tenant":
        row = next(row for row in tenants()["acme"].rows() if row.resource == "tenant")
        yield Row(row.resource, row.id, None, 99, row.body, row.secrets)


def _rows_in_the_way(snapshot: Snapshot, it: Resource, values: dict[str, Any]) -> Iterator[Row]:
    """Objects of the tenant that have the numbers of the new one."""
    view = snapshot.tenant(tenant_id("acme"))
    assert view is not None
    wanted = set(it.numbers(values)) if it.is_dialled else set()
    seen: set[UUID] = set()
    for row in snapshot.rows_of(tenant_id("acme")):
        other = resource(row.resource)
        if other.is_dialled and wanted & set(other.numbers(orjson.loads(row.body))):
            if row.id not in seen:
                seen.add(row.id)
                yield row
        elif it.name == "did" == row.resource and _number(row) == values["number"]:
            yield row


def _number(row: Row) -> str:
    return str(orjson.loads(row.body)["number"])


def _resolve(it: Resource, values: dict[str, Any]) -> None:
    """Let references lead to objects of the tenant."""
    for slot in slots(it.body, values):
        if slot.value == SOME_ID:
            objects = tenants()["acme"].objects.get(slot.type, ())
            if objects:
                slot.put(str(objects[0].id))


def _ways_to(it: Resource, identifier: UUID) -> Iterator[Row]:
    """A DID and a speed dial that lead to the object."""
    if it.destination_type is None:
        return
    to = {"type": it.destination_type, "id": str(identifier)}
    owner = tenant_id("acme")
    did = {"number": "+12025550190", "destination": to}
    code = {"code": "*55", "feature": "speed_dial", "destination": to}
    for name, body in (("did", did), ("feature_code", code)):
        valid = resource(name).body.model_validate(body)
        public = resource(name).public(valid)
        yield Row(name, uuid5(SPACE, f"way {name}"), owner, 1, orjson.dumps(public))


def _ask_everything(
    snapshot: Snapshot, it: Resource, identifier: UUID, values: dict[str, Any]
) -> None:
    numbers = [*(it.numbers(values) if it.is_dialled else ()), "*55", "1002", "+13105550123", "911"]
    if it.name == "feature_code":
        numbers.append(str(values["code"]))
    view = snapshot.tenant(tenant_id("acme"))
    assert view is not None
    for number in numbers[:6]:
        for caller in ("1001", None):
            _decide(
                snapshot,
                CallRequest(
                    context=view.tenant.domain,
                    destination=number,
                    unique_id=CALL,
                    caller_extension=caller,
                    caller_number="1001",
                    caller_name="Ada",
                ),
            )
    for number in ("+12025550101", "+12025550190", str(values.get("number"))):
        _decide(
            snapshot,
            CallRequest(
                context="public",
                destination=number,
                unique_id=CALL,
                caller_number="+13105550999",
                caller_name="Jane",
            ),
        )
    domain = view.tenant.domain
    for user in {"1001", str(values.get("number", "1001"))}:
        _directory(snapshot, {"domain": domain, "user": user})
    _directory(snapshot, {"domain": domain, "purpose": "network-list"})
    _directory(snapshot, {"purpose": "gateways", "profile": "internal"})
    if values.get("pickup_group"):
        group = str(values["pickup_group"])
        _directory(snapshot, {"domain": domain, "action": "group_call", "group_name": group})
    names = {"Menu-Name": menu_name(identifier), "profile_name": room_name(identifier)}
    for name in CONFIGURATIONS:
        if name != "sofia.conf" or it.name in {"gateway", "tenant", "sip_profile"}:
            _configuration(snapshot, {"key_value": name, **names})
