"""What holds for every call to every tenant, whatever has been configured.

Calls are walked to their end as a switch would: what a plan sets stays on the channel, a phone is
not answered for any cause, a caller presses anything or nothing in a menu and is left in a lot.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode
from uuid import UUID

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from nizam.fsxml.configuration import Configuration
from nizam.fsxml.dialplan import render
from nizam.fsxml.request import XmlRequest
from nizam.fsxml.writer import NOT_FOUND
from nizam.routing.decide import decide
from nizam.routing.decision import Decision
from nizam.routing.explain import NO_CALL, explain
from nizam.routing.flow_state import MAX_HOPS
from nizam.routing.plan import (
    Bridge,
    Conference,
    Echo,
    GatewayLeg,
    Hangup,
    Intercept,
    Park,
    ParkInSlot,
    Plan,
    Respond,
    RunIvr,
    Set,
    Transfer,
    Voicemail,
    VoicemailCheck,
)
from nizam.routing.request import PUBLIC_CONTEXT, CallRequest
from nizam.routing.snapshot import Snapshot
from tests.fsxml.inert import check_document
from tests.routing.cases.agreement import check_xml
from tests.routing.cases.channel import Channel
from tests.routing.cases.site import Site, domain, tenant_id
from tests.routing.generated import CAUSES, DIALLED, DIDS, EXTENSIONS, PREFIX, sites
from tests.routing.tenants import CALL, MEDIA_ROOT, NOON, SIP, reveal

pytestmark = pytest.mark.time_limit(120)

ENDS = (
    *(Hangup, Respond, Bridge, Voicemail, VoicemailCheck, Conference, Echo, Transfer, Park),
    *(ParkInSlot, Intercept),
)
"""After these nothing of the call is left, or it asks again."""

START = datetime(2026, 1, 1, tzinfo=UTC)
_MOMENTS = st.integers(0, 2 * 365 * 24 * 60).map(lambda it: START + timedelta(minutes=it))
checked = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@attrs.frozen
class World:
    """Two tenants on one switch, and a call to one of them."""

    acme: Site
    globex: Site
    snapshot: Snapshot
    request: CallRequest
    at: datetime

    def decide(self, request: CallRequest) -> Decision:
        """The decision for a question of the call."""
        return decide(self.snapshot, request, self.at, random.Random(1))


@st.composite
def worlds(draw: st.DrawFn) -> World:
    acme, globex = draw(sites("acme")), draw(sites("globex"))
    snapshot = Snapshot(MEDIA_ROOT)
    for site in (acme, globex):
        for row in site.rows():
            snapshot.put(row)
        snapshot.set_revision(tenant_id(site.slug), 1)
    return World(acme, globex, snapshot, draw(_requests()), draw(_MOMENTS))


@st.composite
def _requests(draw: st.DrawFn) -> CallRequest:
    caller_number = draw(st.sampled_from(["", "1001", "13105550999", "+12025550101", "anonymous"]))
    if draw(st.booleans()):
        return CallRequest(
            context=PUBLIC_CONTEXT,
            destination=f"{PREFIX['acme']}{draw(st.sampled_from(DIDS))}",
            unique_id=CALL,
            caller_number=caller_number,
        )
    return CallRequest(
        context=domain("acme"),
        destination=draw(st.sampled_from(DIALLED)),
        unique_id=CALL,
        caller_extension=draw(st.none() | st.sampled_from(EXTENSIONS)),
        caller_number=caller_number,
    )


@checked
@given(worlds(), st.data())
def test_a_call_comes_to_an_end_in_its_own_tenant(world: World, data: st.DataObject) -> None:
    channel, request = Channel(world.request), world.request
    foreign = _names_of(world.globex)
    for _ in range(MAX_HOPS + 5):
        decision = world.decide(request)
        document = render(decision, request.context)
        check_document(document)
        check_xml(decision, request.context)
        assert not [it for it in foreign if it in document]
        if not decision.plan:
            return
        assert isinstance(decision.plan[-1], ENDS), decision.plan[-1]
        channel = channel.went_through(decision.plan)
        destination, cause = _goes_on(world, decision.plan, data)
        if destination is None:
            return
        request = channel.asks(destination, cause)
        assert request.context == domain("acme")
    raise AssertionError("the call does not come to an end")


@checked
@given(worlds())
def test_an_emergency_call_is_always_made(world: World) -> None:
    for extension in (*EXTENSIONS, None):
        request = attrs.evolve(
            world.request,
            context=domain("acme"),
            destination="911",
            caller_extension=extension,
        )
        decision = world.decide(request)
        assert decision.outcome == "routed"
        legs = [leg for step in decision.plan if isinstance(step, Bridge) for leg in step.legs]
        assert legs
        assert all(isinstance(it, GatewayLeg) and it.number == "911" for it in legs)


@checked
@given(worlds())
def test_explain_says_what_is_served(world: World) -> None:
    inside = world.request.context != PUBLIC_CONTEXT
    from_ = (world.request.caller_extension or "") if inside else world.request.caller_number
    served = attrs.evolve(
        world.request,
        caller_number=from_,
        caller_extension=from_ if inside else None,
    )
    decision = world.decide(served)
    explained = explain(
        world.snapshot,
        tenant_id("acme"),
        from_,
        served.destination,
        "internal" if inside else "public",
        world.at,
        random.Random(1),
    )
    assert explained.xml.replace(NO_CALL, CALL) == render(decision, served.context).decode()
    assert explained.trace == [it.document() for it in decision.trace]
    assert (explained.outcome, explained.route) == (decision.outcome, decision.route)


@checked
@given(
    worlds(),
    st.builds(
        CallRequest,
        context=st.sampled_from([domain("acme"), PUBLIC_CONTEXT, domain("globex"), "x"])
        | st.text(),
        destination=st.text() | st.sampled_from(DIALLED),
        unique_id=st.text(),
        call_id=st.none() | st.text(),
        caller_extension=st.none() | st.text() | st.sampled_from(EXTENSIONS),
        caller_extension_id=st.none() | st.text() | st.uuids().map(str),
        caller_number=st.text(),
        caller_name=st.text(),
        own_domain=st.none() | st.text() | st.just(domain("globex")),
        disposition=st.none() | st.text(),
        ivr_misses=st.integers(0, 999),
        zone_did_id=st.none() | st.text(),
        hops=st.integers(0, 999),
    ),
)
def test_every_question_is_answered(world: World, request: CallRequest) -> None:
    check_document(render(world.decide(request), request.context))


def _names_of(site: Site) -> list[bytes]:
    """Everything by which something of the tenant could be reached."""
    identifiers: list[UUID] = [tenant_id(site.slug)]
    identifiers += [it.id for objects in site.objects.values() for it in objects]
    found = [domain(site.slug), PREFIX[site.slug]]
    found += [form for it in identifiers for form in (str(it), it.hex)]
    return [it.encode() for it in found]


def _goes_on(world: World, plan: Plan, data: st.DataObject) -> tuple[str | None, str | None]:
    """Where the switch is sent when nobody answers, and how the ringing ended; None at the end."""
    for step in plan:
        if isinstance(step, Bridge) and step.continue_on != "always":
            return None, None
        if isinstance(step, RunIvr):
            return _in_menu(world, step.menu, data), None
        if isinstance(step, Park | ParkInSlot):
            orbit = [it.value for it in plan if isinstance(it, Set) and it.name.endswith("_exten")]
            return orbit[-1], None
        if isinstance(step, Transfer):
            return step.destination, data.draw(st.sampled_from(CAUSES))
    return None, None


def _in_menu(world: World, menu: str, data: st.DataObject) -> str | None:
    """What a caller does in a menu: anything that it understands, or nothing."""
    fields = {
        "section": "configuration",
        "key_value": "ivr.conf",
        "Menu-Name": menu,
        "variable_nizam_tenant_id": str(tenant_id("acme")),
    }
    question = XmlRequest(urlencode(fields).encode())
    answer = Configuration(world.snapshot, SIP, reveal, lambda: NOON).answer(question)
    if answer == NOT_FOUND:
        return None
    check_document(answer)
    assert not [it for it in _names_of(world.globex) if it in answer]
    found = etree.fromstring(answer).find(".//menu")
    assert found is not None
    ways = [found.get("exec-on-max-timeouts"), found.get("exec-on-max-failures")]
    ways += [it.get("param", "").replace("$1", "1002") for it in found.iter("entry")]
    way = data.draw(st.sampled_from(ways))
    return None if way is None else str(way).split(" ")[1]
