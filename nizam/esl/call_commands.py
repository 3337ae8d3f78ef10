"""API commands that act on one call, as typed functions that make the line for `bgapi`.

FreeSWITCH separates arguments by blanks and expands `${...}` in what an application is given
(switch_separate_string in switch_utils.c, switch_core_session_execute_application), so that
nothing reaches a line here but UUIDs, words of a few characters, and texts whose builder
(nizam.fsxml.values) has taken out what has a meaning. What is not so is refused: that is a bug on
our side, and nothing was sent.
"""

from __future__ import annotations

import re
from typing import Final, Literal
from uuid import UUID

from nizam.esl.errors import EslUsageError

To = Literal["aleg", "bleg", "both"]
"""Who hears it: whoever is at the leg, whoever the leg is connected with, or both."""
RecordingAction = Literal["stop", "mask", "unmask"]

_NUMBER: Final = re.compile(r"\A[A-Za-z0-9_.+*#-]{1,290}\Z")
_CONTEXT: Final = re.compile(r"\A[A-Za-z0-9.-]{1,253}\Z")
_CAUSE: Final = re.compile(r"\A[A-Z][A-Z0-9_]{2,40}\Z")
_DIGITS: Final = re.compile(r"\A[0-9A-D*#wW]{1,64}\Z")
_APPLICATION: Final = re.compile(r"\A[a-z_]{1,40}\Z")
_FILE: Final = re.compile(r"\A/[A-Za-z0-9_/.+-]{1,254}\Z")
_WITH_MEANING: Final = re.compile("[\x00-\x1f\x7f'\"`$\\\\{}\u2028\u2029]")


def kill(leg: UUID, cause: str = "NORMAL_CLEARING") -> str:
    """Hang the leg up, with a cause of switch_types.h."""
    return f"uuid_kill {_leg(leg)} {_matching(_CAUSE, cause, 'a hangup cause')}"


def transfer(leg: UUID, destination: str, context: str) -> str:
    """Send the leg to another number of a dialplan context."""
    number = _matching(_NUMBER, destination, "a number")
    if number.startswith("-"):
        # It would be read as -bleg or -both.
        raise EslUsageError("a number does not begin with a dash")
    return f"uuid_transfer {_leg(leg)} {number} XML {_matching(_CONTEXT, context, 'a context')}"


def hold(leg: UUID) -> str:
    """Hold on behalf of the phone at the leg; whoever it talks to hears music."""
    return f"uuid_hold {_leg(leg)}"


def resume(leg: UUID) -> str:
    """End the hold."""
    return f"uuid_hold off {_leg(leg)}"


def park(leg: UUID) -> str:
    """Leave the leg alone, with nothing heard, until another command takes it."""
    return f"uuid_park {_leg(leg)}"


def bridge(leg: UUID, other: UUID) -> str:
    """Connect two legs with each other; whoever they are connected with now is left."""
    return f"uuid_bridge {_leg(leg)} {_leg(other)}"


def broadcast(leg: UUID, application: str, data: str, to: To) -> str:
    """Have an application run on the leg, or on the one it is connected with, in between.

    `data` comes from a builder of nizam.fsxml.values.
    """
    app = _matching(_APPLICATION, application, "an application")
    if not data or _WITH_MEANING.search(data):
        raise EslUsageError("the data of an application has a character with a meaning")
    return f"uuid_broadcast {_leg(leg)} '{app}::{data}' {to}"


def stop_playing(leg: UUID) -> str:
    """End what is played to the leg and to the one it is connected with."""
    return f"uuid_break {_leg(leg)} both all"


def send_dtmf(leg: UUID, digits: str, milliseconds: int) -> str:
    """Send keys to the phone or line at the leg; `w` waits half a second, `W` a whole one."""
    return f"uuid_send_dtmf {_leg(leg)} {_matching(_DIGITS, digits, 'digits')}@{milliseconds:d}"


def start_recording(leg: UUID, path: str, limit_seconds: int) -> str:
    """Record both sides of the leg into a file, one on each channel; a limit of 0 is none."""
    # Both optional arguments: with the limit alone the switch reads beyond them
    # (session_record_function in mod_commands.c).
    return f"uuid_record {_leg(leg)} start {_file(path)} {limit_seconds:d} {{RECORD_STEREO=true}}"


def of_recording(leg: UUID, action: RecordingAction, path: str) -> str:
    """Stop a recording, have silence written instead of what is said (mask), or end that."""
    return f"uuid_record {_leg(leg)} {action} {_file(path)}"


def mute(leg: UUID) -> str:
    """Let nobody hear what is said at the leg."""
    return f"uuid_audio {_leg(leg)} start read mute 1"


def unmute(leg: UUID) -> str:
    """End that."""
    return f"uuid_audio {_leg(leg)} stop"


def exists(leg: UUID) -> str:
    """Ask whether there is such a leg: true or false."""
    return f"uuid_exists {_leg(leg)}"


def _leg(leg: UUID) -> str:
    if not isinstance(leg, UUID):
        raise EslUsageError("a leg is named by its UUID")
    return str(leg)


def _file(path: str) -> str:
    if ".." in path:
        raise EslUsageError("the path leads up again")
    return _matching(_FILE, path, "a file")


def _matching(pattern: re.Pattern[str], text: str, what: str) -> str:
    if pattern.match(text) is None:
        raise EslUsageError(f"not {what} that FreeSWITCH may be given")
    return text
