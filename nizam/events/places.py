"""Conference rooms and parking lots, as far as events need to know them."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import attrs

from nizam.model.conference_room import ConferenceRoom
from nizam.model.feature_code import FeatureCode
from nizam.model.parking_lot import ParkingLot
from nizam.routing.places import lot_of, room_of
from nizam.routing.rows import Entry
from nizam.routing.snapshot import Snapshot, TenantView


@attrs.frozen
class Place:
    """A conference room or a parking lot: its id, whose it is, its number and its name."""

    id: UUID
    tenant_id: UUID
    number: str
    name: str


def _nothing(_name: str) -> Place | None:
    return None


def _never(_tenant_id: UUID, _number: str) -> bool:
    return False


@attrs.frozen
class Places:
    """Finds the tenants' rooms and lots by the names that the switch has for them.

    `parks` says whether whoever is sent to a number of a tenant is parked there.
    """

    room: Callable[[str], Place | None] = _nothing
    lot: Callable[[str], Place | None] = _nothing
    parks: Callable[[UUID, str], bool] = _never


NO_PLACES = Places()


def places_in(snapshot: Snapshot) -> Places:
    """The places of every tenant, as the snapshot holds them at the moment of asking."""
    return Places(
        lambda name: _place(room_of(snapshot, name)),
        lambda name: _place(lot_of(snapshot, name)),
        lambda tenant_id, number: _parks(snapshot, tenant_id, number),
    )


def _parks(snapshot: Snapshot, tenant_id: UUID, number: str) -> bool:
    view = snapshot.tenant(tenant_id)
    entry = None if view is None else view.by_number(number)
    return entry is not None and (
        isinstance(entry.body, ParkingLot)
        or (isinstance(entry.body, FeatureCode) and entry.body.feature == "park")
    )


def _place(
    found: tuple[TenantView, Entry[ConferenceRoom]] | tuple[TenantView, Entry[ParkingLot]] | None,
) -> Place | None:
    if found is None:
        return None
    view, entry = found
    return Place(entry.id, view.id, entry.body.number, entry.body.name)
