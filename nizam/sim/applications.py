"""The dialplan applications that are simulated, each as far as the network would notice it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from nizam.sim import (
    bridging,
    call_commands,
    conference,
    endings,
    keypad,
    legs,
    mailbox,
    media,
    menus,
    moving,
    prompts,
    valet,
    variables,
)
from nizam.sim.causes import CAUSE_OF_SIP_STATUS, OTHER_SIP_STATUS, known_cause
from nizam.sim.interruption import LegEnded, Transferred

_GREETING = re.compile(r"%\[voicemail_greeting_number=([1-9])\]")

if TYPE_CHECKING:
    from nizam.sim.call import Call

Application = Callable[["Call", str], Awaitable[None]]


async def _answer(call: Call, data: str) -> None:
    was_answered = call.channel.answered
    legs.answer_inbound(call.channel)
    if not was_answered:
        await call.on_answer()


async def _pre_answer(call: Call, data: str) -> None:
    legs.pre_answer(call.channel, local=True)


async def _ring_ready(call: Call, data: str) -> None:
    legs.ring_ready(call.channel)


async def _sleep(call: Call, data: str) -> None:
    milliseconds = int(data) if data.isdigit() else 0
    await call.channel.waiter.sleep(milliseconds / 1000 * call.exchange.pace)


async def _echo(call: Call, data: str) -> None:
    call.proofs.append("echo")
    call.channel.hear("echo")
    await call.until_caller_leaves(call.script.talk)


async def _park(call: Call, data: str) -> None:
    call.channel.fire("CHANNEL_PARK")
    call.proofs.append("parked")
    if call.direction == "originated":
        await call.channel.waiter.sleep(None)
    await call.until_caller_leaves(call.script.talk)


async def _transfer(call: Call, data: str) -> None:
    """`transfer [-bleg|-both] NUMBER [XML [CONTEXT]]`."""
    words = data.split()
    both = words[:1] == ["-both"]
    other = words[:1] == ["-bleg"] or both
    if other:
        words.pop(0)
    if not words:
        call.problem(f"transfer cannot read {data!r}")
        return
    context = words[2] if len(words) > 2 else call.channel.profile.context
    moved = Transferred(words[0], context)
    peer = call.channel.other
    if other and peer is not None and not peer.ended:
        call.exchange.redirect(peer, Transferred(words[0], context))
        if not both:
            return
    raise moved


async def _respond(call: Call, data: str) -> None:
    match = re.match(r"\d{3}", data)
    status = int(match[0]) if match else 500
    cause = CAUSE_OF_SIP_STATUS.get(status, OTHER_SIP_STATUS)
    call.proofs.append(f"refused {cause}")
    call.end(cause)


async def _hangup(call: Call, data: str) -> None:
    cause = known_cause(data or "NORMAL_CLEARING")
    call.proofs.append(f"refused {cause}")
    call.end(cause)


async def _sched_hangup(call: Call, data: str) -> None:
    """`sched_hangup [+]SECONDS [CAUSE]`: whatever the leg is doing then."""
    seconds, cause = _scheduled(call, data, "ALLOTTED_TIMEOUT")

    def hang_up() -> None:
        how = "send_bye" if call.channel.answered else "send_refuse"
        if endings.hang_up(call.channel, cause, how):
            call.channel.wake(LegEnded())

    call.later(seconds, hang_up)


async def _sched_transfer(call: Call, data: str) -> None:
    """`sched_transfer [+]SECONDS NUMBER [XML [CONTEXT]]`."""
    seconds, destination = _scheduled(call, data, "")
    words = data.split()
    context = words[3] if len(words) > 3 else call.channel.profile.context
    moved = Transferred(destination, context)
    call.later(seconds, lambda: call.exchange.redirect(call.channel, moved))


def _scheduled(call: Call, data: str, otherwise: str) -> tuple[float, str]:
    words = data.split()
    text = words[0] if words else "+0"
    after = float(text) if text.lstrip("+").isdigit() else 0.0
    if not text.startswith("+"):
        after = max(0.0, after - call.exchange.core.clock.seconds())
    return after, words[1] if len(words) > 1 else otherwise


async def _voicemail(call: Call, data: str) -> None:
    chosen = _GREETING.match(data)
    words = data[chosen.end() if chosen else 0 :].split()
    if words[:1] == ["check"]:
        await mailbox.check(call, words[2], words[3] if len(words) > 3 else "")
    elif len(words) == 3:
        await mailbox.deposit(call, *words, greeting=int(chosen[1]) if chosen else None)
    else:
        call.problem(f"voicemail cannot read {data!r}")


async def _bind_meta_app(call: Call, data: str) -> None:
    if not keypad.bind_meta_app(call.channel, data):
        call.problem(f"bind_meta_app cannot read {data!r}")


async def _unbind_meta_app(call: Call, data: str) -> None:
    keypad.unbind_meta_app(call.channel, data)


async def _bind_digit_action(call: Call, data: str) -> None:
    if not keypad.bind_digit_action(call.channel, data):
        call.problem(f"bind_digit_action cannot read {data!r}")


async def _digit_action_set_realm(call: Call, data: str) -> None:
    call.channel.realm = data.split(",", maxsplit=1)[0]


async def _clear_digit_action(call: Call, data: str) -> None:
    realm = data.split(",", maxsplit=1)[0]
    channel = call.channel
    channel.actions = [it for it in channel.actions if realm not in ("all", it.realm)]


async def _nothing(call: Call, data: str) -> None:
    """For applications that change nothing that is simulated."""


APPLICATIONS: dict[str, Application] = {
    "answer": _answer,
    "bind_digit_action": _bind_digit_action,
    "bind_meta_app": _bind_meta_app,
    "bridge": bridging.connect,
    "bridge_export": variables.bridge_export,
    "clear_digit_action": _clear_digit_action,
    "conference": conference.enter,
    "conference_set_auto_outcall": conference.set_auto_outcall,
    "digit_action_set_realm": _digit_action_set_realm,
    "eavesdrop": call_commands.eavesdrop,
    "echo": _echo,
    "endless_playback": media.endless_playback,
    "export": variables.export,
    "flush_dtmf": _nothing,
    "gentones": media.gentones,
    "hangup": _hangup,
    "info": _nothing,
    "intercept": moving.intercept,
    "ivr": menus.run,
    "log": _nothing,
    "multiset": variables.multiset,
    "multiunset": variables.multiunset,
    "park": _park,
    "phrase": media.phrase,
    "play_and_get_digits": prompts.play_and_get_digits,
    "playback": media.playback,
    "pre_answer": _pre_answer,
    "privacy": variables.privacy,
    "read": prompts.read,
    "record": media.record,
    "record_session": media.record_session,
    "respond": _respond,
    "ring_ready": _ring_ready,
    "say": media.say,
    "sched_hangup": _sched_hangup,
    "sched_transfer": _sched_transfer,
    "set": variables.set_one,
    "set_profile_var": variables.set_profile_variable,
    "sleep": _sleep,
    "speak": media.speak,
    "start_dtmf": _nothing,
    "stop_record_session": media.stop_record_session,
    "transfer": _transfer,
    "unbind_meta_app": _unbind_meta_app,
    "unset": variables.unset,
    "valet_park": valet.valet_park,
    "voicemail": _voicemail,
}
