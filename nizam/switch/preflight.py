"""Whether a call may be placed: asked of routing before a phone is rung.

It is the same decision that the switch will be given when the phone has been answered, with the
phones, calls and limits of now. What the call counts for on the tenant and the extension is taken
here, once; ways out and toll fraud are counted when it goes out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from random import SystemRandom
from typing import Final
from uuid import UUID

import attrs

from nizam.errors import CallRefused, NizamError, QuotaExceeded
from nizam.model.events import Event
from nizam.model.extension import Extension
from nizam.routing.decide import decide
from nizam.routing.decision import Decision
from nizam.routing.facts import Facts, Limit
from nizam.routing.plan import Export, Hangup, HoldMusic, RecordCall, Respond, Set
from nizam.routing.request import CallRequest
from nizam.routing.rows import Entry
from nizam.routing.snapshot import Snapshot, TenantView
from nizam.switch.call_limits import CallLimits
from nizam.switch.live_facts import LiveFacts
from nizam.switch.notices import notices

ROUNDS: Final = 20
_OUTSIDE_SCOPES: Final = frozenset({"route", "gateway"})
_PREPARES: Final = (Set, Export, HoldMusic, RecordCall)


@attrs.frozen
class Preflight:
    """Asks routing. `tell` stores the events of refusals."""

    snapshot: Snapshot
    live: LiveFacts
    counts: CallLimits
    tell: Callable[[Sequence[Event]], None] = lambda _events: None
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    async def place(
        self,
        view: TenantView,
        caller: Entry[Extension],
        dialled: str,
        call_id: UUID,
        node: str,
        caller_id: str | None = None,
    ) -> None:
        """Let a call of the extension be placed, and count it.

        Raises QuotaExceeded for a limit that is reached, CallRefused for what else is in the way,
        with the words of the decision.
        """
        call = CallRequest(
            context=view.tenant.domain,
            destination=dialled,
            unique_id=str(call_id),
            caller_extension_id=str(caller.id),
            caller_number=caller.body.number,
            node=node,
            question_id=f"{call_id} 0",
            shown_caller=caller_id,
        )
        facts = Facts(self.live)
        decision = self._decide(call, facts)
        for _ in range(ROUNDS):
            full = await self.counts.reached(decision.limits) if decision.limits else {}
            if not full:
                own = [it for it in decision.limits if _is_own(it)]
                full = dict(await self.counts.take(view.id, call, own)) if own else {}
            if not full:
                break
            facts = attrs.evolve(facts, full={**facts.full, **full})
            decision = self._decide(call, facts)
        self._accept(call, decision, facts)

    def transfer(
        self, view: TenantView, extension_id: UUID | None, dialled: str, leg_id: UUID, call_id: UUID
    ) -> None:
        """Let a leg of a call be sent to a number. Raises CallRefused."""
        call = CallRequest(
            context=view.tenant.domain,
            destination=dialled,
            unique_id=str(leg_id),
            call_id=str(call_id),
            caller_extension_id=None if extension_id is None else str(extension_id),
            answered=True,
        )
        facts = Facts(self.live)
        self._accept(call, self._decide(call, facts), facts)

    def _decide(self, call: CallRequest, facts: Facts) -> Decision:
        return decide(self.snapshot, call, self.now(), SystemRandom(), facts)

    def _accept(self, call: CallRequest, decision: Decision, facts: Facts) -> None:
        refusal = _refusal(decision, facts)
        if refusal is not None:
            self.tell(notices(call, decision, self.now()))
            raise refusal


def _is_own(limit: Limit) -> bool:
    """Whether it is a limit on all calls of the tenant or of the extension, which later questions
    of the same call do not take again (nizam.routing.limits.refused)."""
    return (
        limit.scope not in _OUTSIDE_SCOPES and not limit.of and not limit.look and not limit.number
    )


def _refusal(decision: Decision, facts: Facts) -> NizamError | None:
    first = next((it for it in decision.plan if not isinstance(it, _PREPARES)), None)
    ends = isinstance(first, Hangup | Respond)
    if decision.outcome == "routed" and not ends:
        return None
    against = [it for it in decision.trace if it.result in ("denied", "failed")]
    words = against[-1].detail if against else decision.trace[-1].detail
    cause = first.cause if isinstance(first, Hangup) else None
    if decision.outcome == "denied" and facts.full:
        return QuotaExceeded(words, outcome=decision.outcome, cause=cause)
    return CallRefused(words, outcome=decision.outcome, cause=cause)
