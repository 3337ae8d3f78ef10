"""Recording a leg, with the events that were seen.

A file is written at the end, of a tone as long as the recording, if it is to be below the core's
media root; nowhere else.
"""

from __future__ import annotations

import math
import struct
import wave
from pathlib import Path
from typing import Final

from nizam.sim.channel import Channel

_SAMPLES_PER_SECOND: Final = 8_000
_BYTES_PER_SECOND: Final = 2 * _SAMPLES_PER_SECOND
_WAV_HEADER: Final = 44
_MOST_SECONDS: Final = 600.0
"""What a file has of a longer recording."""
_TONE: Final = struct.pack(
    f"<{_SAMPLES_PER_SECOND}h",
    *(
        int(2_000 * math.sin(2 * math.pi * 440 * number / _SAMPLES_PER_SECOND))
        for number in range(_SAMPLES_PER_SECOND)
    ),
)
"""A second of it."""


def start(channel: Channel, path: str) -> None:
    """Starts recording to `path`, unless it runs: RECORD_START."""
    if path in channel.recordings or channel.ended:
        return
    channel.recordings[path] = channel.core.now()
    channel.fire("RECORD_START", [("Record-File-Path", path)])


def stop(channel: Channel, path: str, *, seconds: float | None = None, by: str = "success") -> bool:
    """Stops the recording to `path`: RECORD_STOP. Returns False when there was none.

    `seconds` is its length where simulated time counts, else the time since the start; `by`
    becomes part of record_completion_cause.
    """
    started = channel.recordings.pop(path, None)
    if started is None:
        return False
    length = (channel.core.now() - started) / 1e6 if seconds is None else seconds
    _write(channel, path, length)
    for name, value in (
        ("record_file_size", str(int(length * _BYTES_PER_SECOND) + _WAV_HEADER)),
        ("record_samples", str(int(length * 8000))),
        ("record_seconds", str(int(length))),
        ("record_ms", str(int(length * 1000))),
        ("record_completion_cause", f"{by}-silence" if by == "success" else by),
    ):
        channel.set(name, value)
    channel.fire("RECORD_STOP", [("Record-File-Path", path)])
    return True


def _write(channel: Channel, path: str, seconds: float) -> None:
    """The file, with its folders as FreeSWITCH makes them (switch_ivr_record_session)."""
    root, file = channel.core.media_root, Path(path).resolve()
    if root is None or not file.is_relative_to(root.resolve()) or file.suffix != ".wav":
        return
    count = int(min(seconds, _MOST_SECONDS) * _SAMPLES_PER_SECOND)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with wave.open(str(file), "wb") as sound:
            sound.setnchannels(1)
            sound.setsampwidth(2)
            sound.setframerate(_SAMPLES_PER_SECOND)
            sound.writeframes((_TONE * (count // _SAMPLES_PER_SECOND + 1))[: 2 * count])
    except OSError:
        # As with FreeSWITCH the call goes on, and whoever looks for the file finds none.
        return


def stop_all(channel: Channel) -> None:
    """Ends every recording, as the end of the leg does."""
    for path in list(channel.recordings):
        stop(channel, path)
