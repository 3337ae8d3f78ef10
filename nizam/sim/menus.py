"""mod_ivr: menus fetched by name, digits pressed by the script, entries carried out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nizam.sim import keypad, legs, media
from nizam.sim.answers import Action, Menu, MenuEntry
from nizam.sim.interruption import Interruption

if TYPE_CHECKING:
    from nizam.sim.call import Call


async def run(call: Call, name: str) -> None:
    """The `ivr` application: returns when the caller leaves the menus without a transfer."""
    channel = call.channel
    legs.answer_inbound(channel)
    menus = await call.exchange.questions.ivr_menus(channel, name)
    call.check()
    if name not in menus:
        call.problem(f"no menu {name!r} in the answer")
        channel.set("ivr_menu_status", "failure")
        return
    call.proofs.append(f"menu {name}")
    stack = [menus[name]]
    _event(call, "menu::enter", name)
    try:
        status = await _visit(call, menus, stack)
        channel.set("ivr_menu_status", status)
    except Interruption:
        channel.set("ivr_menu_status", "success")
        _event(call, "menu::exit", name)
        raise
    _event(call, "menu::exit", name)


async def _visit(call: Call, menus: dict[str, Menu], stack: list[Menu]) -> str:
    timeouts = failures = 0
    greet = True
    while stack:
        menu = stack[-1]
        greeting = menu.greet_long if greet else menu.greet_short or menu.greet_long
        greet = False
        if greeting:
            await media.play(call, greeting, keys_end_it=True)
        pressed = await keypad.collect(
            call,
            menu.digit_len,
            timeout=menu.timeout / 1000,
            digit_timeout=menu.inter_digit_timeout / 1000,
        )
        if not pressed.digits and not pressed.terminator:
            timeouts += 1
            if timeouts >= menu.max_timeouts:
                await _on_max(call, menu.exec_on_max_timeouts)
                return "timeout"
            continue
        chosen = menu.entry_for(pressed.digits)
        if chosen is None:
            call.proofs.append(f"invalid {pressed.digits}")
            if menu.invalid_sound:
                await media.play(call, menu.invalid_sound)
            failures += 1
            if failures >= menu.max_failures:
                await _on_max(call, menu.exec_on_max_failures)
                return "failure"
            continue
        call.proofs.append(f"pressed {pressed.digits}")
        depth = len(stack)
        if not await _carry_out(call, menus, stack, *chosen):
            return "success"
        if len(stack) != depth:
            timeouts = failures = 0
            greet = len(stack) > depth
    return "success"


async def _carry_out(
    call: Call, menus: dict[str, Menu], stack: list[Menu], entry: MenuEntry, param: str
) -> bool:
    """Does what an entry says; False leaves the menus."""
    if entry.action == "menu-exec-app":
        await _execute(call, param)
    elif entry.action == "menu-sub":
        if param not in menus:  # "Invalid Menu!": the caller falls out
            call.problem(f"menu {param!r} is not in the same document")
            return False
        stack.append(menus[param])
    elif entry.action == "menu-back":
        stack.pop()
    elif entry.action == "menu-top":
        del stack[1:]
    elif entry.action == "menu-exit":
        return False
    return True


async def _on_max(call: Call, command: str | None) -> None:
    if command:
        await _execute(call, command)


async def _execute(call: Call, command: str) -> None:
    application, _, data = command.partition(" ")
    await call.perform(Action(application, data))


def _event(call: Call, subclass: str, name: str) -> None:
    call.channel.fire("CUSTOM", [("Menu-Name", name)], subclass=subclass)
