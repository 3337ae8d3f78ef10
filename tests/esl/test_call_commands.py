"""Commands to calls: what is written, and that nothing that somebody typed becomes more than one
argument of one command."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nizam.esl import call_commands as commands
from nizam.esl.commands import bgapi
from nizam.esl.errors import EslUsageError

LEG = UUID("5f0f3b8e-6c1f-4d0b-9d7a-2f4f1d0c9b11")
OTHER = UUID("5f0f3b8e-6c1f-4d0b-9d7a-2f4f1d0c9b12")


@pytest.mark.parametrize(
    ("line", "written"),
    [
        (commands.kill(LEG), f"uuid_kill {LEG} NORMAL_CLEARING"),
        (commands.kill(LEG, "USER_BUSY"), f"uuid_kill {LEG} USER_BUSY"),
        (
            commands.transfer(LEG, "+12025550199", "acme.example.test"),
            f"uuid_transfer {LEG} +12025550199 XML acme.example.test",
        ),
        (commands.hold(LEG), f"uuid_hold {LEG}"),
        (commands.resume(LEG), f"uuid_hold off {LEG}"),
        (commands.park(LEG), f"uuid_park {LEG}"),
        (commands.bridge(LEG, OTHER), f"uuid_bridge {LEG} {OTHER}"),
        (
            commands.broadcast(LEG, "playback", "ivr/welcome.wav", "both"),
            f"uuid_broadcast {LEG} 'playback::ivr/welcome.wav' both",
        ),
        (
            commands.broadcast(LEG, "speak", "flite|kal|Please wait.", "bleg"),
            f"uuid_broadcast {LEG} 'speak::flite|kal|Please wait.' bleg",
        ),
        (commands.stop_playing(LEG), f"uuid_break {LEG} both all"),
        (commands.send_dtmf(LEG, "12w#", 100), f"uuid_send_dtmf {LEG} 12w#@100"),
        (
            commands.start_recording(LEG, "/media/a/x.wav", 0),
            f"uuid_record {LEG} start /media/a/x.wav 0 {{RECORD_STEREO=true}}",
        ),
        (
            commands.of_recording(LEG, "mask", "/media/a/x.wav"),
            f"uuid_record {LEG} mask /media/a/x.wav",
        ),
        (commands.mute(LEG), f"uuid_audio {LEG} start read mute 1"),
        (commands.unmute(LEG), f"uuid_audio {LEG} stop"),
        (commands.exists(LEG), f"uuid_exists {LEG}"),
    ],
)
def test_each_command_is_written_as_freeswitch_reads_it(line: str, written: str) -> None:
    assert line == written


TYPED: dict[str, tuple[Callable[[str], str], int]] = {
    "a cause": (lambda text: commands.kill(LEG, text), 3),
    "a number": (lambda text: commands.transfer(LEG, text, "acme.example.test"), 5),
    "a context": (lambda text: commands.transfer(LEG, "1002", text), 5),
    "a sound": (lambda text: commands.broadcast(LEG, "playback", text, "both"), 4),
    "an application": (lambda text: commands.broadcast(LEG, text, "x.wav", "both"), 4),
    "keys": (lambda text: commands.send_dtmf(LEG, text, 100), 3),
    "a new file": (lambda text: commands.start_recording(LEG, text, 0), 6),
    "a file": (lambda text: commands.of_recording(LEG, "stop", text), 4),
}
"""What makes a command of a text, and how many arguments the command has with its name."""


@pytest.mark.parametrize("what", TYPED)
@given(
    text=st.text()
    | st.text("'\"\\ \n\r\0${}[]|,;:!&()=-x1", min_size=1)
    | st.from_regex(r"\A[A-Z0-9/.+*#-]{1,30}\Z")
)
def test_no_text_becomes_another_argument_or_command(what: str, text: str) -> None:
    make, arguments = TYPED[what]
    try:
        line = make(text)
    except EslUsageError:
        return
    assert len(shlex.split(line)) == arguments
    assert str(LEG) in line
    assert not any(it in line for it in ("\n", "\r", "\0", "$", "`"))
    assert bgapi(line, str(OTHER)).encode().count(b"\n") == 3


@pytest.mark.parametrize("leg", [str(LEG), "all", f"{LEG} USER_BUSY", "", None])
def test_a_leg_is_a_uuid_and_nothing_else(leg: object) -> None:
    for make in (commands.kill, commands.hold, commands.park, commands.mute, commands.exists):
        with pytest.raises(EslUsageError):
            make(leg)  # type: ignore[arg-type]


@pytest.mark.parametrize("number", ["-bleg", "-both", "1002 XML other.example.test", ""])
def test_an_option_is_no_number(number: str) -> None:
    with pytest.raises(EslUsageError):
        commands.transfer(LEG, number, "acme.example.test")


@pytest.mark.parametrize("path", ["/media/../etc/passwd", "relative.wav", "/a b.wav", "/a\n.wav"])
def test_a_recording_stays_where_it_belongs(path: str) -> None:
    with pytest.raises(EslUsageError):
        commands.start_recording(LEG, path, 0)
