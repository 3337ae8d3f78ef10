"""The call detail record of one leg, read from either of its two sources.

FreeSWITCH tells about an ended leg twice: CHANNEL_HANGUP_COMPLETE on the event socket, and
mod_json_cdr by HTTP. Either may come first and either may be lost; both carry the same channel
variables and the same times, to the microsecond.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final
from urllib.parse import unquote
from uuid import UUID

import attrs

from nizam.errors import ValidationFailed
from nizam.esl.event import SwitchEvent
from nizam.events.fields import (
    channel_id,
    identifier,
    integer,
    milliseconds,
    moment,
    number,
    number_of,
)
from nizam.fsxml.originate import CALLER_NAME, CALLER_NUMBER, DIALLED

LINKS: Final = (
    "originator",
    "originating_leg_uuid",
    "cc_member_session_uuid",
    "other_loopback_leg_uuid",
)
"""The channel variables that name the leg for which another one was made."""

_ARRAY: Final = "ARRAY::"
_MAX_TEXT: Final = 1024


@attrs.frozen(kw_only=True)
class Leg:
    """One leg of a call that has ended, as far as it is known.

    `from_events`, `from_cdr` and `reconciled` say where it was learnt from; several may hold.
    `call_id` is None when nothing says which call it is of. `number` is what was dialled to reach
    the leg, `caller_number` who called it. `did` is the DID that the call came to, `destination`
    the public number that it was sent to outside, in E.164.
    """

    leg_id: UUID
    started_at: datetime
    call_id: UUID | None = None
    tenant_id: UUID | None = None
    extension_id: UUID | None = None
    node: str | None = None
    core_id: str | None = None
    from_events: bool = False
    from_cdr: bool = False
    reconciled: bool = False
    direction: str | None = None
    context: str | None = None
    caller_number: str | None = None
    caller_name: str | None = None
    number: str | None = None
    other_leg_id: UUID | None = None
    originator_id: UUID | None = None
    ringing_at: datetime | None = None
    answered_at: datetime | None = None
    bridged_at: datetime | None = None
    ended_at: datetime | None = None
    hangup_cause: str | None = None
    hangup_disposition: str | None = None
    originate_disposition: str | None = None
    last_bridge_hangup_cause: str | None = None
    endpoint_disposition: str | None = None
    transfer_to: str | None = None
    application: str | None = None
    gateway: str | None = None
    codec: str | None = None
    mos: float | None = None
    packet_loss_percent: float | None = None
    jitter_ms: float | None = None
    route: str | None = None
    revision: int | None = None
    did: str | None = None
    destination: str | None = None

    @property
    def duration_ms(self) -> int:
        """From its creation to its end."""
        return milliseconds(self.started_at, self.ended_at)


_SOURCES: Final = ("from_events", "from_cdr", "reconciled")
_FIELDS: Final = tuple(field.name for field in attrs.fields(Leg) if field.name not in _SOURCES)


def merge(first: Leg, second: Leg) -> Leg:
    """One leg out of two records of it, field by field; the order of the two does not matter.

    What FreeSWITCH said counts before what reconciliation had to assume.
    """
    strong, weak = first, second
    if _rank(second) > _rank(first):
        strong, weak = second, first
    changes: dict[str, Any] = {
        name: getattr(weak, name) for name in _FIELDS if getattr(strong, name) is None
    }
    changes |= {name: getattr(strong, name) or getattr(weak, name) for name in _SOURCES}
    return attrs.evolve(strong, **changes)


def _rank(leg: Leg) -> int:
    return 2 * leg.from_cdr + leg.from_events


def leg_from_event(event: SwitchEvent, node: str | None) -> Leg | None:
    """The leg that a CHANNEL_HANGUP_COMPLETE is about; None when it names no channel."""
    get = event.get
    unique_id = get("Unique-ID")
    started = moment(get("Caller-Channel-Created-Time"))
    started = started or moment(get("Event-Date-Timestamp"))
    if not unique_id or started is None:
        return None
    direction = get("Call-Direction")
    caller_number, caller_name = _caller(
        direction,
        get("Caller-ANI"),
        get("Caller-Caller-ID-Number"),
        get("Caller-Caller-ID-Name"),
        get("variable_sip_from_display"),
    )
    leg = Leg(
        leg_id=channel_id(unique_id),
        started_at=started,
        from_events=True,
        node=node,
        core_id=get("Core-UUID"),
        direction=direction,
        context=get("Caller-Context"),
        caller_number=_text(caller_number),
        caller_name=_text(caller_name),
        number=_text(number_of(get("Caller-Destination-Number"), get("Caller-Callee-ID-Number"))),
        other_leg_id=identifier(get("Other-Leg-Unique-ID")),
        originator_id=identifier(get("Other-Leg-Unique-ID"))
        if get("Other-Type") == "originator"
        else None,
        ringing_at=moment(get("Caller-Channel-Progress-Time"))
        or moment(get("Caller-Channel-Progress-Media-Time")),
        answered_at=moment(get("Caller-Channel-Answered-Time")),
        bridged_at=moment(get("Caller-Channel-Bridged-Time")),
        ended_at=moment(get("Caller-Channel-Hangup-Time")),
        hangup_cause=get("Hangup-Cause"),
    )
    return _with_variables(leg, lambda name: get(f"variable_{name}"))


def leg_from_json_cdr(record: Mapping[str, Any], node: str | None) -> Leg:
    """The leg that a mod_json_cdr record is about, whichever way `encode-values` is set.

    Raises errors.ValidationFailed when the record lacks what makes it one.
    """
    variables = record.get("variables")
    callflow = record.get("callflow")
    if not isinstance(variables, Mapping) or not isinstance(callflow, list) or not callflow:
        raise ValidationFailed("a CDR without variables and callflow")
    # A stamp such as `2026-11-23 23:05:34` shows it: encoded, its blank is %20.
    encoded = "%" in f"{variables.get('start_stamp')}{variables.get('end_stamp')}"

    def get(name: str) -> str | None:
        value = variables.get(name)
        if not isinstance(value, str):
            return None
        text = unquote(value) if encoded else value
        return text.removeprefix(_ARRAY).split("|:")[0] if text.startswith(_ARRAY) else text

    # The newest profile is first; a transferred channel has more than one.
    times, profile = _part(callflow[0], "times"), _part(callflow[0], "caller_profile")
    unique_id = get("uuid") or _string(profile, "uuid")
    started = moment(_string(times, "created_time")) or moment(get("start_uepoch"))
    if not unique_id or started is None:
        raise ValidationFailed("a CDR without its uuid or its start")
    channel_data = _part(record, "channel_data")
    originator = _first_profile(profile, "originator")
    originatee = _first_profile(profile, "originatee")
    direction = get("direction") or _string(channel_data, "direction")
    caller_number, caller_name = _caller(
        direction,
        _string(profile, "ani"),
        _string(profile, "caller_id_number"),
        _string(profile, "caller_id_name"),
        get("sip_from_display"),
    )
    leg = Leg(
        leg_id=channel_id(unique_id),
        started_at=started,
        from_cdr=True,
        node=node,
        core_id=_string(record, "core-uuid"),
        direction=direction,
        context=_string(_part(callflow[-1], "caller_profile"), "context"),
        caller_number=_text(caller_number),
        caller_name=_text(caller_name),
        number=_text(
            number_of(_string(profile, "destination_number"), _string(profile, "callee_id_number"))
        ),
        other_leg_id=identifier(_string(originator, "uuid") or _string(originatee, "uuid")),
        originator_id=identifier(_string(originator, "uuid")),
        ringing_at=moment(_string(times, "progress_time"))
        or moment(_string(times, "progress_media_time")),
        answered_at=moment(_string(times, "answered_time")),
        bridged_at=moment(_string(times, "bridged_time")),
        ended_at=moment(_string(times, "hangup_time")) or moment(get("end_uepoch")),
        hangup_cause=get("hangup_cause"),
    )
    return _with_variables(leg, get)


def _caller(
    direction: str | None,
    ani: str | None,
    number: str | None,
    name: str | None,
    from_display: str | None,
) -> tuple[str | None, str | None]:
    """The number and name of who called.

    A bridge of two callers (switch_ivr_uuid_bridge), such as of a parked call with who fetches it,
    writes the one over the other and leaves only the ANI as it was.
    """
    if direction == "inbound" and ani and number != ani:
        return ani, from_display
    return number or ani, name


def _with_variables(leg: Leg, get: Callable[[str], str | None]) -> Leg:
    """`leg` with what its channel variables say, which both sources have alike."""
    inbound = leg.direction == "inbound"
    application = get("current_application") or get("last_app")
    if application == "voicemail" and (get("current_application_data") or "").startswith("check"):
        application = "voicemail check"
    mos, loss, jitter = _quality(get)
    part_of = identifier(get("nizam_part_of"))
    return attrs.evolve(
        leg,
        call_id=part_of or identifier(get("nizam_call_id")),
        tenant_id=identifier(get("nizam_tenant_id")),
        extension_id=identifier(get("nizam_extension_id")),
        # Of a call that the API has placed: who is rung for whom, also before it is answered.
        caller_number=_text(get(CALLER_NUMBER)) or leg.caller_number,
        caller_name=_text(get(CALLER_NAME)) or leg.caller_name,
        number=_text(
            get(DIALLED) or (number_of(get("sip_req_user")) if inbound else None) or leg.number
        ),
        originator_id=next(filter(None, (identifier(get(it)) for it in LINKS)), leg.originator_id)
        or (part_of if inbound else None),
        answered_at=leg.answered_at or moment(get("answer_uepoch")),
        bridged_at=leg.bridged_at or moment(get("bridge_uepoch")),
        hangup_disposition=get("sip_hangup_disposition"),
        originate_disposition=get("originate_disposition"),
        last_bridge_hangup_cause=get("last_bridge_hangup_cause"),
        endpoint_disposition=get("endpoint_disposition"),
        transfer_to=_text(get("transfer_to")),
        application=application,
        gateway=get("sip_gateway_name"),
        codec=get("read_codec"),
        route=_text(get("nizam_route")),
        revision=integer(get("nizam_revision")),
        did=_text(get("nizam_did")),
        destination=_text(get("nizam_destination")),
        mos=mos,
        packet_loss_percent=loss,
        jitter_ms=jitter,
    )


def _quality(
    get: Callable[[str], str | None],
) -> tuple[float | None, float | None, float | None]:
    """MOS, packet loss in per cent and jitter in ms of the audio that FreeSWITCH received."""
    packets = number(get("rtp_audio_in_packet_count"))
    if not packets:
        return None, None, None  # without packets FreeSWITCH still writes a perfect score
    flaws = number(get("rtp_audio_in_flaw_total")) or 0.0
    variance = number(get("rtp_audio_in_jitter_max_variance"))
    jitter = None if variance is None else round(math.sqrt(max(0.0, variance)), 2)
    return number(get("rtp_audio_in_mos")), round(100.0 * flaws / (packets + flaws), 2), jitter


def _part(container: Any, name: str) -> Mapping[str, Any]:
    value = container.get(name) if isinstance(container, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def _first_profile(profile: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    found = _part(profile, kind).get(f"{kind}_caller_profiles")
    return found[0] if isinstance(found, list) and found and isinstance(found[0], Mapping) else {}


def _string(container: Mapping[str, Any], name: str) -> str | None:
    value = container.get(name)
    return value if isinstance(value, str) else None


def _text(value: str | None) -> str | None:
    """Text that a caller chose: cut to a length that a row can bear, without NUL."""
    return value[:_MAX_TEXT].replace("\x00", "") if value else None
