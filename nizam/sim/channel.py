"""A channel: one leg of a call, with the state, times and variables that its events show.

The order of headers is FreeSWITCH's: what the event adds, the channel, the caller profile, the
other leg's profile, the variables in the order in which they were last set
(switch_channel_event_set_extended_data).
"""

from __future__ import annotations

import attrs

from nizam.sim import wire
from nizam.sim.core import Core
from nizam.sim.interruption import Interruption, Waiter
from nizam.sim.people import Invite
from nizam.sim.recorded import DIAL_STRING, DIRECTORY, stage

_NO_VARIABLES = frozenset({"DTMF", "CHANNEL_STATE", "CHANNEL_CALLSTATE", "CHANNEL_OUTGOING"})
_VARIABLES_BEFORE_EXTRA = frozenset(
    {
        *("DTMF", "RECORD_START", "RECORD_STOP", "PLAYBACK_START", "PLAYBACK_STOP"),
        *("CHANNEL_EXECUTE", "CHANNEL_EXECUTE_COMPLETE"),
    }
)


@attrs.define
class Times:
    """When things happened, microseconds since the epoch; 0 is never."""

    created: int = 0
    profile_created: int = 0
    answered: int = 0
    progress: int = 0
    progress_media: int = 0
    hangup: int = 0
    transfer: int = 0
    bridged: int = 0
    last_hold: int = 0
    hold_accumulated: int = 0


@attrs.define
class CallerProfile:
    """Who calls whom on this leg, as Caller-*, Other-Leg-* and Hunt-* headers show it."""

    direction: str
    caller_id_name: str
    caller_id_number: str
    destination: str
    context: str
    channel_name: str
    uuid: str
    username: str = ""
    dialplan: str = "XML"
    original_name: str = ""
    original_number: str = ""
    callee_id_name: str = ""
    callee_id_number: str = ""
    network_addr: str = "127.0.0.1"
    ani: str = ""
    source: str = "mod_sofia"
    transfer_source: str = ""
    rdnis: str = ""
    index: int = 1
    hide_name: bool = False
    hide_number: bool = False


@attrs.frozen
class Bound:
    """What a key behind `*` does (bind_meta_app): `on` is a, b, s(ame) or o(pposite leg)."""

    on: str
    application: str
    data: str
    once: bool = False


@attrs.frozen
class DigitAction:
    """What a row of digits does (bind_digit_action); `digits` behind `~` are an expression."""

    realm: str
    digits: str
    application: str
    data: str
    on: str = "self"


@attrs.define(eq=False)
class Channel:
    """A leg. `role` is internal, external, user, gateway or originate (recorded.json)."""

    core: Core
    uuid: str
    role: str
    name: str
    profile: CallerProfile
    fields: dict[str, str]
    presence_id: str = ""
    call_uuid: str = ""
    state: str = "CS_INIT"
    state_number: int = 2
    call_state: str = "DOWN"
    answer_state: str = "ringing"
    hit_dialplan: bool = True
    has_media: bool = False
    hangup_cause: str = ""
    application: str = ""
    application_data: str = ""
    held: bool = False
    times: Times = attrs.field(factory=Times)
    variables: dict[str, wire.Value] = attrs.field(factory=dict)
    other: Channel | None = None
    other_type: str = ""
    other_profile: CallerProfile | None = None
    other_times: Times = attrs.field(factory=Times)
    earlier_profiles: list[tuple[CallerProfile, Times]] = attrs.field(factory=list)
    app_log: list[tuple[str, str, int]] = attrs.field(factory=list)
    extensions: list[tuple[str, str, tuple[tuple[str, str], ...]]] = attrs.field(factory=list)
    recordings: dict[str, int] = attrs.field(factory=dict)
    waiter: Waiter = attrs.field(init=False)
    controlled_by: Waiter | None = None
    at_the_end: wire.Headers = attrs.field(factory=list)
    invite: Invite | None = None
    heard: list[str] = attrs.field(factory=list)
    pressed: str = ""
    typed: list[str] = attrs.field(factory=list)
    collecting: bool = False
    bound: dict[tuple[str, str], Bound] = attrs.field(factory=dict)
    actions: list[DigitAction] = attrs.field(factory=list)
    realm: str = ""
    half_typed: str = ""
    outcalls: list[str] = attrs.field(factory=list)
    sent_keys: str = ""
    aside: list[tuple[str, str]] | None = None
    muted: bool = False
    listeners: list[tuple[str, str]] = attrs.field(factory=list)

    def __attrs_post_init__(self) -> None:
        self.waiter = Waiter(self.core.clock)
        self.call_uuid = self.call_uuid or self.uuid

    @property
    def ended(self) -> bool:
        """Whether the leg was hung up."""
        return bool(self.hangup_cause)

    @property
    def answered(self) -> bool:
        """Whether the leg was ever answered."""
        return self.times.answered > 0

    @property
    def bridged(self) -> bool:
        """Whether the leg is connected with another at this moment."""
        return "bridge_to" in self.variables

    def hear(self, sound: str) -> None:
        """Whoever holds the phone of this leg hears `sound`; the same one again is no news."""
        if not self.heard or self.heard[-1] != sound:
            self.heard.append(sound)

    def wake(self, reason: Interruption) -> None:
        """Tells whoever runs this leg: its own dialplan is interrupted, another's looks again."""
        if self.controlled_by is None:
            self.waiter.interrupt(reason)
        else:
            self.controlled_by.poke()

    def join(self, other: Channel, as_type: str, times: Times) -> None:
        """Makes `other` the other leg; its profile is copied, as FreeSWITCH clones it.

        `as_type` is what it is to this leg: originator or originatee.
        """
        self.other, self.other_type = other, as_type
        self.other_profile, self.other_times = attrs.evolve(other.profile), times

    def part(self) -> None:
        """There is no other leg any more."""
        self.other, self.other_type, self.other_profile = None, "", None

    def set(self, name: str, value: wire.Value | None) -> None:
        """Sets a channel variable, which moves to the end; None removes it."""
        self.variables.pop(name, None)
        if value is not None:
            self.variables[name] = value

    def get(self, name: str) -> str | None:
        """A variable's value as text, or None."""
        value = self.variables.get(name)
        return "ARRAY::" + "|:".join(value) if isinstance(value, list) else value

    def append(self, name: str, value: str) -> None:
        """Adds to a variable, which becomes an array where it is with the second value."""
        before = self.variables.get(name, [])
        values = [*(before if isinstance(before, list) else [before]), value]
        self.variables[name] = values if len(values) > 1 else value

    def touch(self, *names: str) -> None:
        """Sets variables again to what they are, which moves them to the end."""
        for name in names:
            if name in self.variables:
                self.set(name, self.variables[name])

    def reach(
        self,
        name: str,
        directory: wire.Headers | None = None,
        dialled: wire.Headers | None = None,
        only: str = "",
    ) -> None:
        """Takes the variables of the stage `name`, with the directory's and the dialled ones.

        `only` takes no more than the one of that name.
        """
        placed = False
        for variable, value in stage(self.role, name, self.fields):
            if only:
                if variable == only:
                    self.set(variable, value)
            elif variable == DIRECTORY:
                self._set_all(directory)
            elif variable == DIAL_STRING:
                placed = True
                self._set_all(dialled)
            else:
                self.set(variable, value)
        if not placed:
            self._set_all(dialled)

    def _set_all(self, pairs: wire.Headers | None) -> None:
        for variable, value in pairs or ():
            self.set(variable, value)

    def fire(
        self,
        name: str,
        extra: wire.Headers | None = None,
        *,
        subclass: str | None = None,
        key: str = "",
    ) -> None:
        """Fires an event of this channel; `extra` stands where FreeSWITCH puts it.

        Silent for a channel that the core no longer has: it went with a restart.
        """
        if self.core.channels.get(self.uuid) is not self:
            return

        def headers() -> wire.Headers:
            own = self.headers(variables=name not in _NO_VARIABLES)
            more = extra or []
            return own + more if name in _VARIABLES_BEFORE_EXTRA else more + own

        self.core.fire(name, headers, subclass=subclass, key=key)

    def headers(self, variables: bool = True) -> wire.Headers:
        """Channel-*, Caller-*, Other-Leg-* and variable_* headers of the moment."""
        headers: wire.Headers = [
            ("Channel-State", self.state),
            ("Channel-Call-State", self.call_state),
            ("Channel-State-Number", str(self.state_number)),
            ("Channel-Name", self.name),
            ("Unique-ID", self.uuid),
            ("Call-Direction", self.profile.direction),
            ("Presence-Call-Direction", self.profile.direction),
            ("Channel-HIT-Dialplan", "true" if self.hit_dialplan else "false"),
        ]
        if self.presence_id:
            headers.append(("Channel-Presence-ID", self.presence_id))
        headers.append(("Channel-Call-UUID", self.call_uuid))
        headers.append(("Answer-State", self.answer_state))
        if self.hangup_cause:
            headers.append(("Hangup-Cause", self.hangup_cause))
        if self.has_media:
            headers += [
                ("Channel-Read-Codec-Name", "PCMU"),
                ("Channel-Read-Codec-Rate", "8000"),
                ("Channel-Read-Codec-Bit-Rate", "64000"),
                ("Channel-Write-Codec-Name", "PCMU"),
                ("Channel-Write-Codec-Rate", "8000"),
                ("Channel-Write-Codec-Bit-Rate", "64000"),
            ]
        if self.times.created:  # else it was refused before it had a caller
            headers += profile_headers("Caller", self.profile, self.times)
        if self.other_profile is not None:
            headers.append(("Other-Type", self.other_type))
            headers += profile_headers("Other-Leg", self.other_profile, self.other_times)
        if variables:
            headers += [(f"variable_{name}", value) for name, value in self.variables.items()]
        return headers


def profile_headers(prefix: str, profile: CallerProfile, times: Times) -> wire.Headers:
    """A caller profile as headers named `prefix`-*; empty fields are left out, as recorded."""
    text = [
        ("Direction", profile.direction),
        ("Logical-Direction", "inbound" if prefix == "Other-Leg" else profile.direction),
        ("Username", profile.username),
        ("Dialplan", profile.dialplan),
        ("Caller-ID-Name", profile.caller_id_name),
        ("Caller-ID-Number", profile.caller_id_number),
        ("Orig-Caller-ID-Name", profile.original_name),
        ("Orig-Caller-ID-Number", profile.original_number),
        ("Callee-ID-Name", profile.callee_id_name),
        ("Callee-ID-Number", profile.callee_id_number),
        ("Network-Addr", profile.network_addr),
        ("ANI", profile.ani),
        ("Destination-Number", profile.destination),
        ("Unique-ID", profile.uuid),
        ("Source", profile.source),
        ("Transfer-Source", profile.transfer_source),
        ("Context", profile.context),
        ("RDNIS", profile.rdnis),
        ("Channel-Name", profile.channel_name),
        ("Profile-Index", "" if prefix == "Other-Leg" else str(profile.index)),
    ]
    headers: wire.Headers = [(f"{prefix}-{name}", value) for name, value in text if value]
    headers += [
        (f"{prefix}-Profile-Created-Time", str(times.profile_created)),
        (f"{prefix}-Channel-Created-Time", str(times.created)),
        (f"{prefix}-Channel-Answered-Time", str(times.answered)),
        (f"{prefix}-Channel-Progress-Time", str(times.progress)),
        (f"{prefix}-Channel-Progress-Media-Time", str(times.progress_media)),
        (f"{prefix}-Channel-Hangup-Time", str(times.hangup)),
        (f"{prefix}-Channel-Transfer-Time", str(times.transfer)),
        (f"{prefix}-Channel-Resurrect-Time", "0"),
        (f"{prefix}-Channel-Bridged-Time", str(times.bridged)),
        (f"{prefix}-Channel-Last-Hold", str(times.last_hold)),
        (f"{prefix}-Channel-Hold-Accum", str(times.hold_accumulated)),
        (f"{prefix}-Screen-Bit", "true"),
        (f"{prefix}-Privacy-Hide-Name", "true" if profile.hide_name else "false"),
        (f"{prefix}-Privacy-Hide-Number", "true" if profile.hide_number else "false"),
    ]
    return headers
