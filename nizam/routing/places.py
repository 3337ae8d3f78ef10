"""Whose a conference room or a parking lot is, by the name that the switch has for it."""

from __future__ import annotations

from nizam.model.conference_room import ConferenceRoom
from nizam.model.parking_lot import ParkingLot
from nizam.routing.rows import Entry
from nizam.routing.snapshot import Snapshot, TenantView
from nizam.routing.tokens import lot_id, room_id


def room_of(snapshot: Snapshot, name: str) -> tuple[TenantView, Entry[ConferenceRoom]] | None:
    """The room with this name, and its tenant; None if no tenant has it."""
    identifier = room_id(name)
    if identifier is None:
        return None
    for view in snapshot.tenants():
        entry = view.get(ConferenceRoom, identifier)
        if entry is not None:
            return view, entry
    return None


def lot_of(snapshot: Snapshot, name: str) -> tuple[TenantView, Entry[ParkingLot]] | None:
    """The parking lot with this name, and its tenant; None if the tenant of the name's domain has
    no such lot."""
    found = lot_id(name)
    view = None if found is None else snapshot.tenant_by_domain(found[1])
    entry = None if found is None or view is None else view.get(ParkingLot, found[0])
    return None if view is None or entry is None else (view, entry)
