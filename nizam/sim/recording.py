"""Recording a leg to a file that is never written, with the events that were seen."""

from __future__ import annotations

from nizam.sim.channel import Channel

_BYTES_PER_SECOND = 16_000
_WAV_HEADER = 44


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


def stop_all(channel: Channel) -> None:
    """Ends every recording, as the end of the leg does."""
    for path in list(channel.recordings):
        stop(channel, path)
