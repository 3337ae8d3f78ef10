"""The JSON Schema of how high the limits on a tenant's calls stand."""

from __future__ import annotations

from nizam.http.schema_parts import count, identifier, object_of, or_null, text, words

LIMITS_IN_USE = object_of(
    "How high the limits on a tenant's calls stand; those that are set.",
    tenant_id=identifier("The tenant."),
    limits={
        "type": "array",
        "description": "The tenant's, then those of its routes and gateways, then the extension's.",
        "items": object_of(
            "One limit.",
            scope=words("Whose it is.", "tenant", "extension", "route", "gateway"),
            id=identifier("The id of whose it is."),
            name=text("Its name or number.", "Carrier One"),
            kind=words(
                "What it counts.",
                "concurrent",
                "per_minute",
                "minutes_per_day",
                "attempts",
                "numbers",
                "short_calls",
            ),
            of=or_null(words("Which calls alone.", "outside", "costly")),
            what=text("What it counts, in words.", "calls at once"),
            window_seconds=or_null(count("How far back it looks.", 600)),
            count=count("How high it stands.", 3),
            limit=count("How high it may go.", 10),
            blocked_seconds=count("For how long such calls are blocked still.", 0),
        ),
    },
)
