"""Makes the call of a case on the switch of the cases, as the daemon does for FreeSWITCH."""

from __future__ import annotations

import random
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import attrs
from lxml import etree

from nizam.fsxml.configuration import Configuration
from nizam.fsxml.request import XmlRequest
from nizam.model.registry import resource
from nizam.routing.decide import decide
from nizam.routing.decision import Decision
from nizam.routing.facts import Facts
from nizam.routing.plan import CollectDigits, RunIvr, Set, Step, Transfer
from nizam.routing.request import PUBLIC_CONTEXT, CallRequest
from nizam.routing.snapshot import Snapshot, TenantView
from nizam.routing.tokens import AfterRinging, FlowStep, IvrChoice, ParkedTooLong, write_token
from nizam.routing.words import in_words
from tests.routing.cases.case import Case
from tests.routing.cases.channel import Channel
from tests.routing.cases.site import Site, domain, switch, tenant_id, tenants
from tests.routing.cases.state import NODE, answered, facts_of
from tests.routing.tenants import CALL, NOON, SIP, reveal


def site_of(case: Case) -> Site:
    """The tenant of the case, changed as it says; CannotBeSaved if that is refused."""
    site = tenants()[case.tenant].copy()
    site.save(case.with_, checked=not case.unchecked)
    site.body["status"] = case.status
    return site


@attrs.define
class Made:
    """A call that was made: what was asked, and what was decided."""

    case: Case
    snapshot: Snapshot
    request: CallRequest
    facts: Facts
    channel: Channel
    decision: Decision

    @classmethod
    def of(cls, case: Case) -> Made:
        """The call of the case."""
        assert case.call is not None
        snapshot = switch(site_of(case))
        view = snapshot.tenant(tenant_id(case.tenant))
        assert view is not None
        call = case.call
        inside = call.context == "internal"
        own = None if call.extension is None else view.by_number(call.extension)
        request = CallRequest(
            context=domain(case.tenant) if inside else PUBLIC_CONTEXT,
            destination=token(view, call.to),
            unique_id=CALL,
            call_id=call.call_id,
            caller_extension=call.from_ if inside else None,
            caller_extension_id=None if own is None else str(own.id),
            caller_number=call.number if call.number is not None else call.from_ or "",
            caller_name=call.name,
            own_domain=call.domain,
            disposition=call.after,
            ivr_misses=call.misses,
            hops=call.hops,
            node=NODE,
        )
        return _decided(case, snapshot, request, facts_of(case.facts, view), Channel(request))

    @property
    def view(self) -> TenantView | None:
        """The tenant that the call was decided for."""
        decided = self.decision.tenant_id
        return None if decided is None else self.snapshot.tenant(decided)

    @property
    def summary(self) -> str:
        """The plan in words."""
        return in_words(self.decision.plan, self.view)

    def again(
        self, destination: str, disposition: str | None = None, pressed: Step | None = None
    ) -> Made:
        """The switch asks again in this call, having been sent to `destination`; `pressed` is what
        has become of the digits that the plan takes."""
        plan = self.decision.plan if pressed is None else (*self.decision.plan, pressed)
        channel = self.channel.went_through(plan)
        request = channel.asks(destination, disposition)
        return _decided(self.case, self.snapshot, request, self.facts, channel)

    def going_on(self, word: str) -> Made:
        """The call goes on: by a cause such as USER_BUSY the ringing ended, all else is pressed."""
        return self.after_ringing(word) if word.isupper() else self.pressing(word)

    def after_ringing(self, cause: str) -> Made:
        """The plan's ringing ended so, and its transfer is followed."""
        transfer = self.decision.plan[-1]
        assert isinstance(transfer, Transfer), "the plan does not ask again"
        return self.again(transfer.destination, cause)

    def pressing(self, digits: str) -> Made:
        """The caller does this in the plan's menu, as ivr.conf lets FreeSWITCH understand it, or
        when the plan takes digits: too few of them count as none (play_and_get_digits)."""
        taking = next((it for it in self.decision.plan if isinstance(it, CollectDigits)), None)
        if taking is not None:
            onwards = self.decision.plan[-1]
            assert isinstance(onwards, Transfer), "the plan does not ask again"
            counts = digits != "timeout" and len(digits) >= taking.min_digits
            taken = digits[: taking.max_digits] if counts else ""
            return self.again(onwards.destination, pressed=Set(taking.variable, taken))
        menu = next(it for it in self.decision.plan if isinstance(it, RunIvr))
        return self.again(self._choice(menu.menu, digits))

    def _choice(self, menu: str, digits: str) -> str:
        fields = {
            "section": "configuration",
            "key_value": "ivr.conf",
            "Menu-Name": menu,
            "variable_nizam_tenant_id": str(self.decision.tenant_id),
        }
        answer = Configuration(self.snapshot, SIP, reveal, lambda: NOON).answer(
            XmlRequest(urlencode(fields).encode())
        )
        element = etree.fromstring(answer).find(".//menu")
        assert element is not None
        ends = {"timeout": "exec-on-max-timeouts", "invalid": "exec-on-max-failures"}
        if digits in ends:
            return _destination(element.get(ends[digits], ""))
        for entry in element.iter("entry"):
            if entry.get("digits") == digits:
                return _destination(entry.get("param", ""))
        for entry in element.iter("entry"):
            if entry.get("digits", "").startswith("/"):
                return _destination(entry.get("param", "")).replace("$1", digits)
        raise AssertionError(f"the menu does not understand {digits}")


def _destination(data: str) -> str:
    application, destination, dialplan, _context = data.split(" ")
    assert (application, dialplan) == ("transfer", "XML")
    return destination


def _decided(
    case: Case, snapshot: Snapshot, request: CallRequest, facts: Facts, channel: Channel
) -> Made:
    """Decide, and again with each answer that the decision asks for."""
    answers = list(case.facts.answers)
    while True:
        decision = decide(snapshot, request, case.at, random.Random(1), facts)
        if decision.fetch is None or not answers:
            return Made(case, snapshot, request, facts, channel, decision)
        facts = answered(facts, decision.fetch.key, answers.pop(0))


def token(view: TenantView, words: str) -> str:
    """The re-entry token that `words` such as `after 1002` stand for; other words as they are."""
    kind, _, rest = words.partition(" ")
    if kind not in {"menu", "after", "parked", "flow"} or not rest:
        return words
    number, *more = rest.split(" ")
    if kind == "menu":
        choice: Any = more[0]
        digits = more[1] if len(more) > 1 else ""
        return write_token(IvrChoice(_id(view, "ivr", number), choice, digits))
    if kind == "flow":
        step: Any = more[1]
        return write_token(FlowStep(_id(view, "call_flow", number), 1, more[0], step))
    if kind == "parked":
        return write_token(ParkedTooLong(_id(view, "parking_lot", number)))
    hops = int(more[1]) if more else 0
    return write_token(AfterRinging(_id(view, "extension", number), hops))


def _id(view: TenantView, kind: str, number: str) -> UUID:
    body = resource(kind).body
    return next(it.id for it in view.all(body) if str(getattr(it.body, "number", None)) == number)
