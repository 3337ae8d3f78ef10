"""A dry run that goes on: what the switch would ask next, when the caller does what is said."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import attrs

from nizam.routing.context import Random
from nizam.routing.decide import decide
from nizam.routing.decision import Decision
from nizam.routing.facts import Facts, Fetched
from nizam.routing.flow_state import FLOW_NEXT, FLOW_TO, HOPS, VARIABLE
from nizam.routing.plan import Answer, Bridge, CollectDigits, Export, Plan, RunIvr, Set, Transfer
from nizam.routing.request import PUBLIC_CONTEXT, ZONE_DID, CallRequest, FlowState
from nizam.routing.snapshot import Snapshot

MOST_STEPS = 25
"""How often the switch asks again in one dry run."""
_MOST_REQUESTS = 8

Members = Mapping[str, str | int | float | bool]


@attrs.frozen
class Acts:
    """What people and servers do in a dry run.

    `digits` are what is pressed, for one collecting after the other; an empty text presses nothing.
    `dispositions` say how one ringing after the other ends, such as USER_BUSY. `answers` are what
    servers say, by the ids of the nodes that ask them; None, or no word of it, is no good answer.
    """

    digits: Sequence[str] = ()
    dispositions: Sequence[str] = ()
    answers: Mapping[str, Members | None] = attrs.field(factory=dict)


def answered(
    snapshot: Snapshot, request: CallRequest, at: datetime, random: Random, facts: Facts, acts: Acts
) -> Decision:
    """Decide, and again with what the servers that are asked say."""
    decision = decide(snapshot, request, at, random, facts)
    for _ in range(_MOST_REQUESTS):
        if decision.fetch is None:
            break
        body = acts.answers.get(decision.fetch.node)
        failed = Fetched("failed", words="no answer is given in this dry run")
        found = failed if body is None else Fetched("answered", body)
        facts = attrs.evolve(facts, fetched={**facts.fetched, decision.fetch.key: found})
        decision = decide(snapshot, request, at, random, facts)
    return decision


def rehearse(
    snapshot: Snapshot,
    request: CallRequest,
    decision: Decision,
    at: datetime,
    random: Random,
    facts: Facts,
    acts: Acts,
) -> Iterator[tuple[CallRequest, Decision]]:
    """Each further question of the switch after `decision` of `request`, and what it is answered.

    It ends where the call does, and where it depends on what `acts` does not say.
    """
    digits, dispositions = list(acts.digits), list(acts.dispositions)
    variables: dict[str, str] = {}
    context = request.context
    if context == PUBLIC_CONTEXT and decision.tenant_id is not None:
        tenant = snapshot.tenant(decision.tenant_id)
        context = context if tenant is None else tenant.tenant.domain
    for _ in range(MOST_STEPS):
        following = _carry_out(decision.plan, variables, digits, dispositions)
        if following is None:
            return
        request = attrs.evolve(
            request,
            context=context,
            destination=following,
            disposition=variables.get("originate_disposition"),
            answered=request.answered or any(isinstance(it, Answer) for it in decision.plan),
            hops=int(variables.get(HOPS, "0")),
            zone_did_id=variables.get(ZONE_DID),
            flow=_state(variables),
        )
        decision = answered(snapshot, request, at, random, facts, acts)
        yield request, decision


def _state(variables: Mapping[str, str]) -> FlowState:
    own = {
        name.removeprefix(VARIABLE): value
        for name, value in variables.items()
        if name.startswith(VARIABLE)
    }
    return FlowState(variables.get(FLOW_NEXT, ""), variables.get(FLOW_TO, ""), own)


def _carry_out(
    plan: Plan, variables: dict[str, str], digits: list[str], dispositions: list[str]
) -> str | None:
    """Where the plan sends the call in the end; None where it ends, or nobody says how it goes on.

    Ringing of which nothing is said was answered.
    """
    for step in plan:
        if isinstance(step, Set | Export):
            variables.pop(step.name, None)
            if step.value:
                variables[step.name] = step.value
        elif isinstance(step, CollectDigits):
            if not digits:
                return None
            _press(step, digits.pop(0), variables)
        elif isinstance(step, Bridge):
            if not dispositions:
                return None
            cause = dispositions.pop(0)
            variables["originate_disposition"] = cause
            goes_on = step.continue_on == "always" or cause in step.continue_on
            if cause == "SUCCESS" or not goes_on:
                return None
        elif isinstance(step, RunIvr):
            return None
        elif isinstance(step, Transfer):
            return step.destination
    return None


def _press(step: CollectDigits, pressed: str, variables: dict[str, Any]) -> None:
    variables.pop(step.variable, None)
    if len(pressed) >= step.min_digits:
        variables[step.variable] = pressed[: step.max_digits]
