"""Routing policies: conditions on a call, and what is done with one for which they hold."""

from __future__ import annotations

from nizam.model import condition as conditions
from nizam.model.calendar import Calendar
from nizam.model.condition import Condition
from nizam.model.did import Did
from nizam.model.routing_policy import (
    AllowAction,
    RedirectAction,
    RejectAction,
    RoutingPolicy,
    SetCallerIdAction,
)
from nizam.model.time_condition import TimeCondition
from nizam.routing import numbers
from nizam.routing.blocked import caller_is_listed
from nizam.routing.callers import caller_forms, fits
from nizam.routing.context import Routing
from nizam.routing.hours import clock, is_holiday, is_matched, rule_holds
from nizam.routing.plan import Hangup, Plan, Set
from nizam.routing.rows import Entry


def apply_policies(routing: Routing, did: Entry[Did] | None) -> tuple[Plan, Plan | None]:
    """Steps to take first, and the plan that a policy makes of the call; None if it goes on.

    `did` is the one that a call from outside came in for; a call from inside has none.
    """
    policies = routing.view.all(RoutingPolicy)
    if not policies:
        return (), None
    wanted = {"all", "internal" if did is None else "inbound"}
    entries = sorted(
        (it for it in policies if it.body.applies_to in wanted),
        key=lambda it: (it.body.priority, it.body.name),
    )
    before: Plan = ()
    for entry in entries:
        if not entry.body.enabled or not holds(routing, entry.body.condition, did):
            continue
        steps, ending = act(routing, entry)
        before = (*before, *steps)
        if ending is not None or isinstance(entry.body.action, AllowAction):
            return before, ending
    return before, None


def act(routing: Routing, entry: Entry[RoutingPolicy]) -> tuple[Plan, Plan | None]:
    """Steps to take first, and what ends the routing of the call; None if nothing does."""
    action, name = entry.body.action, entry.body.name
    if isinstance(action, RejectAction):
        routing.note("routing_policy", "denied", f"{name} rejects with {action.cause}", entry)
        routing.outcome = "denied"
        return (), (Hangup(action.cause),)
    routing.note("routing_policy", "matched", f"{name}: {action.type.replace('_', ' ')}", entry)
    if isinstance(action, RedirectAction):
        return (), routing.follow_configured(action.destination)
    steps: list[Set] = []
    if isinstance(action, SetCallerIdAction):
        if action.name is not None:
            routing.caller_name = action.name
            steps.append(Set("effective_caller_id_name", action.name))
        if action.number is not None:
            steps.append(Set("effective_caller_id_number", action.number))
        before = routing.policy_caller
        routing.policy_caller = (action.number or before[0], action.name or before[1])
    return tuple(steps), None


def holds(routing: Routing, condition: Condition, did: Entry[Did] | None) -> bool:
    """Whether a condition holds for the call."""
    if isinstance(condition, conditions.AllOf):
        return all(holds(routing, it, did) for it in condition.all)
    if isinstance(condition, conditions.AnyOf):
        return any(holds(routing, it, did) for it in condition.any)
    if isinstance(condition, conditions.NotOf):
        return not holds(routing, condition.not_, did)
    if isinstance(condition, conditions.TimeLeaf):
        return _time(routing, condition)
    forms = caller_forms(routing)
    if isinstance(condition, conditions.CallerPatternLeaf):
        return fits(condition.pattern, forms)
    if isinstance(condition, conditions.CallerPrefixLeaf):
        prefixes = tuple(it.removeprefix("+") for it in condition.prefixes)
        return any(form.removeprefix("+").startswith(prefixes) for form in forms)
    if isinstance(condition, conditions.CallerCountryLeaf):
        return any(
            numbers.country(form) in condition.countries for form in forms if form.startswith("+")
        )
    if isinstance(condition, conditions.AnonymousLeaf):
        return not forms
    if isinstance(condition, conditions.BlockedListLeaf):
        return caller_is_listed(routing)
    if isinstance(condition, conditions.DidLeaf):
        return did is not None and did.id == condition.did_id
    dialled = routing.request.destination
    e164 = numbers.to_e164(dialled, routing.tenant.country)
    return numbers.matches(condition.pattern, dialled, e164)


def _time(routing: Routing, leaf: conditions.TimeLeaf) -> bool:
    if leaf.time_condition_id is not None:
        entry = routing.object(TimeCondition, leaf.time_condition_id)
        return entry is not None and is_matched(routing, entry)
    its = clock(routing, leaf.time_zone, "the policy")
    if leaf.calendar_id is not None:
        calendar = routing.object(Calendar, leaf.calendar_id)
        return calendar is not None and is_holiday(routing, calendar, its)
    return rule_holds(routing, leaf.rules, its)
