"""conference.conf: the profile of the one conference room that a caller is about to enter, and
then the keys that the caller can press in it.

The PINs are here and not in the dialplan, where traces and explanations would show them.
"""

from __future__ import annotations

from datetime import datetime

from nizam.fsxml import values
from nizam.fsxml.request import XmlRequest
from nizam.fsxml.reveal import Reveal
from nizam.fsxml.writer import NOT_FOUND, Element, child, document, pairs, to_bytes
from nizam.model.conference_room import ConferenceRoom
from nizam.routing.places import room_of
from nizam.routing.recording import recording_folder
from nizam.routing.rows import Entry
from nizam.routing.snapshot import Snapshot, TenantView
from nizam.routing.sounds import find_sound, hold_music
from nizam.routing.tokens import page_name, page_tenant, room_name

_CONTROLS = "nizam"
_PIN_SOUND = "tone_stream://%(200,100,500)"
"""Without a sound that asks for the PIN, FreeSWITCH throws the caller out."""
_TONES = (
    ("bad-pin-sound", "tone_stream://%(200,100,300)"),
    ("muted-sound", "tone_stream://%(100,0,400)"),
    ("unmuted-sound", "tone_stream://%(100,0,600)"),
    # Of those who come when nobody more may enter: busy.
    ("max-members-sound", "tone_stream://%(500,500,480,620);loops=3"),
)
"""Tones, since sound files are not on every node: what is missing would be an error in its log."""

_AUDIO = (
    ("rate", "8000"),
    ("interval", "20"),
    ("energy-level", "100"),
    ("comfort-noise", "true"),
)
_ANNOUNCED = (
    ("enter-sound", "tone_stream://%(200,0,500,600,700)"),
    ("exit-sound", "tone_stream://%(500,0,300,200,100,50,25)"),
)
_MUSIC = "local_stream://default"
"""What those who wait hear without music of the tenant's: that of the node."""


def conference_conf(
    snapshot: Snapshot, request: XmlRequest, reveal: Reveal, now: datetime
) -> bytes:
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
    profile = request.field("profile_name")
    paged = page_tenant(profile)
    view = None if paged is None else snapshot.tenant(paged)
    if view is not None:
        return _page(view)
    found = room_of(snapshot, profile)
    if found is None:
        return NOT_FOUND
    view, entry = found
    usable = entry.body.enabled and view.tenant.status in {"trial", "active"}
    return _profile(view, entry, reveal, now) if usable else NOT_FOUND


def _configuration() -> tuple[Element, Element]:
    root, section = document("configuration")
    return root, child(section, "configuration", name="conference.conf", description="Conference")


def _controls(configuration: Element) -> None:
    controls = child(child(configuration, "caller-controls"), "group", name=_CONTROLS)
    # Not "#", which FreeSWITCH's own configuration hangs up by: it reads just as many digits as the
    # PIN has, and whoever ends a PIN with "#" would be thrown out.
    child(controls, "control", action="mute", digits="0")


def _profile(
    view: TenantView, entry: Entry[ConferenceRoom], reveal: Reveal, now: datetime
) -> bytes:
    room = entry.body
    pins = {
        field: reveal(sealed, "conference_room", entry.id, field)
        for field, sealed in entry.secrets.items()
    }
    # One who cannot come would be waited for for ever.
    waits = room.wait_for_moderator and "moderator_pin" in pins
    asks = None if room.pin_sound is None else find_sound(view, room.pin_sound).path
    music = hold_music(view)
    root, configuration = _configuration()
    _controls(configuration)
    profile = child(child(configuration, "profiles"), "profile", name=room_name(entry.id))
    pairs(
        profile,
        "param",
        (
            ("domain", values.domain(view.tenant.domain)),
            *_AUDIO,
            ("pin-sound", _PIN_SOUND if asks is None else values.sound(asks)),
            *_TONES,
            *(_ANNOUNCED if room.announce else ()),
            ("moh-sound", _MUSIC if music is None else values.playlist(music[1])),
            ("caller-controls", _CONTROLS),
            ("moderator-controls", _CONTROLS),
            ("pin", pins.get("member_pin")),
            ("moderator-pin", pins.get("moderator_pin")),
            ("max-members", str(room.max_members) if room.max_members else None),
            ("member-flags", "mute" if room.mute_on_entry else None),
            ("conference-flags", "wait-mod" if waits else None),
            ("auto-record", _recording(view, now) if room.record else None),
        ),
    )
    return to_bytes(root)


def _page(view: TenantView) -> bytes:
    """The profile of the tenant's pages: no PIN, no tones but the caller's, nothing to press."""
    root, configuration = _configuration()
    profile = child(child(configuration, "profiles"), "profile", name=page_name(view.id))
    pairs(
        profile,
        "param",
        (
            ("domain", values.domain(view.tenant.domain)),
            *_AUDIO,
            ("caller-controls", "none"),
        ),
    )
    return to_bytes(root)


def _recording(view: TenantView, now: datetime) -> str | None:
    """The file of each time that the conference is held, named by the channel that began it; none
    without a media root."""
    folder = recording_folder(view, now)
    return None if folder is None else f"{values.sound(folder)}/${{uuid}}.wav"
