"""Deciding a real call: what a decision needs is seen to, and then it is decided again.

Most calls need nothing, and are answered within the same turn of the reactor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, Protocol
from uuid import UUID

import attrs
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from nizam.fsxml.dialplan import render
from nizam.fsxml.served import Served
from nizam.routing.context import Random
from nizam.routing.decide import decide
from nizam.routing.decision import Decision
from nizam.routing.facts import NOTHING_LIVE, Command, Facts, Fetch, Fetched, Limit, Live
from nizam.routing.limits import CONGESTED
from nizam.routing.plan import Hangup
from nizam.routing.request import CallRequest
from nizam.routing.snapshot import Snapshot

ROUNDS: Final = 20
"""How often a call is decided again: each time something new is known to be full, or answered."""

PATIENCE_SECONDS: Final = 1.2
"""How long all requests that one answer needs may take together; FreeSWITCH waits 2 s."""


class Limiter(Protocol):
    """Counts calls."""

    async def take(
        self, tenant_id: UUID, call: CallRequest, limits: Sequence[Limit]
    ) -> Mapping[str, int]:
        """Count the call under all the limits, or under none: then the keys of those that are
        reached, with their counts. Never raises."""


@attrs.frozen
class Ran:
    """What came of commands: those that were `done`, or words why none was."""

    done: tuple[Command, ...] = ()
    failed: str | None = None


class Commander(Protocol):
    """Makes changes that were dialled."""

    async def run(self, tenant_id: UUID, call: CallRequest, decision: Decision) -> Ran:
        """Make the changes of the decision, all or none, and once for each question: the same
        question again gets what was done the first time. Never raises."""


class Fetcher(Protocol):
    """Asks servers of tenants."""

    async def fetch(
        self, tenant_id: UUID, call: CallRequest, fetch: Fetch, seconds: float
    ) -> Fetched:
        """The answer, or `pending` when there is none within so many seconds and the call has to
        ask again. Never raises."""


Observer = Callable[[Served], None]
"""Is told of every answer that a call was given; never blocks."""


@attrs.define
class CallDecider:
    """Decides calls for FreeSWITCH. What is not given is not done: without a limiter nothing is
    full, without a commander and a fetcher commands and requests fail."""

    snapshot: Snapshot
    clock: IReactorTime
    random: Random
    live: Live = NOTHING_LIVE
    limiter: Limiter | None = None
    commander: Commander | None = None
    fetcher: Fetcher | None = None
    observers: Sequence[Observer] = ()

    _log = Logger(namespace="nizam.routing")

    def begin(self, call: CallRequest) -> Served | Decision:
        """The answer; a decision that has to be finished first when it is not complete."""
        decision = self._decide(call, Facts(self.live))
        return self._serve(call, decision) if decision.is_complete else decision

    async def finish(self, call: CallRequest, decision: Decision) -> Served:
        """See to what a decision needs until it is complete, and answer."""
        facts = Facts(self.live)
        until = self.clock.seconds() + PATIENCE_SECONDS
        for _ in range(ROUNDS):
            changed = await self._see_to(call, decision, facts, until)
            if changed is None:
                break
            facts = changed
            decision = self._decide(call, facts)
            if decision.is_complete:
                break
        else:
            self._log.error("a call to {to} is never decided", to=call.destination)
            if decision.limits:
                # Nobody has said that there is room.
                decision = attrs.evolve(decision, plan=(Hangup(CONGESTED),), outcome="denied")
        return self._serve(call, decision)

    def _decide(self, call: CallRequest, facts: Facts) -> Decision:
        return decide(self.snapshot, call, self.now(), self.random, facts)

    async def _see_to(
        self, call: CallRequest, decision: Decision, facts: Facts, until: float
    ) -> Facts | None:
        """What is known now that was not; None when the decision stands."""
        tenant_id = decision.tenant_id
        if tenant_id is None:
            return None
        if decision.fetch is not None:
            answer = Fetched("failed", words="nothing here asks other servers")
            if self.fetcher is not None:
                seconds = until - self.clock.seconds()
                answer = await self.fetcher.fetch(tenant_id, call, decision.fetch, seconds)
            return attrs.evolve(facts, fetched={**facts.fetched, decision.fetch.key: answer})
        if decision.limits and self.limiter is not None:
            full = await self.limiter.take(tenant_id, call, decision.limits)
            if full:
                return attrs.evolve(facts, full={**facts.full, **full})
        if decision.commands:
            ran = Ran(failed="nothing here makes changes")
            if self.commander is not None:
                ran = await self.commander.run(tenant_id, call, decision)
            if ran.failed is not None:
                return attrs.evolve(facts, command_failed=ran.failed)
            if ran.done != decision.commands:
                return attrs.evolve(facts, done=ran.done)
        return None

    def _serve(self, call: CallRequest, decision: Decision) -> Served:
        tenant_id = decision.tenant_id
        view = None if tenant_id is None else self.snapshot.tenant(tenant_id)
        xml = render(decision, call.context, digits_hidden=call.digits_hidden)
        served = Served(call, decision, self.now(), xml, view)
        for observer in self.observers:
            try:
                observer(served)
            except Exception:
                # Whoever only listens must not keep a call from being answered.
                self._log.failure("an answer could not be told")
        return served

    def now(self) -> datetime:
        """The time by which calls are decided."""
        return datetime.fromtimestamp(self.clock.seconds(), UTC)
