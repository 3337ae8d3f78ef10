"""The phones of an extension, as one leg of a call."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from nizam.fsxml.values import is_address
from nizam.model.extension import Extension
from nizam.routing.context import Routing
from nizam.routing.facts import Contact, Live
from nizam.routing.nodes import addresses, elsewhere
from nizam.routing.peer_calls import sealed
from nizam.routing.plan import Elsewhere, Phone, Phones, UserLeg
from nizam.routing.recording import of_callee
from nizam.routing.rows import Entry
from nizam.routing.snapshot import TenantView
from nizam.routing.tokens import RingHere, phone_mark, write_token


def phone_leg(
    routing: Routing,
    entry: Entry[Extension],
    *,
    timeout_seconds: int | None = None,
    delay_seconds: int = 0,
    confirm: bool = False,
    auto_answer: bool = False,
) -> UserLeg:
    """The leg that rings the extension, on every phone of it."""
    known = routing.facts.live.contacts(routing.view.id, entry.body.number)
    return UserLeg(
        entry.body.number,
        routing.tenant.domain,
        timeout_seconds,
        delay_seconds,
        confirm,
        auto_answer=auto_answer,
        phones=_phones(routing, entry, known),
        record=None if confirm else of_callee(routing, entry),
        elsewhere=_elsewhere(routing, entry, known, auto_answer=auto_answer),
    )


def leg_of_each_phone(leg: UserLeg, routing: Routing, entry: Entry[Extension]) -> list[UserLeg]:
    """The leg once for each phone, here and at other switches: of one leg with several phones only
    the first that answers would be connected."""
    alone = attrs.evolve(leg, record=None, elsewhere=None)
    if leg.phones is not None:
        one = [attrs.evolve(leg.phones, registered=(it,)) for it in leg.phones.registered]
        found = [attrs.evolve(alone, phones=it) for it in one]
    else:
        found = [alone] if leg.elsewhere is None or leg.elsewhere.here else []
    if leg.elsewhere is None:
        return found
    live, view = routing.facts.live, routing.view
    for it in live.contacts(view.id, entry.body.number):
        address = live.node_address(it.node)
        if it.node != routing.request.node and address in leg.elsewhere.addresses:
            token = RingHere(view.id, entry.id, "speak", phone_mark(it.uri))
            away = attrs.evolve(
                leg.elsewhere, addresses=(address,), token=write_token(token), here=False
            )
            found.append(attrs.evolve(alone, phones=None, elsewhere=away))
    return found


def only_phone(routing: Routing, entry: Entry[Extension], mark: str) -> Phones | None:
    """The phone at this switch that the mark in a token stands for; None if it is not there."""
    here = _here(routing, routing.facts.live.contacts(routing.view.id, entry.body.number))
    found = tuple(Phone(it.uri, it.profile) for it in here if phone_mark(it.uri) == mark)
    return _of_extension(routing.view, entry, found) if found else None


def pickup_leg(routing: Routing, entry: Entry[Extension], address: str) -> UserLeg:
    """The leg to another switch that takes the call which rings at the extension there."""
    token = RingHere(routing.view.id, entry.id, "take")
    call_id = routing.request.call_id or routing.request.unique_id
    # It is no leg of that extension, and makes it no busier.
    phones = attrs.evolve(_of_extension(routing.view, entry, ()), extension_id="")
    away = Elsewhere(
        (address,),
        write_token(token),
        sealed(routing.view.peer_keys, call_id, token),
        here=False,
        phones=phones,
    )
    return UserLeg(entry.body.number, routing.tenant.domain, elsewhere=away)


def is_busy(routing: Routing, entry: Entry[Extension]) -> bool:
    """Whether a call of the extension is up or rings."""
    return routing.facts.live.legs(routing.view.id, entry.id) > 0


def _phones(routing: Routing, entry: Entry[Extension], known: Sequence[Contact]) -> Phones | None:
    """Where the phones are, if the switch that asks would ring only one of several.

    What the switch knows of its registrations is never behind; what is known here can be, by the
    time that an event takes.
    """
    extension = entry.body
    here = _here(routing, known)
    if len(here) < 2:
        return None
    routing.note("phones", "matched", f"{extension.number} is registered {len(here)} times", entry)
    phones = tuple(Phone(it.uri, it.profile) for it in here)
    return _of_extension(routing.view, entry, phones)


def phones_at(
    view: TenantView, entry: Entry[Extension], known: Sequence[Contact], node: str
) -> Phones | None:
    """The phones of an extension at a switch, of those that are `known`, if there are several."""
    here = tuple(Phone(it.uri, it.profile) for it in known if it.node == node)
    return None if len(here) < 2 else _of_extension(view, entry, here)


def _here(routing: Routing, known: Sequence[Contact]) -> list[Contact]:
    # A dry run is asked by no switch: then it is as at that with the newest registration.
    node = routing.request.node or (known[0].node if known else "")
    return [it for it in known if it.node == node]


def _elsewhere(
    routing: Routing, entry: Entry[Extension], known: Sequence[Contact], *, auto_answer: bool
) -> Elsewhere | None:
    """The phones at other switches; a call from another switch goes no further."""
    found = elsewhere(routing, entry, known)
    call_id = routing.request.call_id or routing.request.unique_id
    here = bool(_here(routing, known))
    return _at(routing.view, entry, found, call_id, here=here, auto_answer=auto_answer)


def phones_elsewhere(
    view: TenantView,
    entry: Entry[Extension],
    live: Live,
    node: str,
    call_id: str,
    *,
    auto_answer: bool = False,
) -> Elsewhere | None:
    """The phones of an extension at other switches than `node`, which places the call."""
    known = live.contacts(view.id, entry.body.number)
    found = tuple(it for _, it in addresses(live, known, node) if it is not None and is_address(it))
    here = any(it.node == node for it in known)
    return _at(view, entry, found, call_id, here=here, auto_answer=auto_answer)


def _at(
    view: TenantView,
    entry: Entry[Extension],
    found: tuple[str, ...],
    call_id: str,
    *,
    here: bool,
    auto_answer: bool = False,
) -> Elsewhere | None:
    if not found:
        return None
    token = RingHere(view.id, entry.id, "speak" if auto_answer else "ring")
    told = sealed(view.peer_keys, call_id, token)
    return Elsewhere(found, write_token(token), told, here, _of_extension(view, entry, ()))


def _of_extension(
    view: TenantView, entry: Entry[Extension], registered: tuple[Phone, ...]
) -> Phones:
    extension = entry.body
    own = extension.caller_id
    return Phones(
        registered,
        str(view.id),
        str(entry.id),
        own.internal_name or extension.display_name,
        own.internal_number or extension.number,
        view.srtp,
    )
