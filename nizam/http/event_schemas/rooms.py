"""conference.* and parking.*: rooms, and calls that wait in slots."""

from __future__ import annotations

from typing import Final

from nizam.http.event_schemas.parts import (
    PARTIES,
    Told,
    Types,
    data,
    maybe,
    maybe_id,
    milliseconds,
    whole,
)
from nizam.http.schema_parts import Schema, identifier, text, words, yes_or_no

_NOT_HEARD = "Null when the beginning was not heard, as after a restart."
_ROOM: Final[dict[str, Schema]] = {
    "conference_room_id": identifier("The room."),
    "number": text("Its number.", "8100"),
    "name": text("Its name.", "Board"),
    "conference_id": text("This conference in it: another one each time the room fills again."),
    "members": whole("How many are in it now, who has left not counted.", null=True),
}
_MEMBER: Final[dict[str, Schema]] = {
    **_ROOM,
    "moderator": yes_or_no("Whether the member is a moderator."),
    **PARTIES,
}
_SLOT: Final[dict[str, Schema]] = {
    "parking_lot_id": identifier("The lot."),
    "number": text("Its number.", "7000"),
    "name": text("Its name.", "Lobby"),
    "slot": maybe("The number to fetch the call from.", "7001"),
    **PARTIES,
}

ROOMS: Final[Types] = {
    "conference.started": Told("The first member is in the room.", data(_ROOM)),
    "conference.joined": Told("A member has come.", data(_MEMBER)),
    "conference.left": Told(
        "A member has gone.",
        data(
            {
                **_MEMBER,
                "duration_ms": milliseconds(f"How long they were in. {_NOT_HEARD}", null=True),
            }
        ),
    ),
    "conference.ended": Told(
        "The room is empty.",
        data(
            {
                **_ROOM,
                "duration_ms": milliseconds(f"From conference.started on. {_NOT_HEARD}", null=True),
            }
        ),
    ),
    "parking.parked": Told(
        "A call waits in a slot.",
        data(
            {
                **_SLOT,
                "timeout_seconds": whole("How long it waits at most.", null=True),
                "parked_by": maybe(
                    "Who transferred it to the lot, or the caller who dialled it; null where"
                    " neither is certain.",
                    "1002",
                ),
                "parked_by_extension_id": maybe_id("Their extension."),
            }
        ),
    ),
    "parking.retrieved": Told(
        "A call has left its slot: fetched, or back because nobody came in time.",
        data(
            {
                **_SLOT,
                "outcome": words("Which of the two.", "retrieved", "returned"),
                "retrieved_by": maybe("Who fetched it; null when it is returned.", "1003"),
                "retrieved_by_extension_id": maybe_id("Their extension."),
                "retrieved_by_leg_id": maybe_id("Their leg."),
                "retrieved_by_call_id": maybe_id("Their call."),
                "duration_ms": milliseconds(f"How long it waited. {_NOT_HEARD}", null=True),
            }
        ),
    ),
}
