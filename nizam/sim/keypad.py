"""Keys that people press: collected by prompts, bound to applications, or heard by the other side.

Sources: switch_ivr.c (switch_ivr_collect_digits_count), switch_ivr_async.c (meta_on_dtmf,
switch_ivr_dmachine), mod_dptools.c (bind_meta_app, bind_digit_action).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import attrs

from nizam.sim.channel import Bound, Channel, DigitAction
from nizam.sim.interruption import Joined, LegEnded, Perform, Transferred

if TYPE_CHECKING:
    from nizam.sim.call import Call
    from nizam.sim.exchange import Exchange

_META = "*"


@attrs.frozen
class Collected:
    """What was pressed at a prompt, without the terminator that ended it."""

    digits: str
    terminator: str = ""


async def collect(
    call: Call,
    maximum: int,
    *,
    timeout: float,
    digit_timeout: float,
    terminators: str = "#",
    prompted: bool = True,
) -> Collected:
    """Takes up to `maximum` digits; the first is awaited `timeout` simulated seconds, the others
    `digit_timeout`. The caller's script answers once for each prompt, unless not `prompted`.

    Raises Interruption.
    """
    channel, pace = call.channel, call.exchange.pace
    if prompted and not channel.typed:
        answer = call.next_answer()
        channel.pressed += answer
        channel.typed += answer
    digits = ""
    while len(digits) < maximum:
        if not channel.typed:
            channel.collecting = True
            try:
                await channel.waiter.sleep((digit_timeout if digits else timeout) * pace)
            finally:
                channel.collecting = False
            if not channel.typed:
                break
        digit = channel.typed.pop(0)
        heard(channel, digit)
        if digit in terminators:
            return Collected(digits, digit)
        digits += digit
    return Collected(digits)


def heard(channel: Channel, digit: str) -> None:
    """The switch takes a digit that was pressed on this leg: DTMF, unless they are secret."""
    if channel.variables.get("sensitive_dtmf") == "true":
        return
    channel.fire(
        "DTMF",
        [("DTMF-Digit", digit), ("DTMF-Duration", "1280"), ("DTMF-Source", "ENDPOINT")],
    )


def press(exchange: Exchange, channel: Channel, digits: str) -> None:
    """Whoever holds this leg's phone presses these keys."""
    for digit in digits:
        channel.pressed += digit
        if channel.ended:
            return
        if channel.bridged:
            if not _bound(exchange, channel, digit) and not _action(exchange, channel, digit):
                heard(channel, digit)
                if channel.other is not None:
                    channel.other.hear(f"digit {digit}")
            continue
        call = exchange.sessions.get(channel.uuid)
        if call is not None and call.on_key is not None:
            heard(channel, digit)
            call.on_key(digit)
            continue
        channel.typed.append(digit)
        if channel.collecting:
            channel.waiter.poke()


def bind_meta_app(channel: Channel, data: str) -> bool:
    """`KEY LISTEN RESPOND APPLICATION[::DATA]` on the leg that runs it; False if malformed."""
    words = data.split(" ", 3)
    if len(words) != 4:
        return False
    key, listen, respond, command = words
    application, _, argument = command.partition("::")
    on = next((it for it in respond if it in "abso"), "a")
    bound = Bound(on, application, argument, "1" in respond)
    for leg in listen:
        if leg in "ab":
            channel.bound[leg, key] = bound
    return True


def unbind_meta_app(channel: Channel, data: str) -> None:
    """Forgets one key, or all."""
    for leg, key in list(channel.bound):
        if data.strip() in ("", key):
            del channel.bound[leg, key]


def bind_digit_action(channel: Channel, data: str) -> bool:
    """`REALM,DIGITS,exec:APPLICATION,DATA[,LISTEN[,ON]]`; False for what is not simulated."""
    parts = data.split(",")
    if len(parts) < 4 or not parts[2].startswith("exec:"):
        return False
    realm, digits, command, argument = parts[:4]
    on = parts[5] if len(parts) > 5 else "self"
    channel.actions.append(DigitAction(realm, digits, command.removeprefix("exec:"), argument, on))
    if not channel.realm:
        channel.realm = realm
    return True


def _bound(exchange: Exchange, channel: Channel, digit: str) -> bool:
    """Whether a key of bind_meta_app took this digit; its owner may be the other leg."""
    owner, side = channel, "a"
    if not channel.bound and channel.other is not None:
        owner, side = channel.other, "b"
    if not any(leg == side for leg, _ in owner.bound):
        return False
    if side == "b":  # its digits are heard before the other leg looks at them
        heard(channel, digit)
    if channel.half_typed != _META:
        channel.half_typed = digit if digit == _META else ""
        if side == "b" and digit != _META and channel.other is not None:
            channel.other.hear(f"digit {digit}")
        return side == "b" or digit == _META
    channel.half_typed = ""
    found = owner.bound.get((side, digit))
    if found is None:
        return side == "b" or digit == _META
    if found.once:
        del owner.bound[side, digit]
    peer = owner.other or owner
    target = {"a": owner, "b": peer, "s": channel, "o": owner if channel is peer else peer}
    run_on(exchange, target[found.on], found.application, found.data)
    return True


def _action(exchange: Exchange, channel: Channel, digit: str) -> bool:
    """Whether the digit belongs to a row of bind_digit_action, which is run when complete."""
    actions = [it for it in channel.actions if it.realm == channel.realm]
    typed = channel.half_typed + digit
    for action in actions:
        if action.digits.startswith("~"):
            matches = re.fullmatch(action.digits[1:], typed) is not None
        else:
            matches = action.digits == typed
        if matches:
            channel.half_typed = ""
            peer = channel.other or channel
            target = peer if action.on in ("peer", "opposite") else channel
            run_on(exchange, target, action.application, action.data)
            return True
    begins = any(not it.digits.startswith("~") and it.digits.startswith(typed) for it in actions)
    channel.half_typed = typed if begins else ""
    return begins


def run_on(exchange: Exchange, channel: Channel, application: str, data: str) -> None:
    """Runs an application on a connected leg, which stays connected unless that moves it; after
    those that it runs already in this way."""
    if channel.aside is not None:
        channel.aside.append((application, data))
        return
    call = exchange.sessions.get(channel.uuid)
    if call is not None:
        channel.waiter.interrupt(Perform(application, data))
        return
    call = exchange.call_on(channel)
    exchange.spawn(_aside(exchange, call, application, data))


async def perform_aside(call: Call, application: str, data: str) -> None:
    """Runs an application in between, and what was asked for meanwhile; raises Interruption."""
    waiting = call.channel.aside = [(application, data)]
    try:
        while waiting:
            await call.perform_named(*waiting.pop(0))
    finally:
        call.channel.aside = None


async def _aside(exchange: Exchange, call: Call, application: str, data: str) -> None:
    """Runs an application on a leg whose dialplan another leg runs."""
    try:
        await perform_aside(call, application, data)
    except (Joined, Transferred) as moved:
        exchange.redirect(call.channel, moved)
    except LegEnded:
        call.channel.wake(LegEnded())
