"""What a caller wants for one call alone: to show or to withhold the own number.

It is dialled before the number, such as *67 and then the number, which goes on as if it had been
dialled alone: a code does not lead past the rules for the number, nor keep a call for help from
being one.
"""

from __future__ import annotations

import attrs

from nizam.routing.context import Routing
from nizam.routing.features import find_code

_WITHHOLDS = {"hide_caller_id": True, "show_caller_id": False}


def take_wishes(routing: Routing) -> None:
    """Take a code for one call from the front of what was dialled, and note what it wishes."""
    withhold: bool | None = None
    if routing.request.caller_hides:
        withhold = True
        routing.note("caller_id", "matched", "the caller's phone withholds the number")
    dialled = routing.request.destination
    found = find_code(routing, dialled) if dialled.startswith(("*", "#")) else None
    if found is not None and found[1] and found[0].body.feature in _WITHHOLDS:
        entry, number = found
        withhold = _WITHHOLDS[entry.body.feature]
        words = "withheld" if withhold else "shown"
        routing.note("feature_code", "matched", f"the number is {words} on this call", entry)
        routing.request = attrs.evolve(routing.request, destination=number)
    if withhold is not None:
        routing.rights = attrs.evolve(routing.rights, withhold=withhold)
