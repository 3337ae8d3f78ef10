"""The dialplan applications that are simulated, each as far as the network would notice it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from nizam.sim import legs, mailbox, menus, recording
from nizam.sim.causes import CAUSE_OF_SIP_STATUS, known_cause
from nizam.sim.interruption import Transferred

if TYPE_CHECKING:
    from nizam.sim.call import Call

_PLAYBACK_SECONDS = 1.0

Application = Callable[["Call", str], Awaitable[None]]


async def _bridge(call: Call, data: str) -> None:
    await call.connect(data)


async def _set(call: Call, data: str) -> None:
    name, equals, value = data.partition("=")
    call.channel.set(name.strip(), value if equals and value != "_undef_" else None)


async def _unset(call: Call, data: str) -> None:
    call.channel.set(data.strip(), None)


async def _export(call: Call, data: str) -> None:
    name, _, value = data.partition("=")
    channel = call.channel
    channel.set(name, value)
    names = [n for n in (channel.get("export_vars") or "").split(",") if n and n != name]
    channel.set("export_vars", ",".join([*names, name]))


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


async def _playback(call: Call, data: str) -> None:
    if not call.channel.answered:
        legs.pre_answer(call.channel, local=True)
    await call.channel.waiter.sleep(_PLAYBACK_SECONDS * call.exchange.pace)


async def _echo(call: Call, data: str) -> None:
    call.proofs.append("echo")
    await call.until_caller_leaves(call.script.talk)


async def _park(call: Call, data: str) -> None:
    call.channel.fire("CHANNEL_PARK")
    call.proofs.append("parked")
    if call.direction == "originated":
        await call.channel.waiter.sleep(None)
    await call.until_caller_leaves(call.script.talk)


async def _transfer(call: Call, data: str) -> None:
    destination, _, rest = data.partition(" ")
    context = rest.partition(" ")[2].strip()
    raise Transferred(destination, context or call.channel.profile.context)


async def _respond(call: Call, data: str) -> None:
    match = re.match(r"\d{3}", data)
    status = int(match[0]) if match else 500
    cause = CAUSE_OF_SIP_STATUS.get(status, "NORMAL_TEMPORARY_FAILURE")
    call.proofs.append(f"refused {cause}")
    call.end(cause)


async def _hangup(call: Call, data: str) -> None:
    cause = known_cause(data or "NORMAL_CLEARING")
    call.proofs.append(f"refused {cause}")
    call.end(cause)


async def _voicemail(call: Call, data: str) -> None:
    words = data.split()
    if words[:1] == ["check"]:
        await mailbox.check(call, words[2], words[3] if len(words) > 3 else "")
    elif len(words) == 3:
        await mailbox.deposit(call, *words)
    else:
        call.problem(f"voicemail cannot read {data!r}")


async def _record_session(call: Call, data: str) -> None:
    recording.start(call.channel, data.split(" ", maxsplit=1)[0])


async def _stop_record_session(call: Call, data: str) -> None:
    recording.stop(call.channel, data)


async def _nothing(call: Call, data: str) -> None:
    """For applications that change nothing that is simulated."""


APPLICATIONS: dict[str, Application] = {
    "answer": _answer,
    "bridge": _bridge,
    "echo": _echo,
    "export": _export,
    "hangup": _hangup,
    "info": _nothing,
    "ivr": menus.run,
    "log": _nothing,
    "park": _park,
    "playback": _playback,
    "pre_answer": _pre_answer,
    "privacy": _nothing,
    "record_session": _record_session,
    "respond": _respond,
    "ring_ready": _ring_ready,
    "set": _set,
    "sleep": _sleep,
    "stop_record_session": _stop_record_session,
    "transfer": _transfer,
    "unset": _unset,
    "voicemail": _voicemail,
}
