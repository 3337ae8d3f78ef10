"""A plan in one line, for people: `ring 1002 for 20s; else answer; voicemail 1002`.

What every plan begins with for the switch's own books (ids, contexts) is left out, and so are
pauses. Gateways, menus, lots and rooms are called by the tenant's names and numbers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

from nizam.model.base import Body
from nizam.model.call_flow import CallFlow
from nizam.model.conference_room import ConferenceRoom
from nizam.model.extension import Extension
from nizam.model.gateway import Gateway
from nizam.model.ivr import Ivr
from nizam.model.outbound_route import DEFAULT_FAILOVER_CAUSES
from nizam.model.parking_lot import ParkingLot
from nizam.routing.flow_state import FLOW_NEXT, FLOW_TO, HOPS, VARIABLE
from nizam.routing.outbound import NEVER_FAILOVER
from nizam.routing.plan import (
    Answer,
    Bridge,
    CollectDigits,
    Conference,
    ContinueOn,
    Echo,
    Export,
    GatewayLeg,
    Hangup,
    HoldMusic,
    Intercept,
    Leg,
    OfferRecording,
    Page,
    Park,
    ParkInSlot,
    Plan,
    Playback,
    Record,
    RecordCall,
    Respond,
    Ringback,
    RingReady,
    RunIvr,
    SayDigits,
    Set,
    Sleep,
    Speak,
    Step,
    Transfer,
    UserLeg,
    Voicemail,
    VoicemailCheck,
)
from nizam.routing.plan_words import describe
from nizam.routing.request import PART_OF, ZONE_DID
from nizam.routing.snapshot import TenantView
from nizam.routing.tokens import (
    AfterRinging,
    FlowStep,
    IvrChoice,
    ParkedTooLong,
    menu_id,
    read_token,
    room_id,
)
from nizam.routing.tones import NAMES

_UNSAID = frozenset(
    {
        "nizam_tenant_id",
        "nizam_call_id",
        PART_OF,
        "nizam_route",
        "nizam_revision",
        "nizam_did",
        "nizam_destination",
        HOPS,
        ZONE_DID,
        FLOW_NEXT,
        FLOW_TO,
        "max_session_transfers",
        "transfer_on_fail",
        "hangup_after_bridge",
        "sip_copy_custom_headers",
        "domain_name",
        "user_context",
        "force_transfer_context",
        "valet_parking_orbit_exten",
        "valet_parking_orbit_context",
        "valet_parking_orbit_dialplan",
    }
)
_SHOWN = {
    "effective_caller_id_number": "show number",
    "effective_caller_id_name": "show name",
    "valet_parking_timeout": "wait at most",
}
_CARRIER_FAILS = tuple(it for it in DEFAULT_FAILOVER_CAUSES if it not in NEVER_FAILOVER)


def in_words(plan: Plan, view: TenantView | None) -> str:
    """The plan in one line; `view` is the tenant's, None for a plan of no tenant.

    `; else` stands before what follows a call that was not answered, `; if the carrier fails` and
    `; on CAUSE` before what follows for some causes only. An empty plan is `not known`.
    """
    parts: list[str] = []
    joint = ""
    for step in plan:
        said = _said(step, view)
        if said is None:
            continue
        parts.append(f"{joint}{said}")
        joint = _joint(step.continue_on) if isinstance(step, Bridge) else "; "
    return "".join(parts) or "not known"


def _joint(continue_on: ContinueOn) -> str:
    if continue_on == "always":
        return "; else "
    if continue_on == "never":
        return "; "
    if continue_on == _CARRIER_FAILS:
        return "; if the carrier fails "
    return f"; on {' or '.join(continue_on)} "


def _said(step: Step, view: TenantView | None) -> str | None:
    say = _WORDS.get(type(step))
    if say is not None:
        return say(step, view)
    # A step without words of its own is told by its fields.
    (fields,) = describe((step,))
    name = str(fields.pop("step")).replace("_", " ")
    return " ".join([name, *(f"{key}={it}" for key, it in fields.items())])


def _variable(step: Set | Export, view: TenantView | None) -> str | None:
    if step.name in _UNSAID:
        return None
    if step.name.startswith(VARIABLE):
        return f"set {step.name.removeprefix(VARIABLE)} to {step.value}"
    if step.name in _SHOWN:
        seconds = "s" if step.name == "valet_parking_timeout" else ""
        return f"{_SHOWN[step.name]} {step.value}{seconds}"
    return f"{type(step).__name__.lower()} {step.name}={step.value}"


def _bridge(step: Bridge, view: TenantView | None) -> str:
    verb = "ring" if any(isinstance(it, UserLeg) for it in step.legs) else "dial"
    between = " + " if step.order == "together" else ", then "
    legs = between.join(_leg(it, view) for it in step.legs)
    return f"{verb} {legs}{'' if step.ring_seconds is None else f' for {step.ring_seconds}s'}"


def _leg(leg: Leg, view: TenantView | None) -> str:
    more = []
    if leg.delay_seconds:
        more.append(f"after {leg.delay_seconds}s")
    if leg.timeout_seconds is not None:
        more.append(f"{leg.timeout_seconds}s")
    if leg.confirm:
        more.append("confirm")
    if isinstance(leg, UserLeg):
        if leg.phones is not None:
            count = len(leg.phones.registered)
            more.append("1 phone" if count == 1 else f"{count} phones")
        if leg.elsewhere is not None:
            where = " + ".join(leg.elsewhere.addresses)
            more.append(f"{'also' if leg.elsewhere.here else 'only'} at {where}")
        if leg.auto_answer:
            more.append("answers itself")
        if leg.record is not None:
            more.append("recorded")
    if isinstance(leg, GatewayLeg):
        name = _named(view, Gateway, UUID(leg.gateway_id), "name")
        if leg.progress_timeout_seconds is not None:
            more.append(f"silent {leg.progress_timeout_seconds}s")
        more.extend(_told(leg))
        words = f"{leg.number} by {name}"
    else:
        own = view is not None and leg.domain == view.tenant.domain
        words = leg.number if own else f"{leg.number}@{leg.domain}"
    return f"{words} ({', '.join(more)})" if more else words


def _collect(step: CollectDigits, view: TenantView | None) -> str:
    most, least = step.max_digits, step.min_digits
    count = str(most) if least == most else f"{least}-{most}"
    sound = "" if step.sound is None else f" at {step.sound}"
    return f"take {count} digits as {step.variable.removeprefix(VARIABLE)}{sound}"


def _told(leg: GatewayLeg) -> Iterator[str]:
    """What the carrier is told of the caller and offered."""
    caller = leg.caller
    if caller is not None:
        yield "shows nobody" if caller.number is None else f"shows {caller.number}"
        if caller.name:
            yield f"as {caller.name}"
        if caller.header != "from":
            yield f"by {caller.header.upper()}"
        if caller.privacy != "none":
            yield "withheld" if caller.privacy == "anonymous" else "withheld by header"
        if caller.diversion is not None:
            yield f"diverted by {caller.diversion.number} {caller.diversion.reason}"
    if leg.codecs is not None:
        yield f"codecs {leg.codecs}"
    if leg.location is not None:
        yield f"{leg.location.header} {leg.location.text}"


def _voicemail_check(step: VoicemailCheck, view: TenantView | None) -> str:
    which = "any voicemail" if step.mailbox is None else f"voicemail {step.mailbox}"
    return f"listen to {which}{' without PIN' if step.authorized else ''}"


def token_words(dialled: str, view: TenantView | None) -> str:
    """A re-entry token in words, such as `after 1002`; any other number as it is."""
    token = read_token(dialled)
    if isinstance(token, IvrChoice):
        menu = _named(view, Ivr, token.ivr_id, "number")
        return f"menu {menu} {token.kind} {token.digits}".strip()
    if isinstance(token, AfterRinging):
        return f"after {_named(view, Extension, token.extension_id, 'number')}"
    if isinstance(token, ParkedTooLong):
        return f"parked {_named(view, ParkingLot, token.lot_id, 'number')}"
    if isinstance(token, FlowStep):
        flow = None if view is None else view.get(CallFlow, token.flow_id)
        name = str(token.flow_id) if flow is None else flow.body.number or flow.body.name
        kind = "waiting at" if token.kind == "wait" else token.kind
        return f"{kind} {token.node} of flow {name}"
    return dialled


def _named(view: TenantView | None, kind: type[Body], identifier: UUID | None, field: str) -> str:
    entry = None if view is None or identifier is None else view.get(kind, identifier)
    return str(identifier) if entry is None else str(getattr(entry.body, field))


def _lot(name: str, view: TenantView | None) -> str:
    found = re.fullmatch(r"lot-([0-9a-f]{32})(?:@.*)?", name)
    return name if found is None else _named(view, ParkingLot, UUID(found[1]), "number")


_WORDS: dict[type[Any], Callable[[Any, TenantView | None], str | None]] = {
    Set: _variable,
    Export: _variable,
    Answer: lambda it, view: "answer",
    RingReady: lambda it, view: "ringing",
    Ringback: lambda it, view: f"ringback {it.sound}",
    HoldMusic: lambda it, view: f"hold music of {len(it.files)}",
    RecordCall: lambda it, view: "record",
    OfferRecording: lambda it, view: f"let {it.who} record by *{it.key}",
    Sleep: lambda it, view: None,
    Bridge: _bridge,
    Voicemail: lambda it, view: f"voicemail {it.mailbox}",
    VoicemailCheck: _voicemail_check,
    RunIvr: lambda it, view: f"menu {_named(view, Ivr, menu_id(it.menu), 'number')}",
    Conference: lambda it, view: (
        f"conference {_named(view, ConferenceRoom, room_id(it.room), 'number')}"
    ),
    Page: lambda it, view: f"page {' + '.join(_leg(leg, view) for leg in it.legs)}",
    Park: lambda it, view: f"park in {_lot(it.lot, view)} ({it.first}-{it.last})",
    ParkInSlot: lambda it, view: f"slot {it.slot} of {_lot(it.lot, view)}",
    Intercept: lambda it, view: f"take over {it.leg_id}",
    Transfer: lambda it, view: f"ask again {token_words(it.destination, view)}",
    Playback: lambda it, view: (
        f"tone {NAMES[it.sound]}" if it.sound in NAMES else f"play {it.sound}"
    ),
    CollectDigits: _collect,
    Speak: lambda it, view: f"speak {it.text}",
    SayDigits: lambda it, view: f"say {it.digits}",
    Record: lambda it, view: f"record for {it.max_seconds}s",
    Echo: lambda it, view: "echo",
    Respond: lambda it, view: f"refuse {it.status} {it.phrase}",
    Hangup: lambda it, view: f"hang up {it.cause}",
}
