"""The command `originate`: its words, and what comes of them."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from nizam.sim.answers import Action

if TYPE_CHECKING:
    from nizam.sim.commands import Commands

ORIGINATE_USAGE = (
    "-USAGE: <call url> <exten>|&<application_name>(<app_args>) [<dialplan>] [<context>] "
    "[<cid_name>] [<cid_num>] [<timeout_sec>]\n"
)
_APPLICATION = re.compile(r"&(\w+)(?:\((.*)\))?$", re.DOTALL)


async def originate(on: Commands, arguments: str) -> str:
    """Places a call, `originate DIAL-STRING EXTENSION|&APPLICATION(DATA) ...`; what the switch
    answers."""
    words = _originate_words(arguments)
    if len(words) < 2:
        return ORIGINATE_USAGE
    dial_string, extension, _, context, name, number, timeout = (*words, *[""] * 7)[:7]
    match = _APPLICATION.fullmatch(extension)
    script = on.originate_script()
    variables = []
    if name:
        variables.append(f"origination_caller_id_name='{name}'")
    if number:
        variables.append(f"origination_caller_id_number={number}")
    if timeout:
        variables.append(f"originate_timeout={timeout}")
    if variables:
        dial_string = "{" + ",".join(variables) + "}" + dial_string
    used = re.search(r"origination_uuid=([^,}\]]+)", dial_string)
    if used and used[1] in on.exchange.core.channels:
        return "-ERR DESTINATION_OUT_OF_ORDER\n"
    on.exchange.truth.placed += 1
    if match:
        first = Action(match[1], match[2] or "")
    else:
        first = Action("transfer", f"{extension} XML {context or 'default'}")
    channel, cause = await on.calls.originate(dial_string, script, first)
    if channel is None:
        return f"-ERR {cause}\n"
    return f"+OK {channel.uuid}\n"


def _originate_words(text: str) -> list[str]:
    """The words of an originate: the dial-string's brackets and the application's parentheses
    keep spaces together, single quotes do elsewhere."""
    depth, end = 0, len(text)
    if text.startswith("'"):
        # Quoted as a whole, whatever is in it.
        end = text.find("'", 1)
        if end < 0:
            return []
        text = text[1:end] + text[end + 1 :]
        end -= 1
        return _after(text[:end], text[end:].strip())
    for index, character in enumerate(text):
        if character in "{[":
            depth += 1
        elif character in "}]":
            depth -= 1
        elif character == " " and depth <= 0:
            end = index
            break
    return _after(text[:end], text[end:].strip())


def _after(dial_string: str, rest: str) -> list[str]:
    """The words of an originate whose dial-string has been read."""
    if not rest:
        return [dial_string] if dial_string else []
    if rest.startswith("&"):
        closing = rest.rfind(")") + 1 or (rest + " ").index(" ")
        return [dial_string, rest[:closing], *shlex.split(rest[closing:])]
    try:
        return [dial_string, *shlex.split(rest)]
    except ValueError:
        return [dial_string, *rest.split()]
