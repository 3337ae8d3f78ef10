"""What a decision needs is seen to before FreeSWITCH is answered."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import attrs
import pytest
from twisted.internet.task import Clock

from nizam.fsxml.served import Served
from nizam.http import deciding
from nizam.http.deciding import CallDecider, Ran
from nizam.routing.decision import Decision
from nizam.routing.facts import Command, Facts, Fetch, Fetched, Limit
from nizam.routing.plan import Answer, Echo, Hangup
from nizam.routing.request import CallRequest
from nizam.routing.snapshot import Snapshot

TENANT = UUID("01900000-0000-7000-8000-000000000001")
CALL = CallRequest("acme.example.test", "1002", "6ea0bf15-77d6-42ac-8f51-8e7252f1e616")
LIMIT = Limit("concurrent", "tenant", TENANT, 10)
OTHER = Limit("concurrent", "route", TENANT, 10)
COMMAND = Command("extension", TENANT, {"do_not_disturb": True})
FETCH = Fetch("node", "https://example.com/", "GET", 5, {})


@attrs.define
class Helpers:
    """A limiter, commander and fetcher that answer as told, and keep what they were asked."""

    full: dict[str, int] = attrs.field(factory=dict)
    fails: str | None = None
    done: tuple[Command, ...] | None = None
    asked: list[object] = attrs.field(factory=list)

    async def take(
        self, tenant_id: UUID, call: CallRequest, limits: Sequence[Limit]
    ) -> Mapping[str, int]:
        self.asked.append(tuple(limits))
        return {it.key: self.full[it.key] for it in limits if it.key in self.full}

    async def run(self, tenant_id: UUID, call: CallRequest, decision: Decision) -> Ran:
        self.asked.append(decision.commands)
        done = decision.commands if self.done is None else self.done
        return Ran(done) if self.fails is None else Ran(failed=self.fails)

    async def fetch(
        self, tenant_id: UUID, call: CallRequest, fetch: Fetch, seconds: float
    ) -> Fetched:
        self.asked.append(fetch)
        return Fetched("answered", {"vip": True})


@pytest.fixture
def helpers() -> Helpers:
    return Helpers()


def decider(helpers: Helpers, told: list[str]) -> CallDecider:
    def observe(served: Served) -> None:
        told.append(served.decision.outcome)

    return CallDecider(
        Snapshot(),
        Clock(),
        random.Random(1),
        limiter=helpers,
        commander=helpers,
        fetcher=helpers,
        observers=(observe,),
    )


def routes(monkeypatch: pytest.MonkeyPatch, what: Any) -> None:
    def decide(_s: Snapshot, call: CallRequest, _n: datetime, _r: Any, facts: Facts) -> Decision:
        decision: Decision = what(Decision((Answer(),), (), "routed", "", TENANT), facts)
        return decision

    monkeypatch.setattr(deciding, "decide", decide)


async def whole(it: CallDecider) -> Decision:
    first = it.begin(CALL)
    return (first if isinstance(first, Served) else await it.finish(CALL, first)).decision


async def test_a_call_that_needs_nothing_is_decided_once(
    monkeypatch: pytest.MonkeyPatch, helpers: Helpers
) -> None:
    told: list[str] = []
    routes(monkeypatch, lambda decision, facts: decision)
    assert (await whole(decider(helpers, told))).outcome == "routed"
    assert (helpers.asked, told) == ([], ["routed"])


async def test_a_call_over_a_limit_is_decided_again_with_it_full(
    monkeypatch: pytest.MonkeyPatch, helpers: Helpers
) -> None:
    def route(decision: Decision, facts: Facts) -> Decision:
        if LIMIT.key in facts.full and OTHER.key in facts.full:
            return attrs.evolve(decision, outcome="denied", plan=(Hangup("CALL_REJECTED"),))
        wanted = OTHER if LIMIT.key in facts.full else LIMIT
        return attrs.evolve(decision, limits=(wanted,))

    told: list[str] = []
    routes(monkeypatch, route)
    helpers.full = {LIMIT.key: 10}
    assert (await whole(decider(helpers, told))).limits == (OTHER,)
    helpers.full[OTHER.key] = 10
    assert (await whole(decider(helpers, told))).outcome == "denied"
    assert helpers.asked == [(LIMIT,), (OTHER,), (LIMIT,), (OTHER,)]
    assert told == ["routed", "denied"]


async def test_commands_are_run_before_the_answer_and_a_failure_changes_it(
    monkeypatch: pytest.MonkeyPatch, helpers: Helpers
) -> None:
    def route(decision: Decision, facts: Facts) -> Decision:
        if facts.command_failed:
            return attrs.evolve(decision, plan=(Echo(),))
        return attrs.evolve(decision, commands=(COMMAND,))

    routes(monkeypatch, route)
    assert (await whole(decider(helpers, []))).plan == (Answer(),)
    helpers.fails = "PostgreSQL is away"
    assert (await whole(decider(helpers, []))).plan == (Echo(),)


async def test_a_question_that_comes_again_is_answered_by_what_was_done_the_first_time(
    monkeypatch: pytest.MonkeyPatch, helpers: Helpers
) -> None:
    earlier = attrs.evolve(COMMAND, changes={"do_not_disturb": False})

    def route(decision: Decision, facts: Facts) -> Decision:
        plan = (Echo(),) if facts.done == (earlier,) else decision.plan
        return attrs.evolve(decision, plan=plan, commands=facts.done or (COMMAND,))

    routes(monkeypatch, route)
    helpers.done = (earlier,)
    assert (await whole(decider(helpers, []))).plan == (Echo(),)
    assert helpers.asked == [(COMMAND,), (earlier,)]


async def test_an_answer_from_elsewhere_is_known_in_the_next_decision(
    monkeypatch: pytest.MonkeyPatch, helpers: Helpers
) -> None:
    def route(decision: Decision, facts: Facts) -> Decision:
        answer = facts.fetched.get("node")
        return attrs.evolve(decision, fetch=FETCH) if answer is None else decision

    routes(monkeypatch, route)
    assert (await whole(decider(helpers, []))).plan == (Answer(),)
    assert helpers.asked == [FETCH]


async def test_a_call_that_always_wants_more_is_answered_all_the_same(
    monkeypatch: pytest.MonkeyPatch, helpers: Helpers
) -> None:
    routes(monkeypatch, lambda decision, facts: attrs.evolve(decision, fetch=FETCH))
    assert (await whole(decider(helpers, []))).outcome == "routed"
    assert len(helpers.asked) == deciding.ROUNDS


async def test_a_call_for_which_no_room_was_ever_found_is_not_let_through(
    monkeypatch: pytest.MonkeyPatch, helpers: Helpers
) -> None:
    def route(decision: Decision, facts: Facts) -> Decision:
        another = attrs.evolve(LIMIT, id=UUID(int=len(facts.full)))
        helpers.full = {another.key: 10}
        return attrs.evolve(decision, limits=(another,))

    told: list[str] = []
    routes(monkeypatch, route)
    assert (await whole(decider(helpers, told))).plan == (Hangup("SWITCH_CONGESTION"),)
    assert told == ["denied"]
