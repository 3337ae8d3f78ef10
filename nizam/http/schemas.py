"""The JSON Schemas of answers that are no declared resources, by their names in the document."""

from __future__ import annotations

from collections.abc import Mapping

from nizam.http.call_schemas import CALL_SCHEMAS
from nizam.http.limits_in_use_schema import LIMITS_IN_USE
from nizam.http.recording_schemas import RECORDING_SCHEMAS
from nizam.http.schema_parts import (
    Schema,
    array,
    count,
    identifier,
    list_of,
    number,
    object_of,
    or_null,
    ref,
    text,
    time,
    words,
)
from nizam.http.stats_schema import TENANT_STATS
from nizam.http.usage_schema import USAGE
from nizam.http.voicemail_schemas import VOICEMAIL_SCHEMAS

__all__ = ["SCHEMAS", "list_of", "ref"]

_FIELD_ERROR = object_of(
    path=text("A JSON Pointer into the body, or the name of a parameter."),
    code=text("Stable; programs may rely on it."),
    message=text("What is wrong with it, for people."),
)
_FIELD_ERROR["properties"] |= {
    "row": or_null(count("Of an import: the row, of which the header is the first.")),
    "column": or_null(text("Of an import: what the header calls the column.")),
}
PROBLEM: Schema = {
    "type": "object",
    "description": "Why a request was not carried out (RFC 9457). Some codes have members of their "
    "own beside these.",
    "required": ["type", "title", "status", "detail", "code", "request_id"],
    "additionalProperties": True,
    "properties": {
        "type": text("Where the code is explained.", "/docs#not_found"),
        "title": text("What the code means; always the same.", "Not found"),
        "status": {"type": "integer", "description": "The HTTP status.", "examples": [404]},
        "detail": text("What is wrong with this request, for people."),
        "instance": text("The path of the request."),
        "code": text("Stable; programs may rely on it.", "not_found"),
        "request_id": text("Finds the request in the log."),
        "errors": array(_FIELD_ERROR, "Every wrong field; of an import the first 500."),
        "error_count": count("Of an import: how many things are wrong in all."),
        "referrers": array(
            object_of(
                type=text("Its type.", "did"),
                id=identifier("Its id."),
                path=text("The field that refers to it, as a JSON Pointer.", "/destination/id"),
            )
            | {"required": ["type", "id"]},
            "in_use: who still refers to the object.",
        ),
        "holder": object_of(
            "conflict: who has the number already.",
            type=text("Its type.", "extension"),
            id=identifier("Its id."),
        ),
        "changes": array(
            object_of(
                path=text("A JSON Pointer."),
                before={"description": "What it was; not there for a secret."},
                after={"description": "What it is now; not there for a secret."},
            )
            | {"required": ["path"]},
            "version_mismatch: what has changed since the version that the client knew.",
        ),
        "current_version": count("version_mismatch: the version that the object has now."),
        "scope": text("scope_missing: the scope that is needed."),
        "roles": array(text("A role."), "scope_missing: the roles that have it."),
        "yours": object_of(
            "scope_missing: what the credentials have.",
            roles=array(text("A role."), "Roles."),
            scopes=array(text("A scope."), "Scopes."),
        ),
        "locked_until": time("login_locked: until when not even the right password is taken."),
    },
}

DELIVERY = object_of(
    "One event on its way to one webhook.",
    id=identifier("Its id; it is sent along, to know repetitions by."),
    event_id=text("The event.", "evt_0193a1b2c3d40123456789abcdef0123"),
    event_type=text("The event's type.", "call.answered"),
    webhook_id=identifier("The webhook."),
    call_id=or_null(identifier("The call that the event belongs to.")),
    status=words("How far it has come.", "pending", "delivering", "succeeded", "dead"),
    attempt_count=count("How often it was tried."),
    next_attempt_at=or_null(time("When it is tried next.")),
    last_error=or_null(text("Why the last attempt failed.", "answered with 503")),
    created_at=time("When it was made."),
    updated_at=time("When it last changed."),
)

ATTEMPT = object_of(
    "One attempt to deliver.",
    id=count("Its id.", 1),
    delivery_id=identifier("The delivery."),
    number={"type": "integer", "minimum": 1, "description": "Which attempt it was."},
    started_at=time("When it began."),
    duration_ms=count("How long it took.", 87),
    response_status=or_null(count("The HTTP status that was answered.", 200)),
    response_head=or_null(text("The beginning of the answer's body.", "ok")),
    error=or_null(text("Why there was no answer.")),
)

WEBHOOK_STATS = object_of(
    "The figures of a webhook.",
    pending=count("Deliveries that wait."),
    delivering=count("Deliveries under way."),
    succeeded=count("Deliveries that arrived.", 1200),
    dead=count("Deliveries that were given up."),
    attempts=count("Attempts.", 1203),
    failed_attempts=count("Attempts that failed.", 3),
    average_ms=or_null(number("How long attempts take on average.", 41.5)),
    failing_since=or_null(time("Since when every attempt fails.")),
)

_DECISION: Mapping[str, Schema] = {
    "outcome": text("What becomes of the call, in a word.", "routed"),
    "trace": array(
        object_of(
            step=text("What was looked at.", "extension"),
            result=words("How it ended.", "matched", "passed", "denied", "chosen", "failed"),
            detail=text("Why, in words.", "1002 is the extension of Grace Hopper"),
            resource=or_null(
                object_of(
                    "The object that decided.",
                    type=text("Its type.", "extension"),
                    id=identifier("Its id."),
                )
            ),
        ),
        "What was looked at, in order.",
    ),
    "plan": array(
        {
            "type": "object",
            "description": "A step's name, and what it holds.",
            "required": ["step"],
            "properties": {"step": text("What is done.", "bridge")},
            "additionalProperties": True,
        },
        "What the switch is told to do.",
    ),
    "summary": text(
        "The plan in one line, for people.", "ring 1002 for 20s; else answer; voicemail 1002"
    ),
    "commands": array(
        object_of(
            "A change of one object.",
            resource=text("The type of the object.", "extension"),
            id=identifier("Its id."),
            changes={
                "type": "object",
                "description": "The fields that change, as a JSON Merge Patch.",
                "additionalProperties": True,
                "examples": [{"do_not_disturb": True}],
            },
        ),
        "What the call changes; a dry run changes nothing.",
    ),
    "xml": text("The XML that FreeSWITCH gets.", "<document/>"),
    "revision": or_null(count("The revision of the configuration that decided.", 12)),
    "route": text("The way in words.", "extension 1002"),
}

EXPLANATION = object_of(
    "Where a call would go, and why.",
    **_DECISION,
    then=array(
        object_of(**_DECISION),
        "What the switch is answered when it asks again, if it is said what is pressed, how "
        "ringing ends or what servers answer.",
    ),
)

CALL_EXPLANATION = object_of(
    "Why a call went where it went: every answer that the switch was given for it.",
    call_id=identifier("FreeSWITCH's id of the call."),
    decisions=array(
        object_of(
            decided_at=time("When the switch asked.", "2026-11-28T09:30:00.000000Z"),
            node=text("The switch node that asked.", "fs1"),
            channel_id=text("FreeSWITCH's id of the leg that was routed."),
            from_=text("Who called.", "1001"),
            to=text("What was asked for: a number, or where a running call goes on.", "1002"),
            context=text("The dialplan context.", "acme.example.test"),
            disposition=or_null(text("How the phones rung before had ended.", "USER_BUSY")),
            **_DECISION,
        ),
        "The answers, in order.",
    ),
)

SCHEMAS: Mapping[str, Schema] = {
    "Problem": PROBLEM,
    "Delivery": DELIVERY,
    "Attempt": ATTEMPT,
    "WebhookStats": WEBHOOK_STATS,
    "Explanation": EXPLANATION,
    "CallExplanation": CALL_EXPLANATION,
    "TenantStats": TENANT_STATS,
    "LimitsInUse": LIMITS_IN_USE,
    "Usage": USAGE,
    **CALL_SCHEMAS,
    **RECORDING_SCHEMAS,
    **VOICEMAIL_SCHEMAS,
}
"""By their names in the document."""
