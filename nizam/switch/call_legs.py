"""Which leg of a call a command is for, as its document in the live state shows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal
from uuid import UUID

from nizam.errors import Conflict, NotFound

Document = Mapping[str, Any]
Rule = Literal["first", "phone", "other"]
"""Which leg it is where nobody says so: the one that the call began with, the first that is an
extension's, or the first that is none of the tenant's; the last two take the first of all where
there is none such."""


def live_legs(call: Document) -> list[Mapping[str, Any]]:
    """The legs that have not ended, the one that the call began with first."""
    found = [it for it in call["legs"] if it["state"] != "ended"]
    return sorted(found, key=lambda it: it["leg_id"] != call["call_id"])


def choose_leg(call: Document, wanted: UUID | None, rule: Rule) -> UUID:
    """The leg of the call. NotFound for one that is not of it, or has ended."""
    legs = live_legs(call)
    if wanted is not None:
        if str(wanted) not in {it["leg_id"] for it in legs}:
            raise NotFound("the call has no such leg")
        return wanted
    if not legs:
        raise NotFound("no leg of the call is left")
    fitting = legs
    if rule == "phone":
        fitting = [it for it in legs if it["extension_id"] is not None]
    elif rule == "other":
        fitting = [it for it in legs if it["extension_id"] is None]
    return UUID((fitting or legs)[0]["leg_id"])


def node_of(call: Document, leg_id: UUID | str) -> str:
    """The switch that has the leg: a call can run over several."""
    legs = {it["leg_id"]: it for it in call["legs"]}
    leg = legs.get(str(leg_id), {})
    return str(leg.get("node") or call["node"])


def legs_to_join(
    first: Document, second: Document, leg_id: UUID | None, other_id: UUID | None
) -> tuple[UUID, UUID]:
    """The two legs that are connected when whoever is in both calls leaves.

    Raises Conflict when nobody, or more than one, is in both and the legs are not named.
    """
    if leg_id is None or other_id is None:
        both = _extensions(first) & _extensions(second)
        if len(both) != 1:
            raise Conflict("no single extension is in both calls: name leg_id and with_leg_id")
        leg_id = leg_id or _without(first, both)
        other_id = other_id or _without(second, both)
    return choose_leg(first, leg_id, "first"), choose_leg(second, other_id, "first")


def _extensions(call: Document) -> set[str]:
    return {it["extension_id"] for it in live_legs(call) if it["extension_id"] is not None}


def _without(call: Document, extensions: set[str]) -> UUID:
    left = [it for it in live_legs(call) if it["extension_id"] not in extensions]
    if len(left) != 1:
        raise Conflict("it is not clear which leg of a call stays: name leg_id and with_leg_id")
    return UUID(left[0]["leg_id"])
