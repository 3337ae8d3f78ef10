"""Calls that the API has placed, and what became of them.

A call is known by an id of ours before the switch has heard of it, so that its outcome can be
asked about when the answer is lost on the way: the switch is asked whether it has such a leg. The
record of each is in the memory of the instance that placed it and in Redis for the others.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal
from uuid import UUID

import attrs
import orjson
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from nizam.errors import (
    ConnectionGone,
    KeyValueUnavailable,
    NizamError,
    SwitchError,
    SwitchUnavailable,
)
from nizam.esl import call_commands
from nizam.kv.interface import IKeyValue
from nizam.model.events import Event, timestamp
from nizam.switch.call_legs import live_legs
from nizam.switch.command_links import Links
from nizam.switch.live import LiveState
from nizam.switch.live_index import Document

KEPT_SECONDS: Final = 86_400.0
KEPT_HERE: Final = 10_000
ANSWER_SECONDS: Final = 15.0
"""How much longer than it rings the switch may take to say how it went."""
LOOK_SECONDS: Final = 0.5
"""Between looks at what the switch has, when its answer was lost."""
LOST_SECONDS: Final = 180.0
"""How long it is looked for."""
ORPHANED_SECONDS: Final = 150.0
"""After how long whoever has placed a call must have been told how it went: it is dead, or has
not got an answer."""
FAILED: Final = "call.originate_failed"
ANSWERED: Final = ("answered", "held")
"""The states of calls, and of legs, that were answered."""

State = Literal["dialling", "answered", "failed", "unknown"]


@attrs.frozen(kw_only=True)
class Placed:
    """A call that was asked for. `state` is dialling while the phones ring, answered once one has
    been, failed with its `cause`, and unknown while the switch cannot be asked."""

    call_id: UUID
    tenant_id: UUID
    node: str
    kind: str
    from_number: str
    to_number: str
    requested_at: datetime
    state: State = "dialling"
    cause: str | None = None
    leg_id: UUID | None = None

    def document(self) -> dict[str, Any]:
        """As the API shows it."""
        return {
            "call_id": str(self.call_id),
            "kind": self.kind,
            "state": self.state,
            "cause": self.cause,
            "from": self.from_number,
            "to": self.to_number,
            "node": self.node,
            "leg_id": None if self.leg_id is None else str(self.leg_id),
            "requested_at": timestamp(self.requested_at),
        }

    def as_call(self) -> dict[str, Any] | None:
        """The call as the live state will show it; None when there is none."""
        if self.state == "failed":
            return None
        leg = {"leg_id": str(self.leg_id or self.call_id), "extension_id": None, "state": "ringing"}
        return {
            "call_id": str(self.call_id),
            "tenant_id": str(self.tenant_id),
            "node": self.node,
            "legs": [leg],
            "recording": None,
        }

    def stored(self) -> bytes:
        """As it stands in Redis."""
        return orjson.dumps(attrs.asdict(self))

    @classmethod
    def restored(cls, stored: bytes) -> Placed:
        """From what stands in Redis."""
        it: dict[str, Any] = orjson.loads(stored)
        ids = {name: UUID(it[name]) for name in ("call_id", "tenant_id")}
        leg = None if it["leg_id"] is None else UUID(it["leg_id"])
        when = datetime.fromisoformat(it["requested_at"])
        return cls(**{**it, **ids, "leg_id": leg, "requested_at": when})


class Originations:
    """Places calls and remembers them. `tell` stores events; `now` is aware."""

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        key_value: IKeyValue,
        links: Links,
        live: LiveState,
        tell: Callable[[Sequence[Event]], None] = lambda _events: None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._clock = clock
        self._key_value = key_value
        self._links = links
        self._live = live
        self._tell = tell
        self._now = now
        self._here: OrderedDict[UUID, Placed] = OrderedDict()
        self._waiting: dict[UUID, list[Deferred[None]]] = {}

    async def place(self, it: Placed, line: str, ring_seconds: int) -> None:
        """Send the command that places the call; returns once it is sent or cannot be."""
        await self._keep(it)
        Deferred.fromCoroutine(self._place(it, line, ring_seconds)).addErrback(
            lambda failure: self._log.failure("what became of a call is not known", failure)
        )

    async def find(self, call_id: UUID) -> Placed | None:
        """What is known of a call that some instance has placed within a day."""
        found = self._here.get(call_id)
        if found is not None:
            # What could not be found out in time is looked at again when somebody asks.
            return await self._reviewed(found) if found.state == "unknown" else found
        try:
            stored = await self._key_value.get(_key(call_id))
        except KeyValueUnavailable:
            return None
        return None if stored is None else await self._reviewed(Placed.restored(stored))

    async def _reviewed(self, it: Placed) -> Placed:
        """The record of another instance, which may have died before it was told the outcome."""
        age = (self._now() - it.requested_at).total_seconds()
        if it.state in ("answered", "failed") or age < ORPHANED_SECONDS:
            return it
        call = self._live.call(it.call_id)
        if call is not None and call["state"] in ANSWERED:
            return await self._settle(it, state="answered", leg_id=_answered_leg(call))
        if call is None and await self._is_there(it) is False:
            return await self._settle(it, state="failed", cause="ENDED_UNHEARD")
        return attrs.evolve(it, state="unknown")

    async def settled(self, it: Placed, seconds: float) -> Placed:
        """What is known once the phones were answered or not, or after so many seconds."""
        until = self._clock.seconds() + seconds
        found = it
        while found.state in ("dialling", "unknown") and self._clock.seconds() < until:
            left = until - self._clock.seconds()
            if it.call_id in self._here:
                await self._changed(it.call_id, left)
            else:
                await deferLater(self._clock, min(LOOK_SECONDS, left))
            found = await self.find(it.call_id) or found
        return found

    async def _place(self, it: Placed, line: str, ring_seconds: int) -> None:
        try:
            link = self._links.command_link(it.node)
            said = await link.bgapi(line, ring_seconds + ANSWER_SECONDS)
        except SwitchError as error:
            await self._settle(it, state="failed", cause=error.detail.partition("\n")[0].strip())
        except ConnectionGone as error:
            if error.maybe_executed:
                await self._find_out(it)
            else:
                await self._settle(it, state="failed", cause="SWITCH_UNAVAILABLE")
        except SwitchUnavailable:
            await self._settle(it, state="failed", cause="SWITCH_UNAVAILABLE")
        except NizamError:
            await self._find_out(it)
        else:
            await self._settle(it, state="answered", leg_id=_leg_in(said))

    async def _find_out(self, it: Placed) -> None:
        """The answer was lost: what the switch has, and what it tells of the call, counts."""
        it = await self._settle(it, state="unknown")
        until = self._clock.seconds() + LOST_SECONDS
        seen = False
        while self._clock.seconds() < until:
            call = self._live.call(it.call_id)
            seen = seen or call is not None
            if call is not None and call["state"] in ANSWERED:
                await self._settle(it, state="answered", leg_id=_answered_leg(call))
                return
            there = await self._is_there(it)
            if there is False and call is None:
                # Either the command never arrived, or the call is over: its events tell how.
                cause = "ENDED_UNHEARD" if seen else "NOT_PLACED"
                await self._settle(it, state="failed", cause=cause)
                return
            await deferLater(self._clock, LOOK_SECONDS)

    async def _is_there(self, it: Placed) -> bool | None:
        """Whether the switch has the leg; None while it cannot be asked."""
        try:
            link = self._links.command_link(it.node)
            said = await link.bgapi(call_commands.exists(it.call_id), LOOK_SECONDS * 4)
        except NizamError:
            return None
        return said.strip() == "true"

    async def _settle(self, it: Placed, **changes: Any) -> Placed:
        known = self._here.get(it.call_id)
        if known is not None and known.state in ("answered", "failed"):
            return known  # somebody else has found it out meanwhile
        it = attrs.evolve(it, **changes)
        await self._keep(it)
        if it.state != "unknown":
            for waiter in self._waiting.pop(it.call_id, []):
                if not waiter.called:
                    waiter.callback(None)
        if it.state == "failed":
            self._tell([_failed(it, self._now())])
        return it

    async def _keep(self, it: Placed) -> None:
        self._here[it.call_id] = it
        self._here.move_to_end(it.call_id)
        if len(self._here) > KEPT_HERE:
            self._here.popitem(last=False)
        try:
            await self._key_value.set(_key(it.call_id), it.stored(), seconds=KEPT_SECONDS)
        except KeyValueUnavailable as error:
            self._log.warn("a placed call is known here alone: {error}", error=error.detail)

    async def _changed(self, call_id: UUID, seconds: float) -> None:
        waiter: Deferred[None] = Deferred()
        self._waiting.setdefault(call_id, []).append(waiter)

        def over() -> None:
            if not waiter.called:
                waiter.callback(None)

        timer = self._clock.callLater(seconds, over)
        try:
            await waiter
        finally:
            if timer.active():
                timer.cancel()
            waiting = self._waiting.get(call_id, [])
            if waiter in waiting:
                waiting.remove(waiter)


def _key(call_id: UUID) -> str:
    return f"nizam:placed:{call_id}"


def _leg_in(said: str) -> UUID | None:
    """The leg that was answered, from `+OK UUID`."""
    try:
        return UUID(said.removeprefix("+OK").strip())
    except ValueError:
        return None


def _answered_leg(call: Document) -> UUID:
    """The phone that was answered, of those that were rung: the leg that has the id of the call,
    if nothing else says which."""
    legs = [it["leg_id"] for it in live_legs(call) if it["state"] in ANSWERED]
    return UUID(next(iter(legs), call["call_id"]))


def _failed(it: Placed, now: datetime) -> Event:
    data: Mapping[str, Any] = {
        "kind": it.kind,
        "from": it.from_number,
        "to": it.to_number,
        "cause": it.cause,
    }
    return Event(
        type=FAILED,
        occurred_at=now,
        core_id=str(it.call_id),
        sequence=0,
        node=it.node,
        tenant_id=it.tenant_id,
        call_id=it.call_id,
        data=dict(data),
    )
