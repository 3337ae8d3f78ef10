"""What must hold of every answer: it is XML of known applications, and explain says the same."""

from __future__ import annotations

import random
from collections.abc import Iterator

from lxml import etree

from nizam.fsxml.dialplan import actions, render
from nizam.routing.decision import Decision
from nizam.routing.explain import NO_CALL, explain
from nizam.routing.plan_words import describe
from nizam.routing.request import PUBLIC_CONTEXT
from tests.routing.cases.calling import Made
from tests.routing.cases.site import tenant_id
from tests.routing.tenants import CALL

APPLICATIONS = frozenset(
    {
        "answer",
        "bind_meta_app",
        "bridge",
        "conference",
        "conference_set_auto_outcall",
        "echo",
        "export",
        "hangup",
        "intercept",
        "ivr",
        "play_and_get_digits",
        "playback",
        "record",
        "record_session",
        "respond",
        "ring_ready",
        "say",
        "set",
        "sleep",
        "speak",
        "transfer",
        "unset",
        "valet_park",
        "voicemail",
    }
)
"""What dialplans of NIZAM may run on a switch; none of these runs a command or a script."""


def check(made: Made) -> None:
    """The XML is the plan's, harmless, and what a dry run shows."""
    check_xml(made.decision, made.request.context)
    check_explained(made)


def check_xml(decision: Decision, context: str) -> None:
    """The document parses and holds the actions of the plan, none of which is more than it says."""
    served = list(_actions(render(decision, context)))
    assert served == [(name, data or None) for name, data in actions(decision.plan)]
    for name, data in served:
        assert name in APPLICATIONS, f"{name} is not an application that dialplans may run"
        assert "$" not in (data or ""), f"{name} {data} would be expanded by the switch"


def _actions(document: bytes) -> Iterator[tuple[str, str | None]]:
    root = etree.fromstring(document)
    for condition in root.iter("condition"):
        assert not condition.attrib, "a condition that captures makes $1 vanish"
    for action in root.iter("action"):
        yield str(action.get("application")), action.get("data")


def check_explained(made: Made) -> None:
    """A dry run of the same call shows the same outcome, way, lines, plan and XML.

    What a dry run cannot be told (a name, how a ringing ended) is not compared.
    """
    request = made.request
    dry = (
        request.caller_name,
        request.own_domain,
        request.disposition,
        request.ivr_misses,
        request.hops,
    )
    if any(dry) or request.call_id is not None or request.caller_extension_id is not None:
        return
    inside = request.context != PUBLIC_CONTEXT
    from_ = request.caller_extension if inside else request.caller_number
    if from_ is None or (inside and request.caller_number != from_):
        return
    identifier = tenant_id(made.case.tenant)
    if made.decision.tenant_id not in {None, identifier}:
        return
    there = (*made.case.facts.registered.values(), *made.case.facts.ringing.values())
    if any(" @" in it for found in there for it in found):
        return  # asked by no switch, a dry run knows of no other one
    explanation = explain(
        made.snapshot,
        identifier,
        from_,
        request.destination,
        "internal" if inside else "public",
        made.case.at,
        random.Random(1),
        made.facts,
    )
    decision = made.decision
    assert explanation.outcome == decision.outcome
    assert explanation.route == decision.route
    assert explanation.summary == made.summary
    assert explanation.trace == [it.document() for it in decision.trace]
    served = render(decision, request.context).decode()
    assert explanation.xml.replace(NO_CALL, CALL) == served
    shown = str(explanation.plan).replace(NO_CALL, CALL)
    assert shown == str(describe(decision.plan))
