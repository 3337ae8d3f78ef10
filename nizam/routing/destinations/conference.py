"""To a conference room. FreeSWITCH fetches its profile, with the PINs, itself."""

from __future__ import annotations

from nizam.model.conference_room import ConferenceRoom
from nizam.model.destination import Destination
from nizam.routing.context import Routing
from nizam.routing.plan import Answer, Conference, Plan, Sleep
from nizam.routing.tokens import room_name


def plan(routing: Routing, destination: Destination) -> Plan:
    """Answer and enter the room; whoever leaves it is hung up."""
    entry = routing.object(ConferenceRoom, destination.id)
    if entry is None:
        return routing.unreachable()
    routing.enter(entry, f"conference {entry.body.number}")
    return (Answer(), Sleep(300), Conference(room_name(entry.id)))
