"""`nizam call originate|hangup|transfer|...`: placing calls and steering those under way."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from nizam.cli.access import Access, api_options
from nizam.cli.exits import CONDITION_DOES_NOT_HOLD
from nizam.cli.output import json_option, print_object

if TYPE_CHECKING:
    from nizam.client.call_control import Calls

Ask = Callable[..., dict[str, Any]]

_CALL = click.argument("call_id")
_LEG = click.option("--leg", "leg_id", metavar="LEG_ID", help="Which leg.  [default: see docs]")
_WAIT = click.option(
    "--wait", type=click.IntRange(0, 25), default=0, help="Seconds to wait for the outcome."
)
_HEARD_BY = click.option("--heard-by", type=click.Choice(["both", "leg", "other"]), default="both")


def add_call_commands(group: click.Group) -> None:
    """Add the commands to `nizam call`."""
    for name, text, asks, options in _COMMANDS:
        _add(group, name, text, asks, options)


def _add(
    group: click.Group, name: str, text: str, ask: Ask, options: tuple[Callable[..., Any], ...]
) -> None:
    @api_options(tenant=True)
    @json_option
    def run(access: Access, as_json: bool, **given: Any) -> None:
        with access.in_tenant() as tenant:
            found = ask(tenant.calls, **given)
        print_object(found, as_json=as_json)
        if found.get("state") == "failed":
            raise SystemExit(CONDITION_DOES_NOT_HOLD)

    command: Any = run
    for option in reversed(options):
        command = option(command)
    group.command(name, help=text)(command)


def _originate(calls: Calls, from_: str, to: str, **given: Any) -> dict[str, Any]:
    given["auto_answer"] = given["auto_answer"] or None
    return calls.originate(from_, to, **given)


def _play(calls: Calls, call_id: str, sound: str | None, **given: Any) -> dict[str, Any]:
    return calls.play(call_id, sound, **given)


def _record(calls: Calls, call_id: str, action: str, leg_id: str | None) -> dict[str, Any]:
    ask: Ask = getattr(calls, f"{action}_recording")
    return ask(call_id, leg_id=leg_id)


def _supervise(calls: Calls, call_id: str, how: str, by: str, **given: Any) -> dict[str, Any]:
    ask: Ask = getattr(calls, how)
    return ask(call_id, by, **given)


def _plain(method: str) -> Ask:
    def ask(calls: Calls, call_id: str, **given: Any) -> dict[str, Any]:
        found: dict[str, Any] = getattr(calls, method)(call_id, **given)
        return found

    return ask


_COMMANDS: tuple[tuple[str, str, Ask, tuple[Callable[..., Any], ...]], ...] = (
    (
        "originate",
        "Ring the phones of extension FROM, then dial TO for whoever answers.",
        _originate,
        (
            click.argument("from_", metavar="FROM"),
            click.argument("to"),
            click.option("--ring-seconds", type=click.IntRange(5, 120)),
            click.option("--auto-answer", is_flag=True, help="Ask the phones to answer."),
            click.option("--caller-id", metavar="NUMBER", help="Shown outside, in E.164."),
            click.option("--idempotency-key", metavar="KEY", help="Place it once for this key."),
            _WAIT,
        ),
    ),
    (
        "outcome",
        "Show what became of a call that was placed within a day.",
        _plain("outcome"),
        (_CALL, _WAIT),
    ),
    (
        "hangup",
        "End a call, or one leg of it.",
        _plain("hangup"),
        (_CALL, click.option("--cause", metavar="CAUSE", help="Such as USER_BUSY."), _LEG),
    ),
    (
        "transfer",
        "Send a leg of a call to another number.",
        _plain("transfer"),
        (_CALL, click.argument("to"), _LEG),
    ),
    (
        "join",
        "Connect those whom somebody in two calls talks to (attended transfer).",
        _plain("join"),
        (_CALL, click.argument("other_call_id"), _LEG),
    ),
    ("hold", "Put a call on hold.", _plain("hold"), (_CALL, _LEG)),
    ("resume", "End the hold of a call.", _plain("resume"), (_CALL, _LEG)),
    (
        "park",
        "Park a call.",
        _plain("park"),
        (_CALL, click.option("--lot", metavar="NUMBER", help="The parking lot."), _LEG),
    ),
    (
        "bridge",
        "Connect a leg of a call with one of another.",
        _plain("bridge"),
        (_CALL, click.argument("other_call_id"), _LEG),
    ),
    (
        "play",
        "Play a sound into a call.",
        _play,
        (
            _CALL,
            click.argument("sound", required=False),
            click.option("--prompt", "prompt_id", metavar="ID", help="A prompt of the tenant."),
            _HEARD_BY,
            _LEG,
        ),
    ),
    ("stop-playing", "End what is played or said.", _plain("stop_playing"), (_CALL, _LEG)),
    (
        "say",
        "Speak a text into a call.",
        _plain("say"),
        (_CALL, click.argument("text"), _HEARD_BY, _LEG),
    ),
    (
        "dtmf",
        "Send keys to a phone or line.",
        _plain("dtmf"),
        (_CALL, click.argument("digits"), _LEG),
    ),
    (
        "record",
        "Start, stop, pause or resume the recording of a call.",
        _record,
        (
            click.argument("action", type=click.Choice(["start", "stop", "pause", "resume"])),
            _CALL,
            _LEG,
        ),
    ),
    ("mute", "Let nobody hear what is said at a phone.", _plain("mute"), (_CALL, _LEG)),
    ("unmute", "Let it be heard again.", _plain("unmute"), (_CALL, _LEG)),
    (
        "supervise",
        "Ring extension BY to listen to a call (eavesdrop), to speak to one leg of it alone "
        "(whisper), or to everybody in it (barge).",
        _supervise,
        (
            click.argument("how", type=click.Choice(["eavesdrop", "whisper", "barge"])),
            _CALL,
            click.argument("by"),
            _LEG,
            _WAIT,
        ),
    ),
)
"""Name, help, what asks, and its arguments and options."""
