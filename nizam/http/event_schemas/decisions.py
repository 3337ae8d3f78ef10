"""emergency.dialled, fraud.blocked and limit.reached: what follows from how a call was routed."""

from __future__ import annotations

from typing import Final

from nizam.http.event_schemas.parts import Told, Types, data, maybe, maybe_id, whole
from nizam.http.schema_parts import array, text

DECISIONS: Final[Types] = {
    "emergency.dialled": Told(
        "Somebody has called for help.",
        data(
            {
                "number": text("What was dialled.", "112"),
                "extension_id": maybe_id("Whose phone it was."),
                "extension": maybe("Its number.", "1001"),
                "extension_name": maybe("Its name.", "Ada Lovelace"),
                "caller_id_number": maybe("The number that is shown.", "+12025550101"),
                "location": maybe("Where the phone is.", "Main Street 1, 2nd floor"),
                "emergency_plan_id": maybe_id(
                    "The plan; null where a country's number was dialled without one."
                ),
                "emergency_plan": maybe("Its name."),
                "notify": array(text("An address."), "Who is told by email."),
            }
        ),
    ),
    "fraud.blocked": Told(
        "A call out was refused: it looks like toll fraud.",
        data(
            {
                "reason": text("Which protection.", "velocity"),
                "words": text("In words."),
                "from": maybe("The caller's number.", "1001"),
                "extension_id": maybe_id("Whose phone it was."),
                "extension": maybe("Its number.", "1001"),
                "scope": maybe("Whose limit it was.", "extension"),
                "limit": whole("The limit.", null=True),
                "count": whole("How many there are.", null=True),
                "window_seconds": whole("In so long a time.", null=True),
                "blocked_seconds": whole("How long calls out stay blocked.", null=True),
            },
            {
                "number": maybe("The number that was dialled.", "+88213000000"),
                "number_kind": maybe("What is special about it.", "premium"),
            },
        ),
    ),
    "limit.reached": Told(
        "A call was refused: it would have been one too many.",
        data(
            {
                "reason": text("In words."),
                "cause": text("The cause that the caller gets.", "NORMAL_CIRCUIT_CONGESTION"),
                "from": maybe("The caller's number.", "1001"),
                "to": maybe("What was dialled.", "1002"),
                "extension_id": maybe_id("The caller's extension."),
                "scope": maybe("Whose limit it was.", "tenant"),
                "kind": maybe("What is counted.", "concurrent"),
                "id": maybe_id("The tenant, the extension, the route or the gateway."),
                "limit": whole("The limit.", null=True),
                "count": whole("How many there are.", null=True),
            }
        ),
    ),
}
