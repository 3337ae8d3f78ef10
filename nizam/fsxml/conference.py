"""conference.conf: the profile of the one conference room that a caller is about to enter, and
then the keys that the caller can press in it.

The PINs are here and not in the dialplan, where traces and explanations would show them.
"""

from __future__ import annotations

from nizam.fsxml import values
from nizam.fsxml.request import XmlRequest
from nizam.fsxml.reveal import Reveal
from nizam.fsxml.writer import NOT_FOUND, Element, child, document, pairs, to_bytes
from nizam.model.conference_room import ConferenceRoom
from nizam.routing.snapshot import Entry, Snapshot, TenantView
from nizam.routing.tokens import room_id, room_name

_CONTROLS = "nizam"
_PIN_SOUND = "tone_stream://%(200,100,500)"
"""Without a sound that asks for the PIN, FreeSWITCH throws the caller out."""
_BAD_PIN_SOUND = "tone_stream://%(200,100,300)"


def conference_conf(snapshot: Snapshot, request: XmlRequest, reveal: Reveal) -> bytes:
    """The profile named by `profile_name`; not found if no tenant has the room.

    mod_conference also asks for rooms to advertise when it loads, which are none, and for the keys
    of each caller who has entered (conference_member.c).
    """
    if request.field("presence") == "true":
        return to_bytes(_configuration()[0])
    if request.field("Action") == "request-controls":
        if request.field("Controls") != _CONTROLS:
            return NOT_FOUND
        root, configuration = _configuration()
        _controls(configuration)
        return to_bytes(root)
    identifier = room_id(request.field("profile_name"))
    if identifier is None:
        return NOT_FOUND
    for view in snapshot.tenants():
        entry = view.get(ConferenceRoom, identifier)
        if entry is not None:
            usable = entry.body.enabled and view.tenant.status in {"trial", "active"}
            return _profile(view, entry, reveal) if usable else NOT_FOUND
    return NOT_FOUND


def _configuration() -> tuple[Element, Element]:
    root, section = document("configuration")
    return root, child(section, "configuration", name="conference.conf", description="Conference")


def _controls(configuration: Element) -> None:
    controls = child(child(configuration, "caller-controls"), "group", name=_CONTROLS)
    for action, digits in (("mute", "0"), ("hangup", "#")):
        child(controls, "control", action=action, digits=digits)


def _profile(view: TenantView, entry: Entry[ConferenceRoom], reveal: Reveal) -> bytes:
    room = entry.body
    pins = {
        field: reveal(sealed, "conference_room", entry.id, field)
        for field, sealed in entry.secrets.items()
    }
    flags = ["livearray-sync"]
    if room.wait_for_moderator and "moderator_pin" in pins:
        flags.append("wait-mod")
    root, configuration = _configuration()
    _controls(configuration)
    profile = child(child(configuration, "profiles"), "profile", name=room_name(entry.id))
    pairs(
        profile,
        "param",
        (
            ("domain", values.domain(view.tenant.domain)),
            ("rate", "8000"),
            ("interval", "20"),
            ("energy-level", "100"),
            ("comfort-noise", "true"),
            ("pin-sound", _PIN_SOUND),
            ("bad-pin-sound", _BAD_PIN_SOUND),
            ("caller-controls", _CONTROLS),
            ("moderator-controls", _CONTROLS),
            ("pin", pins.get("member_pin")),
            ("moderator-pin", pins.get("moderator_pin")),
            ("max-members", str(room.max_members) if room.max_members else None),
            ("member-flags", "mute" if room.mute_on_entry else None),
            ("conference-flags", "|".join(flags)),
        ),
    )
    return to_bytes(root)
