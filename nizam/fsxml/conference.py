"""conference.conf: the profile of the one conference room that a caller is about to enter.

The PINs are here and not in the dialplan, where traces and explanations would show them.
"""

from __future__ import annotations

from nizam.fsxml import values
from nizam.fsxml.request import XmlRequest
from nizam.fsxml.reveal import Reveal
from nizam.fsxml.writer import NOT_FOUND, child, document, pairs, to_bytes
from nizam.model.conference_room import ConferenceRoom
from nizam.routing.snapshot import Entry, Snapshot, TenantView
from nizam.routing.tokens import room_id, room_name

_CONTROLS = "nizam"
_PIN_SOUND = "tone_stream://%(200,100,500)"
"""Without a sound that asks for the PIN, FreeSWITCH throws the caller out."""
_BAD_PIN_SOUND = "tone_stream://%(200,100,300)"


def conference_conf(snapshot: Snapshot, request: XmlRequest, reveal: Reveal) -> bytes:
    """The profile named by `profile_name`; not found if no tenant has the room."""
    identifier = room_id(request.field("profile_name"))
    if identifier is None:
        return NOT_FOUND
    for view in snapshot.tenants():
        entry = view.get(ConferenceRoom, identifier)
        if entry is not None:
            usable = entry.body.enabled and view.tenant.status in {"trial", "active"}
            return _profile(view, entry, reveal) if usable else NOT_FOUND
    return NOT_FOUND


def _profile(view: TenantView, entry: Entry[ConferenceRoom], reveal: Reveal) -> bytes:
    room = entry.body
    pins = {
        field: reveal(sealed, "conference_room", entry.id, field)
        for field, sealed in entry.secrets.items()
    }
    flags = ["livearray-sync"]
    if room.wait_for_moderator and "moderator_pin" in pins:
        flags.append("wait-mod")
    root, section = document("configuration")
    configuration = child(
        section, "configuration", name="conference.conf", description="Conference"
    )
    controls = child(child(configuration, "caller-controls"), "group", name=_CONTROLS)
    for action, digits in (("mute", "0"), ("hangup", "#")):
        child(controls, "control", action=action, digits=digits)
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
