"""Why a call would go where: the same decision as for a real call, without a call."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import attrs

from nizam.errors import NotFound, ValidationFailed
from nizam.fsxml.dialplan import render
from nizam.routing.context import Random
from nizam.routing.decide import decide
from nizam.routing.decision import Decision
from nizam.routing.facts import NO_FACTS, Facts, Limit
from nizam.routing.plan_words import describe
from nizam.routing.rehearsal import Acts, answered, rehearse
from nizam.routing.request import PUBLIC_CONTEXT, CallRequest
from nizam.routing.snapshot import Snapshot, TenantView
from nizam.routing.words import in_words

NO_CALL = "00000000-0000-0000-0000-000000000000"
"""The call id in a dry run."""


@attrs.frozen
class Explanation:
    """Why a call goes where it goes; `trace` and `plan` are JSON data, `summary` is the plan in one
    line, `xml` the dialplan document. `commands` are the changes that the call makes, and a dry run
    does not. `then` are what the switch is answered when it asks again, in a dry run that goes
    on."""

    outcome: str
    trace: list[dict[str, object]]
    plan: list[dict[str, object]]
    summary: str
    xml: str
    revision: int | None
    route: str
    commands: list[dict[str, object]]
    then: list[dict[str, Any]] | None = None
    limits: tuple[Limit, ...] = ()

    def document(self) -> dict[str, Any]:
        """The explanation as JSON data, without the limits: they count for real calls."""
        found = attrs.asdict(self, recurse=False)
        del found["limits"]
        if self.then is None:
            del found["then"]
        return found


def explain(
    snapshot: Snapshot,
    tenant_id: UUID,
    from_: str,
    to: str,
    context: Literal["internal", "public"],
    at: datetime,
    random: Random,
    facts: Facts = NO_FACTS,
    acts: Acts | None = None,
) -> Explanation:
    """Decide a call of the tenant from `from_` to `to` as if it came in at `at` (aware).

    Inside, `from_` is an extension's number; somebody without an extension dials with no rights.
    From outside, a number of another tenant is as unknown as one of nobody. Raises NotFound when
    the tenant is not in the snapshot, ValidationFailed when `at` is in the first or the last year
    that there is, where local time cannot be told. With `acts` the call goes on as they say.
    """
    if not 1 < at.year < 9999:
        raise ValidationFailed("/at is out of range")
    view = snapshot.tenant(tenant_id)
    if view is None:
        raise NotFound("the tenant is not known here yet")
    domain = view.tenant.domain
    request = CallRequest(
        context=PUBLIC_CONTEXT if context == "public" else domain,
        destination=to,
        unique_id=NO_CALL,
        caller_extension=from_ if context == "internal" else None,
        caller_number=from_,
    )
    decision = answered(snapshot, request, at, random, facts, acts or Acts())
    if decision.tenant_id not in {None, tenant_id}:
        unknown = attrs.evolve(request, destination="")
        decision = decide(snapshot, unknown, at, random, facts)
    first = explained(decision, view, render(decision, request.context))
    if acts is None:
        return attrs.evolve(first, then=[])
    further = rehearse(snapshot, request, decision, at, random, facts, acts)
    then = [explained(it, view, render(it, asked.context)).document() for asked, it in further]
    return attrs.evolve(first, then=then)


def explained(decision: Decision, view: TenantView, xml: bytes) -> Explanation:
    """What can be said of a decision of the tenant, and of the XML that FreeSWITCH gets."""
    return Explanation(
        outcome=decision.outcome,
        trace=[it.document() for it in decision.trace],
        plan=describe(decision.plan),
        summary=in_words(decision.plan, view),
        xml=xml.decode(),
        revision=decision.revision,
        route=decision.route,
        commands=[
            {"resource": it.resource, "id": str(it.id), "changes": dict(it.changes)}
            for it in decision.commands
        ],
        limits=decision.limits,
    )
