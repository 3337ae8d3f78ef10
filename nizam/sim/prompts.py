"""Applications that ask the caller for digits (mod_dptools.c, switch_ivr_play_say.c)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import attrs

from nizam.sim import keypad, legs, media
from nizam.sim.interruption import Transferred

if TYPE_CHECKING:
    from nizam.sim.call import Call


async def play_and_get_digits(call: Call, data: str) -> None:
    """`MIN MAX TRIES TIMEOUT TERMINATORS FILE INVALID_FILE VARIABLE REGEXP [DIGIT_TIMEOUT
    [TRANSFER_ON_FAILURE]]`: asks until what is pressed matches, or the tries are over.

    What does not match is in NAME_invalid. Whoever presses nothing leaves the variable as it was.
    """
    words = _words(data)
    if len(words) < 9:
        call.problem(f"play_and_get_digits cannot read {data!r}")
        return
    minimum, maximum, tries, timeout = (_number(it) for it in words[:4])
    terminators, prompt, invalid, name, expression = words[4:9]
    digit_timeout = _number(words[9]) if len(words) > 9 else 0
    channel = call.channel
    channel.set(f"{name}_invalid", None)
    for _ in range(tries):
        asked = _Question(minimum, maximum, prompt, name, timeout, terminators, digit_timeout)
        digits = await asked.put(call)
        if not digits and not minimum and channel.get("read_terminator_used"):
            return
        if digits and len(digits) >= minimum:
            if re.search(expression, digits):
                call.proofs.append(f"digits {name}={digits}")
                return
            channel.set(name, None)
            channel.set(f"{name}_invalid", digits)
        await media.play(call, invalid)
    call.proofs.append(f"no digits {name}")
    if len(words) > 10:
        destination, _, rest = words[10].partition(" ")
        raise Transferred(destination, rest.partition(" ")[2] or channel.profile.context)


async def read(call: Call, data: str) -> None:
    """`MIN MAX FILE VARIABLE TIMEOUT TERMINATORS [DIGIT_TIMEOUT]`: asks once; read_result tells."""
    words = _words(data)
    if len(words) < 4:
        call.problem(f"read cannot read {data!r}")
        return
    asked = _Question(
        minimum=max(1, _number(words[0])),
        maximum=_number(words[1]),
        prompt=words[2],
        variable=words[3],
        timeout=_number(words[4]) if len(words) > 4 else 1000,
        terminators=words[5] if len(words) > 5 else "#",
        digit_timeout=_number(words[6]) if len(words) > 6 else 0,
    )
    digits = await asked.put(call)
    call.proofs.append(f"digits {words[3]}={digits}")


@attrs.frozen
class _Question:
    """One prompt (switch_ivr_read); times are milliseconds, at least a second for the first."""

    minimum: int
    maximum: int
    prompt: str
    variable: str
    timeout: int
    terminators: str
    digit_timeout: int

    async def put(self, call: Call) -> str:
        """Plays the prompt and takes the digits, which are in the variable if there were any."""
        channel = call.channel
        legs.pre_answer(channel, local=True)
        channel.set("read_terminator_used", None)
        if self.prompt and self.prompt != "silence":
            await media.play(call, self.prompt, keys_end_it=True)
        first = max(1000, self.timeout) / 1000
        pressed = await keypad.collect(
            call,
            max(self.minimum, self.maximum, 1),
            timeout=first,
            digit_timeout=self.digit_timeout / 1000 or first,
            terminators=self.terminators,
        )
        if pressed.terminator:
            channel.set("read_terminator_used", pressed.terminator)
        short = len(pressed.digits) < self.minimum
        complete = pressed.terminator or len(pressed.digits) >= self.maximum
        result = "failure" if short else "success" if complete else "timeout"
        channel.set("read_result", result)
        if pressed.digits:
            channel.set(self.variable, pressed.digits)
        return pressed.digits


def _words(data: str) -> list[str]:
    """Words between blanks; single quotes keep blanks together (switch_separate_string)."""
    found = re.findall(r"'((?:[^'\\]|\\.)*)'|(\S+)", data)
    return [quoted or plain for quoted, plain in found]


def _number(text: str) -> int:
    return int(text) if text.lstrip("-").isdigit() else 0
