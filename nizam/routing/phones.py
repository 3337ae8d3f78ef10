"""The phones of an extension, as one leg of a call."""

from __future__ import annotations

from collections.abc import Sequence

from nizam.model.extension import Extension
from nizam.routing.context import Routing
from nizam.routing.facts import Contact
from nizam.routing.nodes import elsewhere
from nizam.routing.peer_calls import sealed
from nizam.routing.plan import Elsewhere, Phone, Phones, UserLeg
from nizam.routing.recording import of_callee
from nizam.routing.rows import Entry
from nizam.routing.snapshot import TenantView
from nizam.routing.tokens import RingHere, write_token


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
    return UserLeg(
        entry.body.number,
        routing.tenant.domain,
        timeout_seconds,
        delay_seconds,
        confirm,
        auto_answer=auto_answer,
        phones=_phones(routing, entry),
        record=None if confirm else of_callee(routing, entry),
        # What has it answer by itself would be lost on the way.
        elsewhere=None if auto_answer else _elsewhere(routing, entry),
    )


def is_busy(routing: Routing, entry: Entry[Extension]) -> bool:
    """Whether a call of the extension is up or rings."""
    return routing.facts.live.legs(routing.view.id, entry.id) > 0


def _phones(routing: Routing, entry: Entry[Extension]) -> Phones | None:
    """Where the phones are, if the switch that asks would ring only one of several.

    What the switch knows of its registrations is never behind; what is known here can be, by the
    time that an event takes.
    """
    extension = entry.body
    here = _here(routing, extension.number)
    if len(here) < 2:
        return None
    routing.note("phones", "matched", f"{extension.number} is registered {len(here)} times", entry)
    return _described(routing, entry, tuple(Phone(it.uri, it.profile) for it in here))


def phones_at(
    view: TenantView, entry: Entry[Extension], known: Sequence[Contact], node: str
) -> Phones | None:
    """The phones of an extension at a switch, of those that are `known`, if there are several."""
    here = tuple(Phone(it.uri, it.profile) for it in known if it.node == node)
    return None if len(here) < 2 else _of_extension(view, entry, here)


def _here(routing: Routing, number: str) -> list[Contact]:
    known = routing.facts.live.contacts(routing.view.id, number)
    # A dry run is asked by no switch: then it is as at that with the newest registration.
    node = routing.request.node or (known[0].node if known else "")
    return [it for it in known if it.node == node]


def _elsewhere(routing: Routing, entry: Entry[Extension]) -> Elsewhere | None:
    """The phones at other switches; a call from another switch goes no further."""
    addresses = elsewhere(routing, entry)
    if not addresses:
        return None
    token = write_token(RingHere(routing.view.id, entry.id))
    call_id = routing.request.call_id or routing.request.unique_id
    here = bool(_here(routing, entry.body.number))
    told = sealed(routing.view.peer_keys, call_id, routing.view.id, entry.id)
    return Elsewhere(addresses, token, told, here, _described(routing, entry, ()))


def _described(routing: Routing, entry: Entry[Extension], registered: tuple[Phone, ...]) -> Phones:
    return _of_extension(routing.view, entry, registered)


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
