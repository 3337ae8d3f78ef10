"""Whose a room or a lot is, by the name that the switch has for it."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import pytest

from nizam.events.places import Place, places_in
from nizam.routing.tokens import lot_id, lot_name, page_name, room_name
from tests.routing.tenants import ACME, GLOBEX, Tenants, identifier

ROOM, LOT = identifier("acme/board"), identifier("acme/desk")


@pytest.fixture
def tenants() -> Tenants:
    made = Tenants()
    for slug in ("acme", "globex"):
        made.tenant(slug)
    made.put("conference_room", "acme/board", {"number": "8100", "name": "Board"})
    lot = {"number": "700", "name": "Front desk", "slot_from": "701", "slot_to": "709"}
    made.put("parking_lot", "acme/desk", lot)
    return made


def test_a_room_and_a_lot_are_found_with_their_tenant_number_and_name(tenants: Tenants) -> None:
    places = places_in(tenants.snapshot)
    acme = identifier("acme")
    assert places.room(room_name(ROOM)) == Place(ROOM, acme, "8100", "Board")
    assert places.lot(lot_name(LOT, ACME)) == Place(LOT, acme, "700", "Front desk")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "3000-acme",
        page_name(identifier("acme")),
        room_name(UUID(int=7)),
        room_name(LOT),
        room_name(ROOM) + "0",
        room_name(ROOM).upper(),
    ],
)
def test_what_is_no_room_of_a_tenant_is_nobodys(tenants: Tenants, name: str) -> None:
    assert places_in(tenants.snapshot).room(name) is None


@pytest.mark.parametrize(
    "name",
    [
        "",
        "lot-acme",
        f"lot-{LOT.hex}",
        lot_name(LOT, ""),
        lot_name(LOT, GLOBEX),  # another tenant's domain
        lot_name(LOT, "nobody.example.test"),
        lot_name(ROOM, ACME),
        lot_name(UUID(int=7), ACME),
    ],
)
def test_what_is_no_lot_of_the_tenant_of_the_domain_is_nobodys(tenants: Tenants, name: str) -> None:
    assert places_in(tenants.snapshot).lot(name) is None


def test_a_place_made_later_is_found(tenants: Tenants) -> None:
    find: Callable[[str], Place | None] = places_in(tenants.snapshot).room
    name = room_name(identifier("acme/new"))
    assert find(name) is None
    tenants.put("conference_room", "acme/new", {"number": "8101", "name": "New"})
    assert find(name) is not None


def test_the_name_of_a_lot_is_read_as_it_was_written() -> None:
    assert lot_id(lot_name(LOT, ACME)) == (LOT, ACME)
