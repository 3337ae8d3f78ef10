"""The JSON Schema of what a tenant has used."""

from __future__ import annotations

from typing import Any, Final

from nizam.http.schema_parts import (
    Schema,
    array,
    count,
    identifier,
    object_of,
    or_null,
    text,
    words,
)

DIRECTIONS: Final = ("inbound", "outbound", "internal")
LEVELS: Final = ("peak_calls", "storage_bytes", "registered_devices")


def _figures(about: str, **more: Schema) -> Schema:
    return object_of(
        about,
        **more,
        calls=count("How many that have ended.", 120),
        duration_ms=count("From their beginning to their end.", 7_200_000),
        billable_ms=count("From the answer to their end.", 6_900_000),
    )


def _use(**more: Any) -> dict[str, Schema]:
    return {
        **more,
        **{it: _figures(f"The calls whose direction is {it}.") for it in DIRECTIONS},
        "groups": array(
            _figures(
                "Calls that agree in what was asked for; the others of these are null.",
                direction=or_null(words("As the tenant sees them.", *DIRECTIONS)),
                country=or_null(
                    text(
                        "Where they went outside (ISO 3166-1 alpha-2); `001` for networks of no "
                        "country, null for none.",
                        "DE",
                    )
                ),
                gateway=or_null(text("The gateway that carried them; null for none.")),
            ),
            "The same calls, told apart as `group_by` asks; empty without it.",
        ),
        "peak_calls": count("The most calls at once, by the hours that are over.", 7),
        "storage_bytes": count("The most that its files took; looked at once a day.", 48_000_000),
        "registered_devices": count(
            "The most phones that were registered; looked at once an hour.", 23
        ),
    }


USAGE = object_of(
    "What a tenant has used.",
    tenant_id=identifier("The tenant."),
    time_zone=text("The tenant's time zone, whose days these are.", "Europe/Berlin"),
    first={"type": "string", "format": "date", "description": "The first day."},
    last={"type": "string", "format": "date", "description": "The last day."},
    interval=words("What a period is.", "day", "month"),
    group_by=array(words("A part.", "direction", "country", "gateway"), "What was asked for."),
    totals=object_of("All of the periods together.", **_use()),
    periods=array(
        object_of(
            "A period.",
            **_use(
                start={
                    "type": "string",
                    "format": "date",
                    "description": "The day that it begins; of a month the first one, even where "
                    "the first day asked for is later.",
                }
            ),
        ),
        "Every period, the first one first.",
    ),
)
