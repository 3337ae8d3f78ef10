"""What can be asked of calls under way, and of calls that are to be placed."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints

from nizam.model.base import Value
from nizam.model.values import E164, DialString, HangupCause, InternalNumber, SoundPath, safe_text

VERBS: tuple[str, ...] = (
    "originate",
    "hangup",
    "transfer",
    "hold",
    "park",
    "bridge",
    "play",
    "say",
    "dtmf",
    "record",
    "mute",
    "eavesdrop",
    "whisper",
    "barge",
)
"""The scopes of the commands, after `calls:`. resume goes with hold, unmute with mute."""

RingSeconds = Annotated[int, Field(ge=5, le=120)]
Digits = Annotated[
    str, StringConstraints(pattern=r"^[0-9A-D*#wW]{1,64}$"), Field(examples=["12w34#"])
]
Spoken = Annotated[str, StringConstraints(min_length=1, max_length=1000), AfterValidator(safe_text)]
HeardBy = Literal["both", "leg", "other"]


class Originate(Value):
    """A call to place: the phones of `from` ring, and whoever answers one is connected with what
    `to` leads to, as if it had been dialled there."""

    from_: Annotated[InternalNumber, Field(alias="from")]
    """The number of the extension whose phones ring first."""
    to: DialString
    """What is dialled then: an extension, a number outside, a feature code ..."""
    ring_seconds: RingSeconds = 30
    """How long the phones of `from` may ring."""
    auto_answer: bool = False
    """Whether its phones are asked to answer by themselves, on their loudspeaker."""
    caller_id: E164 | None = None
    """The number that is shown outside: one of the tenant's own. Without it, as when dialled."""


class OfLeg(Value):
    """A command to one leg of the call."""

    leg_id: UUID | None = None
    """The leg; each command says which one it is without it."""


class Hangup(OfLeg):
    """End the whole call, or one leg."""

    cause: HangupCause = "NORMAL_CLEARING"
    """The cause that the phones are told."""


class Transfer(OfLeg):
    """Send a leg elsewhere. Without `leg_id` it is the one that is no extension of the tenant's,
    or else the first."""

    type: Literal["blind", "attended"] = "blind"
    """blind sends the leg to `to`; attended connects it with the call `with_call_id`."""
    to: DialString | None = None
    """Where it goes, of a blind transfer."""
    with_call_id: UUID | None = None
    """The call of the same person with whom it is to be connected, of an attended transfer."""
    with_leg_id: UUID | None = None
    """The leg of that call; without it the one that is not of the person who transfers."""


class Park(OfLeg):
    """Let a leg wait. Without `leg_id` it is the one that is no extension of the tenant's, or
    else the first."""

    lot: InternalNumber | None = None
    """The number of a parking lot; the tenant's first one without it."""


class Bridge(OfLeg):
    """Connect a leg with one of another call; both leave whoever they talk to. Without `leg_id` it
    is the leg that the call began with."""

    other_call_id: UUID
    """The other call."""
    other_leg_id: UUID | None = None
    """Its leg; the one that it began with without it."""


class Play(OfLeg):
    """Play a sound into the call. Without `leg_id` it is the leg that the call began with."""

    sound: SoundPath | None = None
    """A sound as FreeSWITCH reads it."""
    prompt_id: UUID | None = None
    """Or a prompt of the tenant."""
    heard_by: HeardBy = "both"
    """Who hears it: whoever is at the leg, whoever that is connected with, or both."""


class Say(OfLeg):
    """Speak a text into the call. Without `leg_id` it is the leg that the call began with."""

    text: Spoken
    """What is said."""
    heard_by: HeardBy = "both"
    """Who hears it."""


class Dtmf(OfLeg):
    """Send keys to a phone or line. Without `leg_id` it is the leg that is no extension of the
    tenant's, or else the first."""

    digits: Digits
    """The keys; `w` waits half a second, `W` a whole one."""
    duration_ms: Annotated[int, Field(ge=50, le=1000)] = 100
    """How long each is pressed."""


class StartRecording(OfLeg):
    """Record a call. Without `leg_id` it is the leg that the call began with."""

    max_seconds: Annotated[int, Field(ge=1, le=86_400)] | None = None
    """After how long it ends by itself."""


class Supervise(OfLeg):
    """Ring a supervisor, who then hears the call. Without `leg_id` it is the leg of an extension
    of the tenant's."""

    by: InternalNumber
    """The number of the supervisor's extension."""
    ring_seconds: RingSeconds = 30
    """How long its phones may ring."""
