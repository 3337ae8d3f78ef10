"""Re-entry tokens: what a running call is transferred to where there is no number to dial.

A menu entry can lead to a destination without a number, and what follows an unanswered phone can
depend on why it was not answered. FreeSWITCH then asks again for a token. It names a place in the
tenant's own configuration, so that somebody who dials one by hand reaches what the menu or the
extension would have led to and gains no right by it. One of a call flow opens nothing at all to
him: it counts only on a channel that the flow itself has sent to it.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final, Literal, cast, get_args
from uuid import UUID

import attrs

AtPhones = Literal["ring", "speak", "take"]
"""What a switch may have another one do with the phones of an extension."""

RING_HERE: Final = tuple(f"{it}-" for it in get_args(AtPhones))
"""How the tokens for that begin."""

_IVR = re.compile(r"\Aivr-([0-9a-f]{32})-(?:e([0-9sh*#]{1,15})|(timeout|invalid)|d([0-9]{2,15}))\Z")
_AFTER = re.compile(r"\Aafter-([0-9a-f]{32})-([0-9])\Z")
_RING = re.compile(
    rf"\A({'|'.join(get_args(AtPhones))})-([0-9a-f]{{32}})-([0-9a-f]{{32}})(?:-([0-9a-f]{{16}}))?\Z"
)
_PARKED = re.compile(r"\Aparked-([0-9a-f]{32})\Z")
_FLOW = re.compile(
    r"\Aflow-([0-9a-f]{32})-([0-9]{1,9})-(?:(at|after)|(?:wait([0-9]{1,4})))-([A-Za-z0-9_-]{1,40})\Z"
)
_TO_LETTERS = str.maketrans("*#", "sh")
_FROM_LETTERS = str.maketrans("sh", "*#")


@attrs.frozen
class IvrChoice:
    """What a caller did in a menu: pressed an entry, waited, gave up, or dialled an extension."""

    ivr_id: UUID
    kind: Literal["entry", "timeout", "invalid", "direct"]
    digits: str = ""


@attrs.frozen
class AfterRinging:
    """The phone of an extension was rung in vain; `hops` forwards were followed until then."""

    extension_id: UUID
    hops: int


@attrs.frozen
class ParkedTooLong:
    """Nobody has fetched a call from the lot in time."""

    lot_id: UUID


@attrs.frozen
class FlowStep:
    """A node of a version of a call flow: the call comes to it (`at`), has been through it
    (`after`), or waits there for an answer that it asked for in its re-entry `hop` (`wait`)."""

    flow_id: UUID
    version: int
    node: str
    kind: Literal["at", "after", "wait"] = "at"
    hop: int = 0


@attrs.frozen
class RingHere:
    """The phones of an extension that are registered at the switch that is asked: `ring` them, or
    have them answer by themselves (`speak`), or `take` the call that rings at one. `phone` is the
    mark (`phone_mark`) of the only one that is meant."""

    tenant_id: UUID
    extension_id: UUID
    what: AtPhones = "ring"
    phone: str = ""


Token = RingHere | IvrChoice | AfterRinging | ParkedTooLong | FlowStep


def write_token(token: Token) -> str:
    """The token as a destination number: letters, digits and hyphens."""
    if isinstance(token, RingHere):
        phone = f"-{token.phone}" if token.phone else ""
        return f"{token.what}-{token.tenant_id.hex}-{token.extension_id.hex}{phone}"
    if isinstance(token, ParkedTooLong):
        return f"parked-{token.lot_id.hex}"
    if isinstance(token, FlowStep):
        kind = f"wait{token.hop}" if token.kind == "wait" else token.kind
        return f"flow-{token.flow_id.hex}-{token.version}-{kind}-{token.node}"
    if isinstance(token, AfterRinging):
        return f"after-{token.extension_id.hex}-{token.hops}"
    rest = {
        "entry": f"e{token.digits.translate(_TO_LETTERS)}",
        "direct": f"d{token.digits}",
    }.get(token.kind, token.kind)
    return f"{menu_name(token.ivr_id)}-{rest}"


def phone_mark(uri: str) -> str:
    """What stands for a phone in a token: 16 hexadecimal digits that follow from its contact."""
    return hashlib.blake2b(uri.encode(), digest_size=8).hexdigest()


def menu_name(ivr_id: UUID) -> str:
    """The name under which FreeSWITCH knows the menu; unique over all tenants."""
    return f"ivr-{ivr_id.hex}"


def lot_name(lot_id: UUID, domain: str) -> str:
    """The name of a parking lot on the switch; unique over all tenants.

    mod_valet_parking tells phones that watch `park+701@DOMAIN` of the slots of lots whose names
    end with that domain; of those without one it tells every tenant.
    """
    return f"lot-{lot_id.hex}@{domain}"


def lot_id(name: str) -> tuple[UUID, str] | None:
    """The parking lot that a name on the switch stands for, and its tenant's domain, or None."""
    match = re.fullmatch(r"lot-([0-9a-f]{32})@(.+)", name)
    return None if match is None else (UUID(match[1]), match[2])


def room_name(room_id: UUID) -> str:
    """The name of a conference and of its profile on the switch; unique over all tenants."""
    return f"conf-{room_id.hex}"


def page_name(tenant_id: UUID) -> str:
    """The name of the profile of a tenant's pages on the switch."""
    return f"page-{tenant_id.hex}"


def page_tenant(name: str) -> UUID | None:
    """The tenant whose pages have this profile, or None."""
    match = re.fullmatch(r"page-([0-9a-f]{32})", name)
    return None if match is None else UUID(match[1])


def room_id(name: str) -> UUID | None:
    """The conference room that a profile's name stands for, or None."""
    match = re.fullmatch(r"conf-([0-9a-f]{32})", name)
    return None if match is None else UUID(match[1])


def menu_id(name: str) -> UUID | None:
    """The IVR that a menu name stands for, or None."""
    match = re.fullmatch(r"ivr-([0-9a-f]{32})", name)
    return None if match is None else UUID(match[1])


def read_token(destination: str) -> Token | None:
    """The token that a destination number is, or None."""
    if (match := _IVR.match(destination)) is not None:
        ivr_id = UUID(match[1])
        if match[2]:
            return IvrChoice(ivr_id, "entry", match[2].translate(_FROM_LETTERS))
        if match[3]:
            return IvrChoice(ivr_id, "timeout" if match[3] == "timeout" else "invalid")
        return IvrChoice(ivr_id, "direct", match[4])
    if (match := _AFTER.match(destination)) is not None:
        return AfterRinging(UUID(match[1]), int(match[2]))
    if (match := _RING.match(destination)) is not None:
        what = cast("AtPhones", match[1])
        return RingHere(UUID(match[2]), UUID(match[3]), what, match[4] or "")
    if (match := _PARKED.match(destination)) is not None:
        return ParkedTooLong(UUID(match[1]))
    if (match := _FLOW.match(destination)) is not None:
        flow_id, version, node = UUID(match[1]), int(match[2]), match[5]
        if match[4] is not None:
            return FlowStep(flow_id, version, node, "wait", int(match[4]))
        return FlowStep(flow_id, version, node, "at" if match[3] == "at" else "after")
    return None
