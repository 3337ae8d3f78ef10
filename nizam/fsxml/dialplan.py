"""A plan as a dialplan document: one context, one extension, one condition without attributes.

FreeSWITCH takes no other form: without a condition the call is not found, and a condition that
captures makes `$1` in the data vanish.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from nizam.fsxml import values
from nizam.fsxml.legs import RECORDED, leg
from nizam.fsxml.writer import NOT_FOUND, dialplan
from nizam.routing.decision import Decision
from nizam.routing.plan import (
    Answer,
    Bridge,
    CollectDigits,
    Conference,
    ContinueOn,
    Echo,
    Export,
    Hangup,
    HoldMusic,
    Intercept,
    OfferRecording,
    Page,
    Park,
    ParkInSlot,
    Playback,
    Record,
    RecordCall,
    Respond,
    Ringback,
    RingReady,
    RunIvr,
    SayDigits,
    Set,
    Sleep,
    Speak,
    Step,
    Transfer,
    Voicemail,
    VoicemailCheck,
)

Action = tuple[str, str]

_SILENCE = "silence_stream://250"
# No DTMF event, and no line in FreeSWITCH's log (switch_channel_queue_dtmf in switch_channel.c).
_HIDE_DIGITS: Action = ("set", "sensitive_dtmf=true")
_SHOW_DIGITS: Action = ("unset", "sensitive_dtmf")
_DIGITS = "[0-9*#]+"


def render(decision: Decision, context: str, *, digits_hidden: bool = False) -> bytes:
    """The answer to a dialplan question that hunts in `context`.

    `digits_hidden` says that an earlier answer keeps the channel's digits out of events and logs:
    where none of this plan's are secret, they come back. Raises values.UnsafeValue
    when the plan holds what must not reach FreeSWITCH.
    """
    if not decision.plan:
        return NOT_FOUND
    # Contexts are domains, but what was asked is written back only in the form of a word.
    found = actions(decision.plan)
    if digits_hidden:
        found.insert(0, _SHOW_DIGITS)
    return dialplan(values.word(context), values.text(decision.route), found)


def actions(plan: tuple[Step, ...]) -> list[Action]:
    """The applications of the plan with their data, in order."""
    written: list[Action] = []
    # Set before the first bridge in any case: an earlier answer for the channel may have set it
    # otherwise, and without it FreeSWITCH goes on after no answer, and ends with NORMAL_CLEARING
    # (switch_channel_handle_cause in switch_channel.c).
    continue_on: ContinueOn | None = None
    answered = False
    for step in plan:
        kind = type(step)
        one = _ONE.get(kind)
        if one is not None:
            written.append(one(step))
        elif isinstance(step, Bridge):
            if step.continue_on != continue_on:
                continue_on = step.continue_on
                written.append(("set", f"continue_on_fail={_causes(continue_on)}"))
            written += _bridge(step)
        elif isinstance(step, Answer):
            if not answered:
                written.append(("answer", ""))
            answered = True
        else:
            written += _SEVERAL[kind](step)
    return written


def _set(name: str, value: str) -> Action:
    return "set", f"{name}={value}"


def _causes(continue_on: ContinueOn) -> str:
    if continue_on == "always":
        return "true"
    if continue_on == "never":
        return "false"
    return ",".join(values.cause(it) for it in continue_on)


def _bridge(step: Bridge) -> Iterator[Action]:
    if step.ring_seconds is not None:
        yield _set("call_timeout", str(step.ring_seconds))
    separator = "," if step.order == "together" else "|"
    legs = separator.join(leg(it) for it in step.legs)
    yield "bridge", f"{'{ignore_early_media=true}' if step.ignore_early_media else ''}{legs}"


def _hangup(step: Hangup) -> Iterator[Action]:
    # Otherwise the caller hears what a phone that was rung before has said (sofia_on_hangup in
    # mod_sofia.c).
    yield _set("sip_ignore_remote_cause", "true")
    yield "hangup", values.cause(step.cause)


def _intercept(step: Intercept) -> Iterator[Action]:
    # A call that somebody has answered meanwhile is not taken from them.
    yield _set("intercept_unbridged_only", "true")
    yield "intercept", values.word(step.leg_id)


def _page(step: Page) -> Iterator[Action]:
    name = values.text(step.name)
    yield _set("conference_auto_outcall_caller_id_name", name)
    yield _set("conference_auto_outcall_caller_id_number", values.word(step.number))
    yield _set("conference_auto_outcall_timeout", "15")
    yield _set("conference_auto_outcall_profile", values.word(step.profile))
    # That is what conference_loop.c reads.
    yield _set("conference_utils_auto_outcall_flags", "mute")
    # In a dial-string it would begin another one; a comma would cut the brackets of a leg.
    yield _set("conference_auto_outcall_delimiter", "|")
    for it in step.legs:
        yield "conference_set_auto_outcall", leg(it)
    yield "conference", f"{values.word(step.room)}@{values.word(step.profile)}+flags{{endconf}}"


def _recording(step: RecordCall | OfferRecording) -> Iterator[Action]:
    for name, value in RECORDED:
        yield _set(name, value)
    path = values.new_file(step.path)
    if isinstance(step, RecordCall):
        yield "record_session", path
        return
    # Pressed again it stops. It is always the caller's leg that is recorded.
    yield _set("RECORD_TOGGLE_ON_REPEAT", "true")
    key, who = values.word(step.key), values.word(step.who)
    yield "bind_meta_app", f"{key} {who} a record_session::{path}"


def _voicemail_check(step: VoicemailCheck) -> Iterator[Action]:
    yield _HIDE_DIGITS
    if step.authorized:
        yield _set("voicemail_authorized", "true")
    mailbox = "" if step.mailbox is None else f" {values.word(step.mailbox)}"
    yield "voicemail", f"check default {values.domain(step.domain)}{mailbox}"


def _voicemail(step: Voicemail) -> Iterator[Action]:
    # Who leaves a message can sign in to the mailbox by a star.
    yield _HIDE_DIGITS
    # For this application alone: the next mailbox has a choice of its own
    # (switch_core_session_exec in switch_core_session.c).
    chosen = f"%[voicemail_greeting_number={step.greeting:d}]" if step.greeting else ""
    place = f"default {values.domain(step.domain)} {values.word(step.mailbox)}"
    yield "voicemail", f"{chosen}{place}"


def _conference(step: Conference) -> Iterator[Action]:
    yield _HIDE_DIGITS
    yield "conference", values.word(f"{step.room}@{step.room}")


def _collect(step: CollectDigits) -> Iterator[Action]:
    """See play_and_get_digits_function in FreeSWITCH's mod_dptools.c: its arguments stand between
    blanks, and a file there must be one."""
    sound = _SILENCE if step.sound is None else values.argument(values.sound(step.sound))
    numbers = f"{step.min_digits:d} {step.max_digits:d} {step.attempts:d} {step.timeout:d}"
    # No key is called "none", so that nothing ends what is pressed.
    terminator = values.word(step.terminator or "none")
    yield _HIDE_DIGITS
    yield (
        "play_and_get_digits",
        f"{numbers} {terminator} {sound} {_SILENCE} {values.word(step.variable)} {_DIGITS}"
        f" {step.digit_timeout:d}",
    )
    yield _SHOW_DIGITS


def _record(step: Record) -> Iterator[Action]:
    yield _set("playback_terminators", "#")
    path = values.argument(values.sound(step.path))
    # The energy below which it is silent is that of FreeSWITCH's own examples.
    yield "record", f"{path} {step.max_seconds:d} 200 {step.silence_seconds:d}"
    yield _set("playback_terminators", "")


_ONE: dict[type[Any], Callable[[Any], Action]] = {
    Set: lambda it: _set(values.word(it.name), values.text(it.value)),
    Export: lambda it: ("export", f"{values.word(it.name)}={values.text(it.value)}"),
    RingReady: lambda it: ("ring_ready", ""),
    # A tone stream is given to `ringback` without its scheme.
    Ringback: lambda it: _set("ringback", values.sound(it.sound).removeprefix("tone_stream://")),
    # Both legs need it: what is heard on hold is asked of the leg that holds.
    HoldMusic: lambda it: ("export", f"hold_music={values.playlist(it.files)}"),
    Sleep: lambda it: ("sleep", f"{it.milliseconds:d}"),
    RunIvr: lambda it: ("ivr", values.word(it.menu)),
    Park: lambda it: (
        "valet_park",
        f"{values.word(it.lot)} auto in {values.word(it.first)} {values.word(it.last)}",
    ),
    ParkInSlot: lambda it: ("valet_park", f"{values.word(it.lot)} {values.word(it.slot)}"),
    Transfer: lambda it: (
        "transfer",
        f"{values.word(it.destination)} XML {values.domain(it.context)}",
    ),
    Playback: lambda it: ("playback", values.sound(it.sound)),
    Speak: lambda it: (
        "speak",
        f"{values.word(it.engine)}|{values.word(it.voice)}|{values.speech(it.text)}",
    ),
    SayDigits: lambda it: (
        "say",
        f"{values.word(it.language)} number iterated {values.word(it.digits)}",
    ),
    Echo: lambda it: ("echo", ""),
    Respond: lambda it: ("respond", f"{it.status:d} {values.text(it.phrase)}"),
}

_SEVERAL: dict[type[Any], Callable[[Any], Iterable[Action]]] = {
    Record: _record,
    Voicemail: _voicemail,
    VoicemailCheck: _voicemail_check,
    Conference: _conference,
    CollectDigits: _collect,
    RecordCall: _recording,
    OfferRecording: _recording,
    Page: _page,
    Intercept: _intercept,
    Hangup: _hangup,
}
