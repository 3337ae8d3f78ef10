"""The JSON Schema of a tenant's figures."""

from __future__ import annotations

from nizam.http.call_schemas import CALL_RESULTS
from nizam.http.schema_parts import (
    Schema,
    count,
    identifier,
    object_of,
    or_null,
    text,
    time,
    words,
)


def _counted(about: str) -> Schema:
    limit = or_null(count("How many there may be; null: as many as you like.", 50))
    return object_of(about, count=count("How many there are.", 12), limit=limit)


def _by_result() -> dict[str, Schema]:
    """Its results, as CDRs have them, and all together."""
    found = {it: count(f"Those whose result is {it}.") for it in CALL_RESULTS}
    return {"total": count("All of them."), **found}


TENANT_STATS = object_of(
    "How much a tenant has and does, against what it may.",
    tenant_id=identifier("The tenant."),
    status=words("Its state.", "trial", "active", "suspended", "terminated"),
    resources={
        "type": "object",
        "description": "How many there are of each kind, by the names of the lists.",
        "additionalProperties": _counted("One kind."),
        "examples": [
            {"extensions": {"count": 12, "limit": 50}, "ivrs": {"count": 1, "limit": None}}
        ],
    },
    live_calls=_counted("The calls under way, against `max_concurrent_calls`."),
    registrations=count("Phones that are registered now."),
    calls_today=object_of(
        "Calls of today that have ended.",
        since=time("When today began in the tenant's time zone."),
        **_by_result(),
    ),
    calls_last_hour=object_of("Calls of the last hour that have ended.", **_by_result()),
    deliveries=object_of(
        "Webhook deliveries; of each no more than 100,000 are counted.",
        pending=count("Those that wait or are under way."),
        dead=count("Those that were given up."),
    ),
    media=object_of(
        "The files of prompts and music on hold.",
        files=count("How many."),
        bytes=count("How much they take."),
    ),
    last_change=or_null(
        object_of(
            "The latest change of anything that it has.",
            revision=count("The revision that it made.", 12),
            at=time("When."),
            by=text("Who.", "admin@acme.example.test"),
            kind=words("How.", "change", "document", "import", "rollback"),
        )
    ),
)
