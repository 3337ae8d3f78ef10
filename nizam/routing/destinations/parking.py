"""To a parking lot: into a free slot, or to a slot in which a call waits."""

from __future__ import annotations

from nizam.model.destination import Destination
from nizam.model.parking_lot import ParkingLot
from nizam.routing.context import Routing
from nizam.routing.plan import Answer, Hangup, Park, ParkInSlot, Plan, Set
from nizam.routing.rows import Entry
from nizam.routing.tokens import ParkedTooLong, lot_name, write_token


def plan(routing: Routing, destination: Destination) -> Plan:
    """Park the call in the first free slot."""
    entry = routing.object(ParkingLot, destination.id)
    if entry is None:
        return routing.unreachable()
    lot = entry.body
    routing.enter(entry, f"parking lot {lot.number}")
    park = Park(lot_name(entry.id, routing.tenant.domain), lot.slot_from, lot.slot_to)
    return (*_until(routing, entry), Answer(), park)


def slot(routing: Routing, entry: Entry[ParkingLot], number: str) -> Plan:
    """Fetch the call that waits in a slot; into an empty slot the caller is parked."""
    if not entry.body.enabled:
        routing.note("destination", "failed", f"lot {entry.body.number} is disabled", entry)
        return routing.unreachable()
    routing.enter(entry, f"parking slot {number}")
    return (
        *_until(routing, entry),
        Answer(),
        ParkInSlot(lot_name(entry.id, routing.tenant.domain), number),
    )


def too_long(routing: Routing, token: ParkedTooLong) -> Plan:
    """What follows when nobody has fetched the call in time."""
    entry = routing.object(ParkingLot, token.lot_id)
    if entry is None:
        return routing.unreachable()
    routing.note("parking", "failed", "nobody has fetched the call in time", entry)
    if entry.body.return_destination is None:
        return (Hangup("NO_ANSWER"),)
    return routing.follow_configured(entry.body.return_destination)


def _until(routing: Routing, entry: Entry[ParkingLot]) -> Plan:
    token = write_token(ParkedTooLong(entry.id))
    return (
        Set("valet_parking_timeout", str(entry.body.timeout_seconds)),
        Set("valet_parking_orbit_exten", token),
        Set("valet_parking_orbit_context", routing.tenant.domain),
        Set("valet_parking_orbit_dialplan", "XML"),
    )
