"""What a call is to do, as typed steps; `nizam.fsxml.dialplan` writes them as XML.

A step holds meanings, never FreeSWITCH's syntax, so that a plan can be shown, compared and tested
without reading dial-strings.
"""

from __future__ import annotations

from typing import Literal

import attrs

from nizam.model.sip_profile import Srtp

ContinueOn = Literal["never", "always"] | tuple[str, ...]
"""On which hangup causes of a bridge the plan goes on with its next step."""


@attrs.frozen
class Set:
    """Set a variable on this leg alone; `value` may be text that people typed."""

    name: str
    value: str


@attrs.frozen
class Export:
    """Set a variable on this leg and on every leg it makes from now on."""

    name: str
    value: str


@attrs.frozen
class Answer:
    """Answer the call (SIP 200)."""


@attrs.frozen
class RingReady:
    """Tell the caller that it rings (SIP 180)."""


@attrs.frozen
class Ringback:
    """While others are rung, let the caller hear this sound instead of a ringing tone."""

    sound: str


@attrs.frozen
class HoldMusic:
    """Whoever is put on hold or parked in this call hears these files, again and again."""

    files: tuple[str, ...]


@attrs.frozen
class RecordCall:
    """Record what both say into this file, while they are connected."""

    path: str


@attrs.frozen
class OfferRecording:
    """While they are connected, let the caller (a), the called (b) or both switch recording on and
    off by a star and `key`."""

    path: str
    key: str
    who: Literal["a", "b", "ab"]


@attrs.frozen
class Sleep:
    """Wait."""

    milliseconds: int


@attrs.frozen
class Phone:
    """A registered phone: its SIP URI, as it has told it itself, and at which SIP profile."""

    uri: str
    profile: str


@attrs.frozen
class Phones:
    """All phones of an extension, with what their legs are told and what the caller sees."""

    registered: tuple[Phone, ...]
    tenant_id: str
    extension_id: str
    name: str
    number: str
    srtp: Srtp = "off"


@attrs.frozen
class Elsewhere:
    """Other switches with phones of the extension, by their SIP addresses, and what is dialled
    there. `call_id` is the id of the call, sealed (nizam.routing.peer_calls); `here` says whether
    there are phones at this switch too."""

    addresses: tuple[str, ...]
    token: str
    call_id: str
    here: bool
    phones: Phones


@attrs.frozen
class UserLeg:
    """Ring the phone of an extension: by what the directory says, or all of `phones`.

    `codecs` are offered to it, those of the SIP profile without them. With `auto_answer` it is
    asked to answer by itself, on its loudspeaker; `record` is the file that the leg is recorded
    into once it has answered. `call_id` is the call that it is of, where FreeSWITCH makes the leg
    apart from the channel that exports it.
    """

    number: str
    domain: str
    timeout_seconds: int | None = None
    delay_seconds: int = 0
    confirm: bool = False
    codecs: str | None = None
    auto_answer: bool = False
    phones: Phones | None = None
    record: str | None = None
    elsewhere: Elsewhere | None = None
    call_id: str | None = None


@attrs.frozen
class Diversion:
    """Who sent a call on, and why (RFC 5806): `number` as the carrier gets it."""

    number: str
    domain: str
    reason: str


@attrs.frozen
class Caller:
    """The caller as a carrier is told of it.

    `number` is written as that carrier wants it, None when there is none that may be shown;
    `header` is where it stands. `privacy` withholds it: `anonymous` takes it out of From too,
    `header` only asks that it be withheld.
    """

    number: str | None
    name: str = ""
    header: Literal["from", "pai", "rpid"] = "from"
    privacy: Literal["none", "anonymous", "header"] = "none"
    diversion: Diversion | None = None


@attrs.frozen
class Location:
    """Where the caller of an emergency call is, and the SIP header that says so."""

    header: str
    text: str


@attrs.frozen
class GatewayLeg:
    """Ring a number through a gateway; gateways are named by their id."""

    gateway_id: str
    number: str
    timeout_seconds: int | None = None
    delay_seconds: int = 0
    confirm: bool = False
    progress_timeout_seconds: int | None = None
    caller: Caller | None = None
    codecs: str | None = None
    location: Location | None = None


Leg = UserLeg | GatewayLeg


@attrs.frozen
class Bridge:
    """Ring `legs` and connect the first that answers.

    `order` says whether they ring together or one after the other; `continue_on` which causes
    lead to the next step. `ring_seconds` limits the ringing as a whole.
    """

    legs: tuple[Leg, ...]
    order: Literal["together", "in_turn"] = "together"
    ring_seconds: int | None = None
    continue_on: ContinueOn = "never"
    ignore_early_media: bool = False


@attrs.frozen
class Voicemail:
    """Take a message for a mailbox, after its greeting: of the mailbox's own choice without one."""

    domain: str
    mailbox: str
    greeting: int | None = None


@attrs.frozen
class VoicemailCheck:
    """Listen to a mailbox; without one the caller is asked which. `authorized` skips the PIN."""

    domain: str
    mailbox: str | None = None
    authorized: bool = False


@attrs.frozen
class RunIvr:
    """Run an IVR; FreeSWITCH asks for its menu by this name."""

    menu: str


@attrs.frozen
class Conference:
    """Enter a conference; FreeSWITCH asks for its profile by the same name."""

    room: str


@attrs.frozen
class Page:
    """Speak to all of `legs`, whose phones answer by themselves; they are heard by nobody.

    `room` is the conference in which that is done, `profile` the name of its settings; it ends
    with the caller, whose `name` and `number` the phones show.
    """

    room: str
    profile: str
    legs: tuple[UserLeg, ...]
    name: str
    number: str


@attrs.frozen
class Park:
    """Wait in the first free slot of a lot, of those from `first` to `last`."""

    lot: str
    first: str
    last: str


@attrs.frozen
class ParkInSlot:
    """Be connected with the call that waits in a slot; wait there if it is empty."""

    lot: str
    slot: str


@attrs.frozen
class Intercept:
    """Be connected with the leg that waits for somebody else to answer, unless that has happened:
    then the plan goes on."""

    leg_id: str


@attrs.frozen
class Transfer:
    """Ask again, for another number or re-entry token in the same tenant's context."""

    destination: str
    context: str


@attrs.frozen
class Playback:
    """Play a sound to the end."""

    sound: str


@attrs.frozen
class CollectDigits:
    """Play a sound, if there is one, and take digits into a channel variable.

    What is pressed counts from `min_digits` on; `terminator` ends it early, none when it is empty.
    Times in milliseconds: until the first digit, and until each further one. The variable is unset
    when nothing counts in any of the attempts.
    """

    variable: str
    min_digits: int
    max_digits: int
    attempts: int
    timeout: int
    digit_timeout: int
    terminator: str = "#"
    sound: str | None = None


@attrs.frozen
class Speak:
    """Speak a text with a text-to-speech engine of the switch."""

    engine: str
    voice: str
    text: str


@attrs.frozen
class SayDigits:
    """Say digits one after the other, with the sounds of a language (two letters)."""

    language: str
    digits: str


@attrs.frozen
class Record:
    """Record the caller into a file, until `#`, some silence or the longest time, in seconds."""

    path: str
    max_seconds: int
    silence_seconds: int


@attrs.frozen
class Echo:
    """Send the caller's audio back."""


@attrs.frozen
class Respond:
    """Refuse with an exact SIP status."""

    status: int
    phrase: str


@attrs.frozen
class Hangup:
    """End the call with this cause."""

    cause: str


Step = (
    Set
    | Export
    | Answer
    | RingReady
    | Ringback
    | HoldMusic
    | RecordCall
    | OfferRecording
    | Sleep
    | Bridge
    | Voicemail
    | VoicemailCheck
    | RunIvr
    | Conference
    | Page
    | Park
    | ParkInSlot
    | Intercept
    | Transfer
    | Playback
    | CollectDigits
    | Speak
    | SayDigits
    | Record
    | Echo
    | Respond
    | Hangup
)

Plan = tuple[Step, ...]
