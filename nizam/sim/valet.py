"""mod_valet_parking: calls that wait in the slots of a lot until somebody fetches them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import attrs

from nizam.sim import bridging, media
from nizam.sim.channel import Channel
from nizam.sim.interruption import Transferred

if TYPE_CHECKING:
    from nizam.sim.call import Call

HOLD_MUSIC = "local_stream://moh"
_ORBIT_SECONDS = 60.0  # how long a call waits that has somewhere to return to


@attrs.define(eq=False)
class Slot:
    """A slot that is taken: who waits in it, and whether somebody is fetching it right now."""

    channel: Channel
    bridged: bool = False


async def valet_park(call: Call, data: str) -> None:
    """`valet_park LOT SLOT`, or `valet_park LOT auto in|out FIRST LAST`.

    Waits in a free slot, or is connected with the call that waits in the slot.
    """
    channel, exchange = call.channel, call.exchange
    words = data.split()
    if len(words) < 2:
        call.problem(f"valet_park cannot read {data!r}")
        return
    lot_name, extension = words[0], words[1]
    lot = exchange.lots.setdefault(lot_name, {})
    automatic = extension == "auto"
    going_in = True
    if automatic:
        if len(words) < 5 or words[2] not in ("in", "out") or not "".join(words[3:5]).isdigit():
            call.problem(f"valet_park cannot read {data!r}")
            return
        going_in = words[2] == "in"
        found = _choose(lot, int(words[3]), int(words[4]), going_in)
        if found is None:
            await media.phrase(call, "valet_lot_full" if going_in else "valet_lot_empty")
            return
        extension = found
    waiting = lot.get(extension)
    if waiting is not None and not waiting.channel.ended and not waiting.bridged:
        _fire(waiting.channel, lot_name, extension, "bridge", channel.uuid)
        waiting.bridged = True
        call.proofs.append(f"retrieved {extension}")
        bridging.join(call, waiting.channel, channel)
        await channel.waiter.sleep(0)
        return
    await _wait(call, lot_name, lot, extension, announce=automatic)


async def _wait(
    call: Call, lot_name: str, lot: dict[str, Slot], extension: str, announce: bool
) -> None:
    channel = call.channel
    slot = lot[extension] = Slot(channel)
    returning: Transferred | None = None
    try:
        if announce and channel.get("valet_announce_slot") != "false":
            await channel.waiter.sleep(1.5 * call.exchange.pace)
            await media.phrase(call, f"valet_announce_ext,{lot_name}:{extension}")
        call.proofs.append(f"parked {extension}")
        _fire(channel, lot_name, extension, "hold")
        channel.set("valet_lot_extension", extension)
        music = channel.get("valet_hold_music") or channel.get("hold_music") or HOLD_MUSIC
        channel.hear(music)
        await _until_fetched(call)
        orbit = channel.get("valet_parking_orbit_exten")
        if orbit:
            context = channel.get("valet_parking_orbit_context") or channel.profile.context
            returning = Transferred(orbit, context)
            call.show_transfer(returning)  # the exit tells of it
    finally:
        _leave(lot, extension, slot)
        _fire(channel, lot_name, extension, "exit")
    if returning is not None:
        raise returning


async def _until_fetched(call: Call) -> None:
    """Returns when the call has waited long enough; raises Joined when it is fetched."""
    channel = call.channel
    seconds = _ORBIT_SECONDS if channel.get("valet_parking_orbit_exten") else None
    timeout = channel.get("valet_parking_timeout") or ""
    if timeout.isdigit() and int(timeout) > 0:
        seconds = float(timeout)
    talk = call.script.talk
    if talk is not None and (seconds is None or talk < seconds):
        await call.until_caller_leaves(talk)
    await channel.waiter.sleep(None if seconds is None else seconds * call.exchange.pace)


def info(lots: Mapping[str, Mapping[str, Slot]], wanted: str = "") -> str:
    """`valet_info [LOT]`: who waits where."""
    lines = ["<lots>"]
    for name, lot in lots.items():
        if wanted and wanted.lower() != name.lower():
            continue
        lines.append(f'  <lot name="{name}">')
        lines += [
            f'    <extension uuid="{slot.channel.uuid}">{extension}</extension>'
            for extension, slot in lot.items()
            if not slot.bridged
        ]
        lines.append("  </lot>")
    return "\n".join([*lines, "</lots>", ""])


def _leave(lot: dict[str, Slot], extension: str, slot: Slot) -> None:
    if lot.get(extension) is slot:
        del lot[extension]


def _choose(lot: dict[str, Slot], first: int, last: int, going_in: bool) -> str | None:
    """The first free slot to go into, or the one that was taken the longest to come out of."""
    numbers = [str(number) for number in range(first, last + 1)]
    if going_in:
        return next((it for it in numbers if it not in lot), None)
    return next((it for it in lot if it in numbers), None)


def _fire(channel: Channel, lot: str, extension: str, action: str, peer: str = "") -> None:
    details = [("Valet-Lot-Name", lot), ("Valet-Extension", extension), ("Action", action)]
    if peer:
        details.append(("Bridge-To-UUID", peer))
    channel.fire(
        "CUSTOM",
        [*details],
        subclass="valet_parking::info",
        key=f"valet_parking::info {action}",
    )
