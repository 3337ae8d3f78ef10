"""Applications that play to a leg or record it: what the phone hears, and the events of both.

A sound lasts a second unless it says how long; what has no end is played until something else
happens. Sources: switch_ivr_play_say.c, mod_dptools.c.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from nizam.sim import keypad, legs, recording

if TYPE_CHECKING:
    from nizam.sim.call import Call

SOUND_SECONDS = 1.0
_SILENCE = re.compile(r"silence_stream://(-?\d+)")
_ENDLESS = ("local_stream://", "loops=-1")
_FILE_STRING = "file_string://"


def length_of(sound: str) -> float | None:
    """How many simulated seconds a sound lasts; None is without end."""
    silence = _SILENCE.match(sound)
    if silence:
        return None if int(silence[1]) < 0 else int(silence[1]) / 1000
    if any(mark in sound for mark in _ENDLESS):
        return None
    return SOUND_SECONDS


async def play(call: Call, sound: str, *, endless: bool = False, keys_end_it: bool = False) -> None:
    """Plays a sound, or the files of a `file_string://`: PLAYBACK_START and PLAYBACK_STOP.

    `keys_end_it` is for prompts: they stop with the first digit. Raises Interruption.
    """
    files = [sound]
    if sound.startswith(_FILE_STRING):
        files = sound.removeprefix(_FILE_STRING).split("!")
    while True:
        for file in files:
            if keys_end_it and call.channel.typed:
                return
            await _play(call, file, keys_end_it)
        if not endless:
            return


async def _play(call: Call, sound: str, keys_end_it: bool) -> None:
    channel = call.channel
    legs.pre_answer(channel, local=True)
    kind = sound.partition("://")[0] if "://" in sound else "file"
    where = [("Playback-File-Type", kind), ("Playback-File-Path", sound)]
    channel.hear(sound)
    channel.fire("PLAYBACK_START", [*where])
    started = channel.core.now()
    seconds = length_of(sound)
    status = "break"
    channel.collecting = keys_end_it
    try:
        await channel.waiter.sleep(None if seconds is None else seconds * call.exchange.pace)
        status = "break" if keys_end_it and channel.typed else "done"
    finally:
        channel.collecting = False
        milliseconds = (channel.core.now() - started) // 1000
        channel.set("playback_seconds", str(milliseconds // 1000))
        channel.set("playback_ms", str(milliseconds))
        channel.set("playback_samples", str(milliseconds * 8))
        channel.fire("PLAYBACK_STOP", [*where, ("Playback-Status", status)])


async def playback(call: Call, data: str) -> None:
    """`playback SOUND`."""
    call.channel.set("current_application_response", "FILE PLAYED")
    await play(call, data)


async def endless_playback(call: Call, data: str) -> None:
    """`endless_playback SOUND`: until the leg ends."""
    await play(call, data, endless=True)


async def say(call: Call, data: str) -> None:
    """`say LANGUAGE TYPE METHOD TEXT`: heard in these words."""
    await play(call, f"say://{data}")


async def speak(call: Call, data: str) -> None:
    """`speak [ENGINE|VOICE|]TEXT`."""
    await play(call, f"speak://{data.rpartition('|')[2]}")


async def phrase(call: Call, data: str) -> None:
    """`phrase MACRO[,DATA]`: asks for the macro and is heard under its name."""
    macro = data.partition(",")[0]
    await call.exchange.questions.phrase(macro)
    call.check()
    await play(call, f"phrase://{data}")


async def gentones(call: Call, data: str) -> None:
    """`gentones TONES[|LOOPS]`."""
    await play(call, f"tone_stream://{data.partition('|')[0]}")


async def record(call: Call, data: str) -> None:
    """`record PATH [SECONDS [LEVEL [SILENCE]]]`: a caller speaks as long as a message lasts.

    Then a key ends it, or so many seconds of silence, or else the caller hangs up.
    """
    channel = call.channel
    words = data.split()
    if not words:
        call.problem("record without a path")
        return
    path = words[0]
    limit = float(words[1]) if len(words) > 1 and words[1].isdigit() else None
    legs.answer_inbound(channel)
    terminators = channel.get("playback_terminators") or "*"
    recording.start(channel, path)
    silence = float(words[3]) if len(words) > 3 and words[3].isdigit() else 0.0
    spoken = call.script.message + silence
    seconds = spoken if limit is None else min(spoken, limit)
    try:
        pressed = await keypad.collect(
            call, 1, timeout=seconds, digit_timeout=seconds, terminators=terminators
        )
        if pressed.terminator:
            channel.set("playback_terminator_used", pressed.terminator)
        if not pressed.terminator and not silence and (limit is None or seconds < limit):
            call.caller_hangs_up()
            await channel.waiter.sleep(0)
    finally:
        recording.stop(channel, path, seconds=seconds)


async def record_session(call: Call, data: str) -> None:
    """`record_session PATH [LIMIT]`: beside everything else, until the leg ends."""
    path, _, limit = data.partition(" ")
    channel = call.channel
    if path in channel.recordings and channel.get("RECORD_TOGGLE_ON_REPEAT") == "true":
        recording.stop(channel, path, by="success-maxtime")
        return
    recording.start(channel, path)
    seconds = limit.strip().lstrip("+").split(" ")[0]
    if seconds.isdigit():
        call.later(float(seconds), lambda: recording.stop(call.channel, path))


async def stop_record_session(call: Call, data: str) -> None:
    """`stop_record_session PATH`, or `all`."""
    if data.strip() == "all":
        recording.stop_all(call.channel)
    else:
        recording.stop(call.channel, data.strip())
