"""API commands that act on calls under way: bridge, park, play, keys, mute, eavesdrop.

Sources: mod_commands.c, switch_ivr_bridge.c (switch_ivr_uuid_bridge), switch_ivr_async.c
(switch_ivr_broadcast, switch_ivr_eavesdrop_session).
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from nizam.sim import bridging, keypad
from nizam.sim.answers import Action
from nizam.sim.causes import is_true
from nizam.sim.channel import Channel
from nizam.sim.interruption import LegEnded, Transferred

if TYPE_CHECKING:
    from nizam.sim.call import Call
    from nizam.sim.exchange import Exchange

NO_CHANNEL = "-ERR No such channel!\n"
NO_SESSION = "-ERR Cannot locate session!\n"
OK = "+OK\n"
AUDIO_USAGE = "-USAGE: <uuid> [start [read|write] [mute|level <level>]|stop]\n"
BROADCAST_USAGE = "-USAGE: <uuid> <path> [aleg|bleg|holdb|both]\n"


def uuid_bridge(exchange: Exchange, arguments: str) -> str:
    """Connects two legs with each other."""
    words = arguments.split()
    if len(words) < 2:
        return "-USAGE: <uuid> <other_uuid>\n"
    lead, other = (_leg(exchange, it) for it in words[:2])
    if lead is None or other is None or lead is other or not (lead.has_media or other.has_media):
        return "-ERR Invalid uuid\n"
    bridging.join(exchange.call_on(lead), lead, other)
    return f"+OK {other.uuid}\n"


def uuid_park(exchange: Exchange, arguments: str) -> str:
    """Takes a leg out of what it does, and leaves it waiting."""
    channel = _leg(exchange, arguments.strip())
    if channel is None:
        return NO_CHANNEL
    # The same as the dialplan's own park, whoever ran the leg until now.
    exchange.redirect(channel, Transferred("park", "", inline=Action("park", "")))
    return OK


def uuid_broadcast(exchange: Exchange, arguments: str) -> str:
    """Has an application run on a leg, on the one it is connected with, or on both."""
    try:
        words = shlex.split(arguments)
    except ValueError:
        words = arguments.split()
    if len(words) < 2:
        return BROADCAST_USAGE
    channel = _leg(exchange, words[0])
    if channel is None:
        return "-ERR invalid uuid\n"
    application, separator, data = words[1].partition("::")
    if not separator:
        application, data = "playback", words[1]
    to = words[2] if len(words) > 2 else "aleg"
    hearing = [channel] if to in ("aleg", "both", "holdb") else []
    if to in ("bleg", "both") and channel.other is not None:
        hearing.append(channel.other)
    for it in hearing:
        keypad.run_on(exchange, it, application, data)
    return "+OK Message sent\n"


def uuid_break(exchange: Exchange, arguments: str) -> str:
    """Ends what a leg is played."""
    words = arguments.split()
    channel = _leg(exchange, words[0]) if words else None
    if channel is None:
        return NO_CHANNEL
    for it in (channel, channel.other if "both" in words else None):
        if it is not None:
            it.waiter.poke()
    return OK


def uuid_send_dtmf(exchange: Exchange, arguments: str) -> str:
    """Sends keys to whoever is at the leg."""
    words = arguments.split()
    if len(words) < 2:
        return "-USAGE: <uuid> <dtmf_data>\n"
    channel = _leg(exchange, words[0])
    if channel is None:
        return NO_SESSION
    digits = words[1].partition("@")[0]
    channel.sent_keys += "".join(it for it in digits if it not in "wW")
    return f"+OK {channel.uuid} sent DTMF {words[1]}.\n"


def uuid_audio(exchange: Exchange, arguments: str) -> str:
    """Mutes what a leg says or hears, and ends that."""
    words = arguments.split()
    if len(words) < 2:
        return AUDIO_USAGE
    channel = _leg(exchange, words[0])
    if channel is None:
        return NO_CHANNEL
    if words[1] == "stop":
        channel.muted = False
    elif words[1] != "start" or len(words) < 5 or words[2] not in ("read", "write"):
        return AUDIO_USAGE
    elif words[3] == "mute" and words[2] == "read":
        channel.muted = words[4] != "0"
    return OK


async def eavesdrop(call: Call, data: str) -> None:
    """`eavesdrop UUID`: hears a leg until it ends, and is heard as variables say."""
    channel, core = call.channel, call.exchange.core
    target = core.channels.get(data.strip())
    if target is None or target.ended:
        call.proofs.append("nobody to listen to")
        return
    to_leg = is_true(channel.get("eavesdrop_whisper_bleg"))
    to_other = is_true(channel.get("eavesdrop_whisper_aleg"))
    how = "barges" if to_leg and to_other else "whispers" if to_leg else "listens"
    call.proofs.append(f"{how} {target.uuid}")
    target.listeners.append((how, channel.uuid))
    try:
        while not target.ended and core.channels.get(target.uuid) is target:
            await channel.waiter.sleep(0.1)
    except LegEnded:
        target.listeners.remove((how, channel.uuid))
        raise


def _leg(exchange: Exchange, unique_id: str) -> Channel | None:
    found = exchange.core.channels.get(unique_id)
    return None if found is None or found.ended else found
