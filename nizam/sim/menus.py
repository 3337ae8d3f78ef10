"""mod_ivr: menus fetched by name, digits pressed by the script, entries carried out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nizam.sim import legs
from nizam.sim.answers import Action, Menu, MenuEntry
from nizam.sim.interruption import Interruption

if TYPE_CHECKING:
    from nizam.sim.call import Call

_GREETING_SECONDS = 0.5


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
    waiter, pace = call.channel.waiter, call.exchange.pace
    while stack:
        menu = stack[-1]
        await waiter.sleep(_GREETING_SECONDS * pace)
        digits = call.press()
        if not digits:
            await waiter.sleep(menu.timeout / 1000 * pace)
            timeouts += 1
            if timeouts >= menu.max_timeouts:
                await _on_max(call, menu.exec_on_max_timeouts)
                return "timeout"
            continue
        chosen = menu.entry_for(digits)
        if len(digits) < menu.digit_len or chosen is None:
            await waiter.sleep(menu.inter_digit_timeout / 1000 * pace)
        if chosen is None:
            failures += 1
            if failures >= menu.max_failures:
                await _on_max(call, menu.exec_on_max_failures)
                return "failure"
            continue
        call.proofs.append(f"pressed {digits}")
        if not await _carry_out(call, menus, stack, *chosen):
            return "success"
    return "success"


async def _carry_out(
    call: Call, menus: dict[str, Menu], stack: list[Menu], entry: MenuEntry, param: str
) -> bool:
    """Does what an entry says; False leaves the menus."""
    if entry.action == "menu-exec-app":
        await _on_max(call, param)
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
        application, _, data = command.partition(" ")
        await call.perform(Action(application, data))


def _event(call: Call, subclass: str, name: str) -> None:
    call.channel.fire("CUSTOM", [("Menu-Name", name)], subclass=subclass)
