"""The argument of `originate`: rings the phones of an extension, then does one thing with them.

Sources: originate_function in mod_commands.c, switch_ivr_originate.c. The leg that answers has
the number that it was rung for as its caller id, and its own number as its callee id; FreeSWITCH
turns the two round when the leg goes into the dialplan (switch_channel_flip_cid), so that whoever
is rung next sees who calls.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal
from uuid import UUID

import attrs

from nizam.fsxml import values
from nizam.fsxml.legs import leg
from nizam.routing.plan import UserLeg

DIALLED: Final = "nizam_dialled"
"""The channel variable that says for whom a phone was rung, of a call that the API has placed."""
CALLER_NUMBER: Final = "nizam_caller_number"
CALLER_NAME: Final = "nizam_caller_name"
CALLER_ID: Final = "nizam_caller_id"
"""The number that is to be shown outside, in E.164."""

_RINGBACK: Final = r"%(2000\,4000\,440\,480)"
"""What a phone that has answered hears while the other is rung."""

Listening = Literal["eavesdrop", "whisper", "barge"]

_MIXED: Final[dict[Listening, tuple[str, ...]]] = {
    "eavesdrop": (),
    # What the supervisor says goes to the leg (ED_MUX_WRITE in switch_ivr_async.c).
    "whisper": ("eavesdrop_whisper_bleg=true",),
    "barge": ("eavesdrop_whisper_aleg=true", "eavesdrop_whisper_bleg=true"),
}


@attrs.frozen(kw_only=True)
class Origination:
    """A call that the API places: `leg` is rung, on all of its phones.

    `caller_number` and `caller_name` are those of the extension, shown to whoever is rung next;
    `dialled` is what the call is for, shown on the extension's own phones as `shown_name` and
    number. `first_leg` is the id of the first leg; of the others FreeSWITCH chooses them.
    """

    call_id: UUID
    tenant_id: UUID
    extension_id: UUID
    domain: str
    leg: UserLeg
    caller_number: str
    caller_name: str
    dialled: str
    shown_name: str
    ring_seconds: int
    caller_id: str | None = None


def to_number(it: Origination) -> str:
    """Ring, then dial the number through the tenant's dialplan. Raises values.UnsafeValue."""
    destination, context = values.word(it.dialled), values.domain(it.domain)
    return f"originate {_dial_string(it)} {destination} XML {context}"


def to_listen(it: Origination, target: UUID, how: Listening) -> str:
    """Ring, then listen to a leg, speak to whoever is at it, or to both. Raises
    values.UnsafeValue."""
    # Keys would turn listening into speaking.
    mixed = ("eavesdrop_enable_dtmf=false", *_MIXED[how])
    return f"originate {_dial_string(it, *mixed)} &eavesdrop({target})"


def _dial_string(it: Origination, *more: str) -> str:
    legs = leg(it.leg)
    own = f"origination_uuid={it.call_id}"
    # The brackets of the first leg alone: two cannot have one id.
    legs = f"[{own},{legs[1:]}" if legs.startswith("[") else f"[{own}]{legs}"
    # One argument, whatever blanks the names in it have: no value has a quote.
    return f"'{{{','.join([*_variables(it), *more])}}}{legs}'"


def _variables(it: Origination) -> Iterator[str]:
    yield "ignore_early_media=true"
    yield f"originate_timeout={it.ring_seconds:d}"
    yield f"nizam_call_id={it.call_id}"
    yield f"nizam_tenant_id={it.tenant_id}"
    yield f"nizam_extension_id={it.extension_id}"
    yield f"domain_name={values.domain(it.domain)}"
    yield f"{DIALLED}={values.word(it.dialled)}"
    number = values.word(it.caller_number)
    name = values.text(it.caller_name) or number
    yield f"{CALLER_NUMBER}={number}"
    yield f"{CALLER_NAME}={name}"
    yield f"origination_callee_id_number={number}"
    yield f"origination_callee_id_name={name}"
    yield f"origination_caller_id_number={values.word(it.dialled)}"
    yield f"origination_caller_id_name={values.text(it.shown_name) or values.word(it.dialled)}"
    yield f"transfer_ringback={_RINGBACK}"
    if it.caller_id is not None:
        yield f"{CALLER_ID}={values.word(it.caller_id)}"
