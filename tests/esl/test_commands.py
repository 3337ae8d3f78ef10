"""Commands: what goes to the wire, and what never does."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nizam.esl import commands
from nizam.esl.commands import Command
from nizam.esl.errors import EslUsageError
from nizam.esl.subscription import CALL_CONTROL, CALL_EVENTS
from tests import recordings


@pytest.mark.parametrize(
    ("command", "wire"),
    [
        (commands.auth("ClueCon"), b"auth ClueCon\n\n"),
        (commands.userauth("1001", "acme.test", "a:b c"), b"userauth 1001@acme.test:a:b c\n\n"),
        (commands.events(["API", "DTMF"]), b"event json API DTMF\n\n"),
        (
            commands.events(["API"], ["sofia::register", "vm::maintenance"], "plain"),
            b"event plain API CUSTOM sofia::register vm::maintenance\n\n",
        ),
        (commands.events([], ["a::b"], "xml"), b"event xml CUSTOM a::b\n\n"),
        (commands.filter_events("Event-Name", "DTMF"), b"filter Event-Name DTMF\n\n"),
        (commands.api("show channels as json"), b"api show channels as json\n\n"),
        (commands.bgapi("status", "j-1"), b"bgapi status\nJob-UUID: j-1\n\n"),
        (
            commands.sendmsg("u-1", [("call-command", "hangup")]),
            b"sendmsg u-1\ncall-command: hangup\n\n",
        ),
        (
            commands.sendmsg("u-1", [("call-command", "execute")], "zażółć\n\n".encode()),
            "sendmsg u-1\ncall-command: execute\ncontent-length: 12\n\nzażółć\n\n".encode(),
        ),
        (commands.exit_(), b"exit\n\n"),
    ],
)
def test_the_bytes_of_a_command(command: Command, wire: bytes) -> None:
    assert command.encode() == wire


@pytest.mark.parametrize("forbidden", ["\r", "\n", "\0", "\r\n", "\ud800"])
@pytest.mark.parametrize(
    "build",
    [
        commands.auth,
        lambda text: commands.userauth(text, "acme.test", "pw"),
        lambda text: commands.userauth("1001", text, "pw"),
        lambda text: commands.userauth("1001", "acme.test", text),
        lambda text: commands.events([text]),
        lambda text: commands.events(["API"], [text]),
        lambda text: commands.filter_events(text, "x"),
        lambda text: commands.filter_events("Event-Name", text),
        commands.api,
        lambda text: commands.bgapi(text, "j-1"),
        lambda text: commands.bgapi("status", text),
        lambda text: commands.sendmsg(text, []),
        lambda text: commands.sendmsg("u-1", [(text, "x")]),
        lambda text: commands.sendmsg("u-1", [("call-command", text)]),
    ],
)
def test_line_ends_and_nul_never_reach_the_wire(
    build: Callable[[str], Command], forbidden: str
) -> None:
    with pytest.raises(EslUsageError):
        build(f"a{forbidden}b")


@pytest.mark.parametrize(
    "build",
    [
        lambda: Command(""),
        lambda: Command("  "),
        lambda: Command("api x", (("two words", "x"),)),
        lambda: Command("api x", (("", "x"),)),
        lambda: commands.events([]),
        lambda: commands.events(["API CUSTOM"]),
        lambda: commands.events(["CUSTOM", "API"]),
        lambda: commands.events([""]),
        lambda: commands.events(["API"], event_format="yaml"),
        lambda: commands.userauth("10:01", "acme.test", "pw"),
        lambda: commands.userauth("", "acme.test", "pw"),
        lambda: commands.bgapi("status", "two words"),
        lambda: commands.sendmsg("", []),
    ],
)
def test_commands_without_sense_are_our_own_error(build: Callable[[], Command]) -> None:
    with pytest.raises(EslUsageError):
        build()


@given(st.text(), st.text())
def test_any_text_makes_exactly_one_command_or_none(line: str, value: str) -> None:
    try:
        wire = Command(f"api {line}", (("Header", value),)).encode()
    except EslUsageError:
        return
    assert wire.count(b"\n") == 3
    assert wire.endswith(b"\n\n")
    assert b"\r" not in wire
    assert b"\0" not in wire


@pytest.mark.parametrize("show", [repr, str])
def test_passwords_are_not_shown(show: Callable[[object], str]) -> None:
    assert "s3cret" not in show(commands.auth("s3cret"))
    assert "s3cret" not in show(commands.userauth("1001", "acme.test", "s3cret"))


def test_the_subscription_names_events_first_and_then_every_subclass() -> None:
    words = CALL_EVENTS.command().line.split()
    assert words[:2] == ["event", "json"]
    custom = words.index("CUSTOM")
    assert tuple(words[2:custom]) == CALL_EVENTS.events
    assert tuple(words[custom + 1 :]) == CALL_EVENTS.subclasses
    assert len(set(words)) == len(words)
    assert CALL_EVENTS.has_heartbeat
    assert not CALL_CONTROL.has_heartbeat


def test_the_subscription_covers_the_lifecycle_seen_in_the_recordings() -> None:
    """Every recorded event name is either asked for, or known to be noise."""
    noise = {
        "ADD_SCHEDULE", "API", "CALL_SECURE", "CHANNEL_APPLICATION", "CHANNEL_CALLSTATE",
        "CHANNEL_DESTROY", "CHANNEL_EXECUTE", "CHANNEL_EXECUTE_COMPLETE", "CHANNEL_HANGUP",
        "CHANNEL_STATE", "CODEC", "COMMAND", "DEL_SCHEDULE", "DETECTED_TONE", "EXE_SCHEDULE",
        "MEDIA_BUG_START", "MEDIA_BUG_STOP", "MESSAGE", "MESSAGE_QUERY", "MODULE_LOAD",
        "MODULE_UNLOAD", "NOTALK", "PHONE_FEATURE", "PHONE_FEATURE_SUBSCRIBE", "PLAYBACK_START",
        "PLAYBACK_STOP", "PRESENCE_IN", "PRESENCE_OUT", "PRESENCE_PROBE", "PRIVATE_COMMAND",
        "PUBLISH", "QUEUE_LEN", "RECV_INFO", "RECV_RTCP_MESSAGE", "RE_SCHEDULE", "ROSTER",
        "SEND_INFO", "SEND_MESSAGE", "SESSION_HEARTBEAT", "SHUTDOWN_REQUESTED", "STARTUP",
        "SUBCLASS", "TALK", "TRAP", "UNPUBLISH", "UNSUBSCRIBE",
    }  # fmt: skip
    stream = recordings.stream("calls/esl/events-plain-all")
    seen = {line[12:].decode() for line in stream.split(b"\n") if line.startswith(b"Event-Name: ")}
    assert seen - noise - {"CUSTOM"} <= set(CALL_EVENTS.events)
