"""The schemas of what goes on and what happened: live calls, phones, events, CDRs."""

from __future__ import annotations

from collections.abc import Mapping

from nizam.http.schema_parts import (
    Schema,
    array,
    count,
    identifier,
    number,
    object_of,
    or_null,
    ref,
    text,
    time,
    words,
    yes_or_no,
)
from nizam.model.events import SCHEMA_VERSION

_CALL_ID = identifier("FreeSWITCH's id of the call.", "01937a5e-0000-7000-8000-000000000c01")
CALL_RESULTS = ("answered", "no_answer", "busy", "failed", "voicemail", "rejected", "cancelled")
_LEG_ID = identifier("FreeSWITCH's id of the leg.", "01937a5e-0000-7000-8000-000000000c02")
_EXTENSION_ID = or_null(identifier("The extension; null for a number outside."))
_NODE = text("The switch node.", "fs1")
_STATE = words("How far it has come.", "ringing", "answered", "held", "ended")
_DIRECTION = words("As the tenant sees it.", "internal", "inbound", "outbound")
_LEG_DIRECTION = or_null(words("As the switch sees it.", "inbound", "outbound"))
_STARTED = time("When it began.", "2026-11-28T09:30:00.000000Z")
_ANSWERED = or_null(time("When it was answered.", "2026-11-28T09:30:04.120000Z"))
_ENDED = or_null(time("When it ended.", "2026-11-28T09:31:10.500000Z"))
_CAUSE = or_null(text("FreeSWITCH's hangup cause.", "NORMAL_CLEARING"))
_GATEWAY = or_null(text("The gateway that carried it."))

EVENT_ID = text(
    "The same for the same event, however often it is told.",
    "evt_0193a1b2c3d40123456789abcdef0123",
    pattern="^evt_[0-9a-f]{32}$",
)

EVENT: Schema = {
    "type": "object",
    "description": "Something that happened, as webhooks carry it.",
    "required": ["id", "type", "schema_version", "occurred_at", "data"],
    "properties": {
        "id": EVENT_ID,
        "type": text("What happened.", "call.answered"),
        "schema_version": {"const": SCHEMA_VERSION, "description": "The version of this form."},
        "occurred_at": _STARTED | {"description": "When, by the switch's clock."},
        "tenant_id": or_null(identifier("The tenant; null for the platform's.")),
        "node": or_null(_NODE),
        "call_id": or_null(_CALL_ID),
        "leg_id": or_null(_LEG_ID),
        "sequence": count("FreeSWITCH's Event-Sequence.", 4711),
        "data": {
            "type": "object",
            "description": "As /api/v1/event-schemas has it for this type.",
            "examples": [{"from": "1001", "to": "1002", "direction": "internal"}],
        },
    },
}

LIVE_CALL = object_of(
    "A call that is under way.",
    call_id=_CALL_ID,
    tenant_id=identifier("The tenant."),
    state=_STATE,
    direction=_DIRECTION,
    from_=or_null(text("Who calls.", "1001")),
    to=or_null(text("What was dialled.", "1002")),
    started_at=_STARTED,
    answered_at=_ANSWERED,
    node=_NODE,
    legs=array(
        object_of(
            leg_id=_LEG_ID,
            extension_id=_EXTENSION_ID,
            number=or_null(text("Its number.", "1001")),
            direction=_LEG_DIRECTION,
            originator_id=or_null(identifier("The leg that made it.")),
            state=_STATE,
            node=_NODE,
        ),
        "Its legs: one for each phone or line.",
    ),
    recording=or_null(text("The file that it is recorded to.")),
)

PLACED_CALL = object_of(
    "A call that was asked for, and what became of it.",
    call_id=identifier("Its id, in every event and in its CDR."),
    kind=words("What it is for.", "originate", "eavesdrop", "whisper", "barge"),
    state=words(
        "dialling while the phones ring; answered once one has been; failed with its cause; "
        "unknown while the switch cannot be asked.",
        *("dialling", "answered", "failed", "unknown"),
    ),
    cause=or_null(text("Why it failed.", "NO_ANSWER")),
    from_=text("The extension that is rung.", "1001"),
    to=text("What it is for.", "1002"),
    node=text("The switch node.", "fs1"),
    leg_id=or_null(identifier("The leg of the phone that was answered.")),
    requested_at=time("When it was asked for."),
)

REGISTRATION = object_of(
    "A phone that is registered.",
    id=text(
        "The same for as long as the phone stays registered.", "1001@acme.example.test abc fs1"
    ),
    user=or_null(text("The SIP user.", "1001")),
    domain=or_null(text("The SIP domain.", "acme.example.test")),
    extension_id=_EXTENSION_ID,
    contact=or_null(text("Where it is reached.", "sip:1001@192.0.2.10:5060")),
    call_id=or_null(text("The SIP Call-ID of its REGISTERs.", "abc")),
    expires_seconds=or_null(count("How long it holds.", 3600)),
    user_agent=or_null(text("What the phone calls itself.", "Example Phone 1.0")),
    network_ip=or_null(text("The address that it came from.", "192.0.2.10")),
    network_port=or_null(count("The port that it came from.", 5060)),
    profile=or_null(text("The SIP profile.", "internal")),
    node=_NODE,
    registered_at=or_null(time("Since when.")),
    renewed_at=or_null(time("When it was renewed last.")),
    expires_at=or_null(time("Until when, if it is not renewed.")),
)

CONFERENCE = object_of(
    "A conference that is under way.",
    conference_id=identifier(
        "FreeSWITCH's id of this conference: another one each time the room fills again.",
        "01937a5e-0000-7000-8000-000000000c03",
    ),
    tenant_id=identifier("The tenant."),
    conference_room_id=identifier("The conference room."),
    number=text("The room's number.", "3000"),
    name=text("The room's name.", "Weekly"),
    node=_NODE,
    started_at=or_null(time("When it began; null where that was not heard.")),
    members=array(
        object_of(
            leg_id=_LEG_ID,
            call_id=_CALL_ID,
            extension_id=_EXTENSION_ID,
            number=or_null(text("The member's number.", "1001")),
            name=or_null(text("The name that was sent with the call.", "Ada Lovelace")),
            moderator=yes_or_no("Whether the member is a moderator."),
            muted=yes_or_no("Whether the others cannot hear the member."),
            joined_at=or_null(time("When the member came in.")),
        ),
        "Who is in it.",
    ),
)

PARKED_CALL = object_of(
    "A call that waits in a parking lot.",
    leg_id=_LEG_ID,
    call_id=_CALL_ID,
    tenant_id=identifier("The tenant."),
    parking_lot_id=identifier("The parking lot."),
    number=text("The lot's number.", "5900"),
    name=text("The lot's name.", "Lobby"),
    slot=or_null(text("The number to fetch the call from.", "5901")),
    node=_NODE,
    parked_at=or_null(time("Since when; null where that was not heard.")),
    caller_number=or_null(text("The number of whoever waits.", "+12025550123")),
    extension_id=_EXTENSION_ID,
    timeout_seconds=or_null(count("How long it waits at most.", 120)),
    parked_by=or_null(text("Who parked it, where that is certain.", "1001")),
    parked_by_extension_id=or_null(identifier("The extension that parked it.")),
)

_QUALITY = object_of(
    "How it sounded, as the switch measured it.",
    mos=or_null(number("Mean opinion score, 1 to 5.", 4.4)),
    packet_loss_percent=or_null(number("Lost packets.", 0.1)),
    jitter_ms=or_null(number("Jitter.", 3.2)),
)

_CDR: Mapping[str, Schema] = {
    "call_id": _CALL_ID,
    "direction": _DIRECTION,
    "from_": or_null(text("Who called.", "1001")),
    "to": or_null(text("What was dialled.", "1002")),
    "started_at": _STARTED,
    "answered_at": _ANSWERED,
    "ended_at": _ENDED,
    "duration_ms": count("From its beginning to its end.", 70500),
    "billable_ms": count("From the answer to its end.", 66380),
    "result": words("What became of it.", *CALL_RESULTS),
    "hangup_cause": _CAUSE,
    "hangup_by": words("Who ended it.", "caller", "callee", "system"),
    "route": or_null(text("Words of the route that was taken.", "extension 1002")),
    "revision": or_null(
        count("The revision of the tenant's configuration that routed the call.", 12)
    ),
    "gateway": _GATEWAY,
    "node": or_null(_NODE),
    "source": words("What it was made from.", "events", "cdr", "both", "reconciled"),
    "quality": _QUALITY,
    "did": or_null(text("The DID that it came to.", "+12025550101")),
    "destination": or_null(text("The public number outside that it went to.", "+4930123456")),
    "country": or_null(
        text("The country of that number (ISO 3166-1 alpha-2); `001` for networks of none.", "DE")
    ),
    "extension_ids": array(identifier("An extension."), "The extensions that had a part in it."),
    "recording_ids": array(identifier("A recording."), "Its recordings."),
}

_TRANSFER = object_of(
    "Somebody sent the call on.",
    at=time("When."),
    leg_id=or_null(identifier("The leg that was sent on.")),
    kind=or_null(words("How.", "blind", "attended", "deflect", "park", "pickup")),
    to=or_null(text("Where to.", "1003")),
    to_extension_id=_EXTENSION_ID,
    to_leg_id=or_null(identifier("The leg that it talks to then.")),
    to_call_id=or_null(identifier("The call of that leg, if it is another one.")),
    by=or_null(text("Who sent it on.", "1002")),
    by_extension_id=_EXTENSION_ID,
    by_leg_id=or_null(identifier("The leg of who sent it on.")),
)
_DECISION = object_of(
    "An answer that the switch was given: where the call goes from there.",
    decided_at=time("When."),
    leg_id=text("The leg that asked."),
    revision=or_null(count("The revision of the tenant's configuration.", 12)),
    from_=or_null(text("Who called.", "1001")),
    to=or_null(text("What was dialled.", "1002")),
    outcome=or_null(text("What came of it.", "routed")),
    why=array(text("A reason.", "goes to extension 1002"), "Why, in words, in order."),
)

CDR_LEG = object_of(
    "One leg of a call: a phone or a line.",
    leg_id=_LEG_ID,
    extension_id=_EXTENSION_ID,
    node=or_null(_NODE),
    direction=_LEG_DIRECTION,
    caller_number=or_null(text("The caller's number.", "1001")),
    caller_name=or_null(text("The caller's name.", "Ada Lovelace")),
    number=or_null(text("Its number.", "1002")),
    other_leg_id=or_null(identifier("The leg that it was bridged to.")),
    originator_id=or_null(identifier("The leg that made it.")),
    started_at=_STARTED,
    ringing_at=or_null(time("When it rang.")),
    answered_at=_ANSWERED,
    bridged_at=or_null(time("When the two could talk.")),
    ended_at=_ENDED,
    hangup_cause=_CAUSE,
    gateway=_GATEWAY,
    codec=or_null(text("The codec.", "OPUS")),
    transfer_to=or_null(text("Where it was transferred to.")),
    application=or_null(text("What the switch did with it last.", "bridge")),
    route=or_null(text("Words of the route that was taken.", "extension 1002")),
    revision=or_null(count("The revision that routed it.", 12)),
    duration_ms=count("From its beginning to its end.", 70500),
    billable_ms=count("From the answer to its end.", 66380),
    source=words("What it was made from.", "events", "cdr", "both", "reconciled"),
    quality=_QUALITY,
    parent_leg_id=or_null(identifier("The leg that it was made for; null at the top.")),
    depth=count("How deep it is in the tree.", 1),
)

CALL_SCHEMAS: Mapping[str, Schema] = {
    "Event": EVENT,
    "LiveCall": LIVE_CALL,
    "PlacedCall": PLACED_CALL,
    "Registration": REGISTRATION,
    "Conference": CONFERENCE,
    "ParkedCall": PARKED_CALL,
    "Cdr": object_of("The summary of a call that has ended.", **_CDR),
    "CdrWithLegs": object_of(
        "The summary of a call that has ended, with its legs.",
        **_CDR,
        legs=array(ref("CdrLeg"), "Its legs as a tree: each before those that were made for it."),
        transfers=array(_TRANSFER, "Who sent it on, in order."),
        linked_call_ids=array(
            identifier("A call."), "The calls that it has met, as in an attended transfer."
        ),
        decisions=array(_DECISION, "Why it went where it went, as long as that is kept."),
    ),
    "CdrLeg": CDR_LEG,
    "CallTrace": object_of(
        "Everything that happened in one call.",
        call_id=_CALL_ID,
        events=array(ref("Event"), "Its events, in order."),
    ),
}
"""By their names in the document."""
