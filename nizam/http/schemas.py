"""The JSON Schemas of answers that are no declared resources: calls, CDRs, deliveries, events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nizam.model.events import SCHEMA_VERSION

Schema = dict[str, Any]
_REF = "#/components/schemas/{model}"


def ref(name: str) -> Schema:
    """A reference to a schema of the document."""
    return {"$ref": _REF.format(model=name)}


def list_of(schema: Mapping[str, Any]) -> Schema:
    """The schema of a page of a list."""
    return _object(
        data={"type": "array", "items": dict(schema)},
        next_cursor=_or_null({"type": "string"}),
        has_more={"type": "boolean"},
    )


def _object(**properties: Any) -> Schema:
    """An object of which every answer has all of these members."""
    named = {name.removesuffix("_"): it for name, it in properties.items()}
    return {"type": "object", "required": list(named), "properties": named}


def _or_null(schema: Schema) -> Schema:
    return {**schema, "type": [schema["type"], "null"]}


def _words(*words: str) -> Schema:
    return {"type": "string", "enum": list(words)}


_TEXT: Schema = {"type": "string"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_NUMBER: Schema = {"type": "number"}
_UUID: Schema = {"type": "string", "format": "uuid"}
_TIME: Schema = {"type": "string", "format": "date-time"}
_MAYBE_TEXT, _MAYBE_UUID, _MAYBE_TIME = _or_null(_TEXT), _or_null(_UUID), _or_null(_TIME)

PROBLEM: Schema = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code", "request_id"],
    "properties": {
        "type": _TEXT,
        "title": _TEXT,
        "status": {"type": "integer"},
        "detail": _TEXT,
        "instance": _TEXT,
        "code": {"type": "string", "description": "Stable; programs may rely on it."},
        "request_id": _TEXT,
        "errors": {
            "type": "array",
            "items": _object(
                path={
                    "type": "string",
                    "description": "A JSON Pointer into the body, or a query parameter.",
                },
                code=_TEXT,
                message=_TEXT,
            ),
        },
    },
}

EVENT: Schema = {
    "type": "object",
    "required": ["id", "type", "schema_version", "occurred_at", "data"],
    "properties": {
        "id": {"type": "string", "pattern": "^evt_[0-9a-f]{32}$"},
        "type": _TEXT,
        "schema_version": {"const": SCHEMA_VERSION},
        "occurred_at": _TIME,
        "tenant_id": _MAYBE_UUID,
        "node": _MAYBE_TEXT,
        "call_id": _MAYBE_UUID,
        "leg_id": _MAYBE_UUID,
        "sequence": {"type": "integer"},
        "data": {"type": "object", "description": "As docs/events.md has it for this type."},
    },
}

_DIRECTION = _words("internal", "inbound", "outbound")
_LEG_DIRECTION = _or_null(_words("inbound", "outbound"))
_LEG_DIRECTION["enum"] = ["inbound", "outbound", None]
_STATE = _words("ringing", "answered", "held", "ended")

LIVE_CALL = _object(
    call_id=_UUID,
    tenant_id=_UUID,
    state=_STATE,
    direction=_DIRECTION,
    from_=_MAYBE_TEXT,
    to=_MAYBE_TEXT,
    started_at=_TIME,
    answered_at=_MAYBE_TIME,
    node=_TEXT,
    legs={
        "type": "array",
        "items": _object(
            leg_id=_UUID,
            extension_id=_MAYBE_UUID,
            number=_MAYBE_TEXT,
            direction=_LEG_DIRECTION,
            state=_STATE,
        ),
    },
    recording=_MAYBE_TEXT,
)

REGISTRATION = _object(
    id={"type": "string", "description": "The same for as long as the phone stays registered."},
    user=_MAYBE_TEXT,
    domain=_MAYBE_TEXT,
    extension_id=_MAYBE_UUID,
    contact=_MAYBE_TEXT,
    call_id={**_MAYBE_TEXT, "description": "The SIP Call-ID of its REGISTERs."},
    expires_seconds=_or_null({"type": "integer"}),
    user_agent=_MAYBE_TEXT,
    network_ip=_MAYBE_TEXT,
    network_port=_or_null({"type": "integer"}),
    profile=_MAYBE_TEXT,
    node=_TEXT,
    registered_at=_MAYBE_TIME,
)

_CDR: Schema = {
    "call_id": _UUID,
    "direction": _DIRECTION,
    "from_": _MAYBE_TEXT,
    "to": _MAYBE_TEXT,
    "started_at": _TIME,
    "answered_at": _MAYBE_TIME,
    "ended_at": _MAYBE_TIME,
    "duration_ms": _COUNT,
    "billable_ms": _COUNT,
    "result": _words(
        "answered", "no_answer", "busy", "failed", "voicemail", "rejected", "cancelled"
    ),
    "hangup_cause": _MAYBE_TEXT,
    "hangup_by": _words("caller", "callee", "system"),
    "route": {**_MAYBE_TEXT, "description": "Words of the route that was taken."},
    "revision": {
        **_or_null(_COUNT),
        "description": "The revision of the tenant's configuration that routed the call.",
    },
    "gateway": _MAYBE_TEXT,
    "node": _MAYBE_TEXT,
    "source": _words("events", "cdr", "both", "reconciled"),
    "quality": _object(
        mos=_or_null(_NUMBER), packet_loss_percent=_or_null(_NUMBER), jitter_ms=_or_null(_NUMBER)
    ),
    "recording_ids": {"type": "array", "items": _UUID},
}

CDR_LEG = _object(
    leg_id=_UUID,
    extension_id=_MAYBE_UUID,
    node=_MAYBE_TEXT,
    direction=_LEG_DIRECTION,
    caller_number=_MAYBE_TEXT,
    caller_name=_MAYBE_TEXT,
    number=_MAYBE_TEXT,
    other_leg_id=_MAYBE_UUID,
    originator_id=_MAYBE_UUID,
    started_at=_TIME,
    ringing_at=_MAYBE_TIME,
    answered_at=_MAYBE_TIME,
    bridged_at=_MAYBE_TIME,
    ended_at=_MAYBE_TIME,
    hangup_cause=_MAYBE_TEXT,
    gateway=_MAYBE_TEXT,
    codec=_MAYBE_TEXT,
    transfer_to=_MAYBE_TEXT,
)

DELIVERY = _object(
    id=_UUID,
    event_id=_TEXT,
    event_type=_TEXT,
    webhook_id=_UUID,
    call_id=_MAYBE_UUID,
    status=_words("pending", "delivering", "succeeded", "dead"),
    attempt_count=_COUNT,
    next_attempt_at=_MAYBE_TIME,
    last_error=_MAYBE_TEXT,
    created_at=_TIME,
    updated_at=_TIME,
)

ATTEMPT = _object(
    id={"type": "integer"},
    delivery_id=_UUID,
    number={"type": "integer", "minimum": 1},
    started_at=_TIME,
    duration_ms=_COUNT,
    response_status=_or_null({"type": "integer"}),
    response_head={**_MAYBE_TEXT, "description": "The beginning of the answer's body."},
    error=_MAYBE_TEXT,
)

WEBHOOK_STATS = _object(
    pending=_COUNT,
    delivering=_COUNT,
    succeeded=_COUNT,
    dead=_COUNT,
    attempts=_COUNT,
    failed_attempts=_COUNT,
    average_ms=_or_null(_NUMBER),
    failing_since=_MAYBE_TIME,
)

EXPLANATION = _object(
    outcome=_TEXT,
    trace={
        "type": "array",
        "items": _object(
            step=_TEXT,
            result=_words("matched", "passed", "denied", "chosen", "failed"),
            detail=_TEXT,
            resource={**_or_null(_object(type=_TEXT, id=_UUID))},
        ),
    },
    plan={
        "type": "array",
        "items": {
            "type": "object",
            "required": ["step"],
            "properties": {"step": _TEXT},
            "description": "A step's name, and what it holds.",
        },
    },
    xml=_TEXT,
    revision=_or_null(_COUNT),
    route=_TEXT,
)

_SIP_ACCOUNT = _object(user=_TEXT, domain=_TEXT, password=_TEXT)

PROVISIONED: Schema = {
    **_object(
        tenant=ref("Tenant"),
        sip=_object(
            domain=_TEXT,
            registrars={
                "type": "array",
                "description": "Where phones can register; empty if the domain's DNS has to say.",
                "items": _object(
                    host=_TEXT,
                    port={"type": "integer"},
                    transport=_words("udp", "tcp", "tls"),
                ),
            },
        ),
        extensions={
            "type": "array",
            "items": _object(id=_UUID, number=_TEXT, display_name=_TEXT, sip=_SIP_ACCOUNT),
        },
    ),
    "description": "Every object that was made, with the secrets that were given or generated; "
    "further lists are there for what was asked for.",
}
PROVISIONED["properties"] |= {
    "admin": {
        "allOf": [ref("User")],
        "description": "With `reset_token` and `reset_token_expires_at`, or with the `password` "
        "that was generated.",
    },
    "api_key": {"allOf": [ref("ApiKey")], "description": "With its text as `key`."},
}

SCHEMAS: Mapping[str, Schema] = {
    "Problem": PROBLEM,
    "Event": EVENT,
    "LiveCall": LIVE_CALL,
    "Registration": REGISTRATION,
    "Cdr": _object(**_CDR),
    "CdrWithLegs": _object(**_CDR, legs={"type": "array", "items": ref("CdrLeg")}),
    "CdrLeg": CDR_LEG,
    "Delivery": DELIVERY,
    "Attempt": ATTEMPT,
    "WebhookStats": WEBHOOK_STATS,
    "Explanation": EXPLANATION,
    "Provisioned": PROVISIONED,
}
"""By their names in the document."""
