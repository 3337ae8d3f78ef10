"""The variables with which a leg sums itself up at its end (switch_channel_set_timestamps).

Seconds are differences of whole seconds, so a call of 2.26 s can last 3, as recorded.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from nizam.sim.causes import q850
from nizam.sim.channel import Channel

_SECOND = 1_000_000


def complete_variables(channel: Channel) -> Iterator[tuple[str, str]]:
    """Cause, stamps, epochs and durations, in FreeSWITCH's order."""
    times = channel.times
    yield "hangup_cause", channel.hangup_cause
    yield "hangup_cause_q850", q850(channel.hangup_cause)
    yield "digits_dialed", channel.get("digits_dialed") or "none"
    for name, when in (
        ("start", times.created),
        ("profile_start", times.profile_created),
        ("answer", times.answered),
        ("bridge", times.bridged),
        ("progress", times.progress),
        ("progress_media", times.progress_media),
        ("end", times.hangup),
    ):
        if when:
            yield f"{name}_stamp", stamp(when)
    yield from _epochs("start", times.created)
    yield from _epochs("profile_start", times.profile_created)
    yield from _epochs("answer", times.answered)
    yield from _epochs("bridge", times.bridged)
    yield from _epochs("last_hold", times.last_hold)
    yield "hold_accum_seconds", str(times.hold_accumulated // _SECOND)
    yield "hold_accum_usec", str(times.hold_accumulated)
    yield "hold_accum_ms", str(times.hold_accumulated // 1000)
    yield from _epochs("resurrect", 0)
    yield from _epochs("progress", times.progress)
    yield from _epochs("progress_media", times.progress_media)
    yield from _epochs("end", times.hangup)
    if channel.app_log:
        yield "last_app", channel.app_log[-1][0]
        yield "last_arg", channel.app_log[-1][1]
    profile = channel.profile
    yield "caller_id", f'"{profile.caller_id_name}" <{profile.caller_id_number}>'
    yield from _durations(channel)


def _durations(channel: Channel) -> Iterator[tuple[str, str]]:
    times = channel.times
    spans = (
        ("duration", times.created, times.hangup),
        ("bill", times.answered, times.hangup),
        ("progress", times.created, times.progress),
        ("answer", times.created, times.answered),
        ("wait", times.created, times.bridged),
        ("progress_media", times.created, times.progress_media),
        ("flow_bill", times.created if times.answered else 0, times.hangup),
    )
    for unit, seconds in (("sec", True), ("msec", False), ("usec", False)):
        for name, start, end in spans:
            both = start and end
            if seconds:
                length = end // _SECOND - start // _SECOND if both else 0
            else:
                length = end - start if both else 0
                length = length // 1000 if unit == "msec" else length
            yield _duration_name(name, unit), str(length)


def _duration_name(name: str, unit: str) -> str:
    if name != "duration":
        return name + unit
    return {"sec": "duration", "msec": "mduration", "usec": "uduration"}[unit]


def _epochs(name: str, when: int) -> Iterator[tuple[str, str]]:
    yield f"{name}_epoch", str(when // _SECOND)
    yield f"{name}_uepoch", str(when)


def stamp(when: int) -> str:
    """Microseconds since the epoch as FreeSWITCH writes a time (UTC here)."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(when // _SECOND))
