"""mod_conference: rooms served by conference.conf, with PINs, limits and keys.

The events are the recorded ones; what is asked is asked for each caller, whether the room exists
or not, and once more for the keys of each who has entered (conference_member_bind_controls).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import attrs
import orjson

from nizam.sim import endings, keypad, legs, media, wire
from nizam.sim.answers import Action
from nizam.sim.channel import Channel
from nizam.sim.expansion import expand
from nizam.sim.interruption import LegEnded
from nizam.sim.script import Script

if TYPE_CHECKING:
    from nizam.sim.call import Call
    from nizam.sim.exchange import Exchange

_SUBCLASS = "conference::maintenance"
_PIN_SECONDS = 10.0


@attrs.define(eq=False)
class Member:
    """Somebody in a room."""

    id: int
    call: Call
    moderator: bool
    joined_at: float
    muted: bool = False
    ends_it: bool = False
    leaves: bool = False

    @property
    def channel(self) -> Channel:
        """The member's leg."""
        return self.call.channel


@attrs.define(eq=False)
class Conference:
    """A room that exists because somebody is in it; `params` are its profile's."""

    name: str
    profile: str
    unique_id: str
    params: Mapping[str, str]
    started_at: float
    members: list[Member] = attrs.field(factory=list)
    floor: int | None = None
    recorded: tuple[str, float] | None = None
    """The file that it is recorded into, and since when."""

    @property
    def flags(self) -> set[str]:
        """The conference-flags of the profile."""
        return set(self.params.get("conference-flags", "").split("|"))

    def headers(self) -> wire.Headers:
        """What every event of the room begins with."""
        return [
            ("Conference-Name", self.name),
            ("Conference-Domain", self.params.get("domain", "")),
            ("Conference-Size", str(len(self.members))),
            ("Conference-Ghosts", "0"),
            ("Conference-Profile-Name", self.profile),
            ("Conference-Unique-ID", self.unique_id),
        ]


async def set_auto_outcall(call: Call, data: str) -> None:
    """`conference_set_auto_outcall DIALSTRING`: who is called into the next conference."""
    call.channel.outcalls.append(data)


async def enter(call: Call, data: str) -> None:
    """`conference NAME@PROFILE[+PIN][+flags{...}]`: until the caller or a key ends it."""
    exchange, channel = call.exchange, call.channel
    address, _, rest = data.partition("+")
    name, _, profile = address.partition("@")
    profile = profile or "default"
    answered = await exchange.questions.conference(channel, name, profile)
    call.check()
    if answered is None:
        call.problem(f"no conference profile {profile!r}")
        return
    room = exchange.conferences.get(name)
    if room is None:
        now = exchange.core.clock.seconds()
        room = Conference(name, profile, exchange.core.new_uuid(), answered, now)
        exchange.conferences[name] = room
        _tell(exchange, room, "conference-create")
    channel.set("conference_name", name)
    channel.set("conference_uuid", room.unique_id)
    legs.answer_inbound(channel)
    try:
        pin = "" if "{" in rest.partition("+")[0] else rest.partition("+")[0]
        moderator = await _admitted(call, room, pin)
    except BaseException:
        _destroy_if_empty(exchange, room)
        raise
    if moderator is None:
        call.proofs.append("refused by the conference")
        _destroy_if_empty(exchange, room)
        return
    limit = room.params.get("max-members", "")
    if limit.isdigit() and 0 < int(limit) <= len(room.members):
        call.proofs.append("conference full")
        if "maxmember-sound" in room.params:
            await media.play(call, room.params["maxmember-sound"])
        return
    if "moderator" in rest:
        moderator = True
    flags = frozenset(rest.partition("flags{")[2].partition("}")[0].split("|"))
    _call_out(call, room)
    await _stay(call, room, moderator, flags)


def _call_out(call: Call, room: Conference) -> None:
    """Rings each of whom the dialplan has named (conference_loop.c); they come in by themselves."""
    exchange, channel = call.exchange, call.channel
    if not channel.outcalls or exchange.owner is None:
        return
    profile = channel.get("conference_auto_outcall_profile") or "default"
    flags = channel.get("conference_utils_auto_outcall_flags")
    entering = Action(
        "conference", f"{room.name}@{profile}" + (f"+flags{{{flags}}}" if flags else "")
    )
    shown = "".join(
        f"{{origination_caller_id_{name}='{channel.get(f'conference_auto_outcall_caller_id_{name}')}'}}"
        for name in ("name", "number")
    )
    for dial_string in channel.outcalls:
        script = Script("outcall", domain="", dialled="", talk=None)
        exchange.truth.placed += 1
        exchange.spawn(exchange.owner.originate(shown + dial_string, script, entering))
    channel.outcalls.clear()


async def _admitted(call: Call, room: Conference, given: str) -> bool | None:
    """Whether the caller is a moderator; None when the PIN was wrong too often."""
    channel = call.channel
    member_pin = given or room.params.get("pin", "")
    moderator_pin = channel.get("conference_moderator_pin") or room.params.get("moderator-pin", "")
    if not member_pin and not moderator_pin:
        return False
    for _ in range(int(room.params.get("pin-retries", "3"))):
        prompt = room.params.get("pin-sound", "conference/conf-pin.wav")
        await media.play(call, prompt, keys_end_it=True)
        longest = max(len(member_pin), len(moderator_pin))
        pressed = await keypad.collect(
            call, longest, timeout=_PIN_SECONDS, digit_timeout=_PIN_SECONDS
        )
        if pressed.digits and pressed.digits == moderator_pin:
            return True
        if pressed.digits == member_pin:
            return False
        channel.typed.clear()
        await media.play(call, room.params.get("bad-pin-sound", "conference/conf-bad-pin.wav"))
    return None


async def _stay(call: Call, room: Conference, moderator: bool, flags: frozenset[str]) -> None:
    exchange, channel = call.exchange, call.channel
    exchange.conference_members += 1
    muted = "mute" in flags | _member_flags(room)
    number, now = exchange.conference_members, exchange.core.clock.seconds()
    member = Member(number, call, moderator, now, muted, "endconf" in flags)
    room.members.append(member)
    channel.set("conference_member_id", str(member.id))
    _tell_of(exchange, room, member, "add-member")
    call.proofs.append(f"conference {room.name}")
    try:
        controls = await exchange.questions.conference_controls(
            channel, room.name, room.profile, room.params.get("caller-controls", "default")
        )
        call.check()
        _floor(exchange, room, member)
        _record(call, room)
        _hear_company(room)
        if member.muted:
            channel.hear("conference muted")
        call.on_key = lambda digit: _key(exchange, room, member, controls.get(digit, ""))
        if call.script.talk is not None:
            call.later(call.script.talk, call.caller_hangs_up)
        while not member.leaves:
            await channel.waiter.sleep(None)
    finally:
        call.on_key = None
        room.members.remove(member)
        _floor(exchange, room, None)
        _tell_of(exchange, room, member, "del-member")
        if room.members and room.floor is None:
            _floor(exchange, room, room.members[0])
        if member.ends_it and not any(it.ends_it for it in room.members):
            for other in list(room.members):
                kick(other)
        _destroy_if_empty(exchange, room)
        _hear_company(room)


def kick(member: Member) -> None:
    """Throws somebody out, whose leg is hung up."""
    if endings.hang_up(member.channel, "NORMAL_CLEARING", "send_bye"):
        member.channel.wake(LegEnded())


def command(exchange: Exchange, room: Conference, action: str, who: str) -> str:
    """`conference NAME mute|unmute|kick ID|all`."""
    chosen = [it for it in room.members if who in ("all", str(it.id))]
    if not chosen:
        return "Non-Existant ID\n"
    for member in chosen:
        if action == "kick":
            _tell_of(exchange, room, member, "kick-member")
            kick(member)
        else:
            _mute(exchange, room, member, action == "mute")
    return f"+OK {action} {who}\n"


def listed(exchange: Exchange) -> str:
    """`conference json_list`: every room with its members (conference_jlist, mod_conference.c)."""
    now = exchange.core.clock.seconds()
    rooms = [
        {
            "conference_name": room.name,
            "member_count": len(room.members),
            "conference_uuid": room.unique_id,
            "run_time": int(now - room.started_at),
            "members": [
                {
                    "type": "caller",
                    "id": it.id,
                    "flags": {"can_speak": _speaks(room, it), "is_moderator": it.moderator},
                    "uuid": it.channel.uuid,
                    "caller_id_name": it.channel.profile.caller_id_name,
                    "caller_id_number": it.channel.profile.caller_id_number,
                    "join_time": int(now - it.joined_at),
                }
                for it in room.members
            ],
        }
        for room in exchange.conferences.values()
    ]
    return orjson.dumps(rooms).decode()


def _speaks(room: Conference, member: Member) -> bool:
    waits = "wait-mod" in room.flags and not _has_moderator(room)
    return not member.muted and (member.moderator or not waits)


def _key(exchange: Exchange, room: Conference, member: Member, action: str) -> None:
    if action == "mute":
        _mute(exchange, room, member, not member.muted)
    elif action == "hangup":  # leaves the room; the dialplan goes on
        member.leaves = True
        member.channel.waiter.poke()


def _mute(exchange: Exchange, room: Conference, member: Member, on: bool) -> None:
    member.muted = on
    member.channel.hear("conference muted" if on else "conference unmuted")
    _tell_of(exchange, room, member, "mute-member" if on else "unmute-member")


def _hear_company(room: Conference) -> None:
    """Everybody hears each other, or music while alone or without the moderator."""
    waiting = "wait-mod" in room.flags and not any(it.moderator for it in room.members)
    for member in room.members:
        if waiting or len(room.members) == 1:
            music = room.params.get("moh-sound")
            if music:
                member.channel.hear(music)
            continue
        member.channel.hear(f"conference of {len(room.members)}")


def _floor(exchange: Exchange, room: Conference, entered: Member | None) -> None:
    old = room.floor
    if entered is not None and old is None:
        room.floor = entered.id
    elif entered is None and old is not None and all(it.id != old for it in room.members):
        room.floor = None
    if room.floor == old:
        return
    details: wire.Headers = [
        ("Action", "floor-change"),
        ("Old-ID", str(old) if old else "none"),
    ]
    new: wire.Headers = [("New-ID", str(room.floor) if room.floor else "none")]
    if entered is None:
        exchange.core.fire(
            "CUSTOM",
            lambda: [*room.headers(), *details, *new],
            subclass=_SUBCLASS,
            key=f"{_SUBCLASS} floor-change",
        )
    else:
        _fire(exchange, room, entered, "floor-change", [*room.headers(), *details], new)


def _record(call: Call, room: Conference) -> None:
    """Begins to record a conference that is to be, into a file named by its first caller."""
    path = room.params.get("auto-record")
    if path and room.recorded is None:
        path = expand(path, {"uuid": call.channel.uuid}.get)
        room.recorded = (path, call.exchange.core.clock.seconds())
        _tell(call.exchange, room, "start-recording", [("Path", path)])


def _stop_recording(exchange: Exchange, room: Conference) -> None:
    if room.recorded is None:
        return
    path, since = room.recorded
    seconds = exchange.core.clock.seconds() - since
    details = [
        ("Path", path),
        ("Other-Recordings", "false"),
        ("Samples-Out", str(int(seconds * 8000))),
        ("Samplerate", "8000"),
        ("Milliseconds-Elapsed", str(int(seconds * 1000))),
        ("Record-File-Size", str(int(seconds * 8000) * 2 + 44)),
    ]
    _tell(exchange, room, "stop-recording", details)


def _tell(
    exchange: Exchange, room: Conference, action: str, details: Sequence[tuple[str, str]] = ()
) -> None:
    exchange.core.fire(
        "CUSTOM",
        lambda: [*room.headers(), ("Action", action), *details],
        subclass=_SUBCLASS,
        key=f"{_SUBCLASS} {action}",
    )


def _tell_of(exchange: Exchange, room: Conference, member: Member, action: str) -> None:
    _fire(exchange, room, member, action, [], [("Action", action)])


def _fire(
    exchange: Exchange,
    room: Conference,
    member: Member,
    action: str,
    before: wire.Headers,
    after: wire.Headers,
) -> None:
    channel = member.channel
    if channel.uuid not in exchange.core.channels:
        return

    def headers() -> wire.Headers:
        own = channel.headers(variables=False)
        state: wire.Headers = [
            ("Video", "false"),
            ("Hear", "true"),
            ("See", "true"),
            ("Speak", "true" if _speaks(room, member) else "false"),
            ("Talking", "false"),
            ("Mute-Detect", "false"),
            ("Hold", "false"),
            ("Member-ID", str(member.id)),
            ("Member-Type", "moderator" if member.moderator else "member"),
            ("Member-Ghost", "false"),
            ("Energy-Level", room.params.get("energy-level", "100")),
            ("Current-Energy", "0"),
        ]
        floor = ("Floor", "true" if room.floor == member.id else "false")
        return [*before, *room.headers(), floor, *own, *state, *after]

    exchange.core.fire("CUSTOM", headers, subclass=_SUBCLASS, key=f"{_SUBCLASS} {action}")


def _has_moderator(room: Conference) -> bool:
    return any(it.moderator for it in room.members)


def _member_flags(room: Conference) -> set[str]:
    return set(room.params.get("member-flags", "").split("|"))


def _destroy_if_empty(exchange: Exchange, room: Conference) -> None:
    if not room.members and exchange.conferences.pop(room.name, None) is not None:
        _stop_recording(exchange, room)
        _tell(exchange, room, "conference-destroy")
