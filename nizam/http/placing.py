"""Calls that the API places: for a person at a phone, and for a supervisor who listens to one."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Final
from uuid import UUID

import attrs
import orjson
from pydantic import Field

from nizam.errors import (
    CallRefused,
    Conflict,
    FieldError,
    IdempotencyMismatch,
    NizamError,
    NotFound,
    QuotaExceeded,
    SwitchUnavailable,
    ValidationFailed,
)
from nizam.fsxml.originate import Listening, Origination, to_listen, to_number
from nizam.http.body import validate
from nizam.http.changes import REPLAYED, change_context
from nizam.http.openapi import model_schema
from nizam.http.query import Query, read_query
from nizam.http.reply import Reply
from nizam.http.route import TENANT, Call, Parameter, Route
from nizam.http.schema_parts import ref
from nizam.model.call_control import Originate, Supervise
from nizam.model.extension import Extension
from nizam.model.identifiers import new_id
from nizam.routing import numbers
from nizam.routing.caller_id import may_show
from nizam.routing.phones import phones_at, phones_elsewhere
from nizam.routing.plan import UserLeg
from nizam.routing.rows import Entry
from nizam.routing.snapshot import TenantView
from nizam.store.store import Store
from nizam.store.unit_of_work import UnitOfWork
from nizam.switch.call_legs import choose_leg, live_legs, node_of
from nizam.switch.control import CallControl
from nizam.switch.live_facts import LiveFacts
from nizam.switch.live_index import Document
from nizam.switch.originations import Placed
from nizam.switch.placement import choose_node, takes_new_calls
from nizam.switch.preflight import Preflight

MOST_WAIT_SECONDS: Final = 25
_EXAMPLE: Final = {"from": "1001", "to": "+12025550199"}
_SHOWN: Final = re.compile(r"\A\+?[0-9A-Za-z*#]{1,32}\Z")
_NOBODY: Final = "anonymous"
_COST: Final = 5
"""Requests that one such call counts for in the rate limits."""


class Wait(Query):
    """How long the answer may wait for the outcome."""

    wait: Annotated[int, Field(ge=0, le=MOST_WAIT_SECONDS)] = 0


_WAIT: Final = Parameter(
    name="wait",
    about="For how many seconds the answer waits for the phones to be answered; it comes at once "
    "without.",
    schema={"type": "integer", "minimum": 0, "maximum": MOST_WAIT_SECONDS, "default": 0},
)
_Prepare = Callable[[UnitOfWork], Awaitable[tuple[Placed, str, int]]]


@attrs.frozen(kw_only=True)
class Placing:
    """The handlers."""

    store: Store
    control: CallControl
    preflight: Preflight
    live: LiveFacts

    async def originate(self, call: Call) -> Reply:
        """Ring an extension, then dial a number for it."""
        wanted = validate(Originate, call.json())

        async def prepare(unit: UnitOfWork) -> tuple[Placed, str, int]:
            view = self._view(call)
            caller = _extension(view, wanted.from_, "/from")
            _check_caller_id(view, wanted.caller_id)
            node = self._node(view, wanted.from_)
            call_id = new_id()
            await self.preflight.place(view, caller, wanted.to, call_id, node, wanted.caller_id)
            it = self._origination(
                view,
                caller,
                call_id,
                node,
                dialled=wanted.to,
                shown_name=_name_of(view, wanted.to),
                ring_seconds=wanted.ring_seconds,
                auto_answer=wanted.auto_answer,
                caller_id=wanted.caller_id,
            )
            placed = self._placed(it, "originate", node)
            return placed, to_number(it), wanted.ring_seconds

        return await self._place(call, prepare)

    async def supervise(self, call: Call, how: Listening) -> Reply:
        """Ring a supervisor, who then hears the call."""
        wanted = validate(Supervise, call.json())

        async def prepare(unit: UnitOfWork) -> tuple[Placed, str, int]:
            view = self._view(call)
            found = await self.control.call(call.tenant, call.id("call_id"))
            target = choose_leg(found, wanted.leg_id, "phone")
            supervisor = _extension(view, wanted.by, "/by")
            _check_is_not_in(found, supervisor)
            node = node_of(found, target)
            self.control.links.command_link(node)
            watched = _number_of(view, found, target)
            it = self._origination(
                view,
                supervisor,
                new_id(),
                node,
                dialled=watched,
                shown_name=f"{how} {watched}",
                ring_seconds=wanted.ring_seconds,
                auto_answer=False,
                caller_id=None,
            )
            unit.note(how, "call", UUID(found["call_id"]), after={"by": wanted.by})
            return self._placed(it, how, node), to_listen(it, target, how), wanted.ring_seconds

        return await self._place(call, prepare)

    async def outcome(self, call: Call) -> Reply:
        """What became of a call that was placed here within a day."""
        seconds = read_query(call, Wait).wait
        found = await self.control.originations.find(call.id("call_id"))
        if found is None or found.tenant_id != call.tenant:
            raise NotFound("no such call was placed within a day")
        return Reply((await self.control.originations.settled(found, seconds)).document())

    async def _place(self, call: Call, prepare: _Prepare) -> Reply:
        """Place a call once: what is prepared is written down with the Idempotency-Key, then the
        switch is told."""
        seconds = read_query(call, Wait).wait
        prepared: list[tuple[Placed, str, int]] = []

        async def work(unit: UnitOfWork) -> Reply:
            prepared.append(await prepare(unit))
            placed = prepared[0][0]
            document = placed.document()
            unit.note("originated", "call", placed.call_id, after=document)
            return Reply(document, 202)

        reply = await self.store.write(call.tenant, change_context(call), work)
        originations = self.control.originations
        if REPLAYED in reply.headers or not prepared:
            placed = await originations.find(_call_id(reply))
            if placed is None:
                # Written down, and nobody knows more: whoever was to place it has died.
                document = {**orjson.loads(reply.payload()), "state": "unknown"}
                return Reply(document, 202, (REPLAYED,))
            placed = await originations.settled(placed, seconds)
            return Reply(placed.document(), 202, (REPLAYED,))
        placed, line, ring_seconds = prepared[0]
        await originations.place(placed, line, ring_seconds)
        return Reply((await originations.settled(placed, seconds)).document(), 202)

    def _origination(
        self,
        view: TenantView,
        extension: Entry[Extension],
        call_id: UUID,
        node: str,
        *,
        dialled: str,
        shown_name: str,
        ring_seconds: int,
        auto_answer: bool,
        caller_id: str | None,
    ) -> Origination:
        body = extension.body
        own = body.caller_id
        leg = UserLeg(
            body.number,
            view.tenant.domain,
            codecs=view.tenant.codecs,
            auto_answer=auto_answer,
            phones=phones_at(view, extension, self.live.contacts(view.id, body.number), node),
            elsewhere=phones_elsewhere(
                view, extension, self.live, node, str(call_id), auto_answer=auto_answer
            ),
        )
        return Origination(
            call_id=call_id,
            tenant_id=view.id,
            extension_id=extension.id,
            domain=view.tenant.domain,
            leg=leg,
            caller_number=own.internal_number or body.number,
            caller_name=own.internal_name or body.display_name,
            dialled=dialled,
            shown_name=shown_name,
            ring_seconds=ring_seconds,
            caller_id=caller_id,
        )

    def _placed(self, it: Origination, kind: str, node: str) -> Placed:
        return Placed(
            call_id=it.call_id,
            tenant_id=it.tenant_id,
            node=node,
            kind=kind,
            from_number=it.leg.number,
            to_number=it.dialled,
            requested_at=self.preflight.now(),
        )

    def _node(self, view: TenantView, number: str) -> str:
        """The switch where a phone of the extension is registered, if that takes new calls and can
        be told. If a phone is at one that is draining, or nowhere, any other by its weight."""
        snapshot, links = self.preflight.snapshot, self.control.links
        unavailable: SwitchUnavailable | None = None
        draining = False
        for contact in self.live.contacts(view.id, number):
            if not takes_new_calls(snapshot, contact.node):
                draining = True
                continue
            try:
                links.command_link(contact.node)
            except SwitchUnavailable as error:
                unavailable = error
            else:
                return contact.node
        if unavailable is not None and not draining:
            raise unavailable
        return choose_node(snapshot, links, self.live.nodes())

    def _view(self, call: Call) -> TenantView:
        view = self.preflight.snapshot.tenant(call.tenant)
        if view is None:
            raise NotFound("the tenant is not known here yet")
        return view

    def routes(self) -> list[Route]:
        """The routes of this file."""
        found = [
            Route(
                method="POST",
                path=f"{TENANT}/calls",
                handler=self.originate,
                summary="Place a call.",
                about=" ".join((Originate.__doc__ or "").split()),
                operation="originate_call",
                tag="calls",
                permission="calls:originate",
                status=202,
                request=model_schema(Originate),
                request_example=_EXAMPLE,
                response=ref("PlacedCall"),
                parameters=(_WAIT,),
                errors=(CallRefused, QuotaExceeded, *_ERRORS),
                cost=_COST,
            ),
            Route(
                method="GET",
                path=f"{TENANT}/calls/{{call_id}}/outcome",
                handler=self.outcome,
                summary="What became of a call that was placed.",
                operation="call_outcome",
                tag="calls",
                permission="calls:read",
                response=ref("PlacedCall"),
                parameters=(_WAIT,),
            ),
        ]
        return found + [self._listening(it) for it in ("eavesdrop", "whisper", "barge")]

    def _listening(self, how: Any) -> Route:
        async def handler(call: Call) -> Reply:
            return await self.supervise(call, how)

        summary = {
            "eavesdrop": "Have a supervisor listen to a call, unheard.",
            "whisper": "Have a supervisor listen to a call and speak to one of its legs alone.",
            "barge": "Have a supervisor speak with everybody in a call.",
        }
        return Route(
            method="POST",
            path=f"{TENANT}/calls/{{call_id}}/{how}",
            handler=handler,
            summary=summary[how],
            about=" ".join((Supervise.__doc__ or "").split()),
            operation=f"{how}_call",
            tag="calls",
            permission=f"calls:{how}",
            status=202,
            request=model_schema(Supervise),
            request_example={"by": "1009"},
            response=ref("PlacedCall"),
            parameters=(_WAIT,),
            errors=_ERRORS,
            cost=_COST,
        )


_ERRORS: Final[tuple[type[NizamError], ...]] = (Conflict, IdempotencyMismatch, SwitchUnavailable)


def _extension(view: TenantView, number: str, path: str) -> Entry[Extension]:
    entry = view.by_number(number)
    if entry is None or entry.resource != "extension":
        raise _wrong(path, f"no extension has the number {number}")
    if not entry.body.enabled:
        raise _wrong(path, f"extension {number} is disabled")
    return entry


def _check_caller_id(view: TenantView, number: str | None) -> None:
    if number is not None and not may_show(view, numbers.to_e164(number, view.tenant.country)):
        raise _wrong("/caller_id", f"{number} is no number that the tenant may show")


def _check_is_not_in(found: Document, supervisor: Entry[Extension]) -> None:
    if str(supervisor.id) in {it["extension_id"] for it in live_legs(found)}:
        raise Conflict("the supervisor's extension is in the call")


def _number_of(view: TenantView, found: Document, leg: UUID) -> str:
    """The number of whoever is at the leg, as far as it can be shown as one."""
    known: Mapping[str, Any] = next(it for it in found["legs"] if it["leg_id"] == str(leg))
    number = str(found.get("from") if known.get("direction") == "inbound" else known.get("number"))
    if known["extension_id"] is not None:
        entry = view.get(Extension, UUID(known["extension_id"]))
        number = number if entry is None else entry.body.number
    return number if _SHOWN.match(number) else _NOBODY


def _name_of(view: TenantView, number: str) -> str:
    """What the phone that rings first shows beside the number."""
    entry = view.by_number(number)
    return str(getattr(entry.body, "display_name", "") or "") if entry is not None else ""


def _call_id(reply: Reply) -> UUID:
    return UUID(orjson.loads(reply.payload())["call_id"])


def _wrong(path: str, message: str) -> ValidationFailed:
    return ValidationFailed(message, errors=[FieldError(path, "invalid_value", message)])
