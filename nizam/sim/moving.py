"""Legs that are sent elsewhere by others: directed pickup, and REFER by one of two who talk.

Sources: switch_ivr_bridge.c (switch_ivr_intercept_session), sofia.c
(sofia_handle_sip_i_refer); the variables of a blind transfer are recorded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nizam.sim import bridging, endings, legs
from nizam.sim.causes import is_true
from nizam.sim.channel import Channel
from nizam.sim.interruption import Joined, LegEnded, Transferred

if TYPE_CHECKING:
    from nizam.sim.call import Call
    from nizam.sim.exchange import Exchange


async def intercept(call: Call, data: str) -> None:
    """`intercept [-bleg] UUID`: takes that leg from whoever it rings or talks to.

    Goes on with the dialplan when there is no such leg, or a variable forbids it.
    """
    channel, core = call.channel, call.exchange.core
    words = data.split()
    target = core.channels.get(words[-1]) if words else None
    if target is not None and words[0] == "-bleg":
        target = partner(core.channels, target)
    if target is None or target is channel or target.ended:
        call.proofs.append("nothing to intercept")
        return
    if is_true(channel.get("intercept_unbridged_only")) and target.bridged:
        return
    if is_true(channel.get("intercept_unanswered_only")) and target.answered:
        return
    legs.answer_inbound(channel)
    left = partner(core.channels, target)
    if not target.answered and target.profile.direction == "outbound":
        # A phone that rings cannot be answered from here: as seen, everybody is hung up.
        call.problem("intercept of a called leg that only rings ends the whole call")
        if left is not None:
            _picked_off(left)
        if endings.hang_up(target, "DESTINATION_OUT_OF_ORDER", "send_cancel"):
            target.wake(LegEnded())
        call.end("ORIGINATOR_CANCEL")
    if not target.answered and target.profile.direction == "inbound":
        legs.answer_inbound(target)
    call.proofs.append(f"intercepted {target.profile.caller_id_number}")
    if left is not None and left is not channel and target.controlled_by is not None:
        _picked_off(left)
    bridging.join(call, channel, target, cause="PICKED_OFF")
    await channel.waiter.sleep(0)


def partner(channels: dict[str, Channel], channel: Channel) -> Channel | None:
    """The leg that this one is bridged with, or rings."""
    bond = channel.get("signal_bond") or channel.get("originate_signal_bond")
    return channels.get(bond or "") or channel.other


def _picked_off(left: Channel) -> None:
    """The leg whose called one was taken away is hung up."""
    how = "send_bye" if left.answered else "send_refuse"
    if endings.hang_up(left, "PICKED_OFF", how):
        left.wake(LegEnded())


def refer(exchange: Exchange, channel: Channel, destination: str) -> bool:
    """The phone of this leg sends the one it talks to elsewhere (REFER), and hangs up.

    False when it talks to nobody.
    """
    other = channel.other
    if other is None or not channel.bridged:
        return False
    domain = channel.fields.get("domain", "")
    context = other.get("force_transfer_context") or other.profile.context
    other.set("sip_h_Referred-By", f"<sip:{_number(channel)}@{domain}>")
    other.set("sip_refer_to", f"<sip:{destination}@{domain}>")
    other.set("sip_hangup_disposition", None)
    exchange.redirect(other, Transferred(destination, context))
    return True


def refer_replacing(exchange: Exchange, first: Channel, second: Channel) -> bool:
    """A phone with two calls connects those it talks to (REFER with Replaces).

    Its own legs end; the one called last leads. False unless both calls are answered.
    """
    one, two = first.other, second.other
    if one is None or two is None or not first.bridged or not second.bridged:
        return False
    seconds = first.core.now() // 1_000_000
    for leg, peer in ((one, two), (two, one)):
        leg.set("transfer_source", f"{seconds}:{leg.uuid}:att_xfer:{peer.name}")
    exchange.redirect(two, Joined(one, leads=False))
    exchange.redirect(one, Joined(two, leads=True))
    return True


def _number(channel: Channel) -> str:
    if channel.profile.direction == "inbound":
        return channel.profile.caller_id_number
    return channel.profile.callee_id_number
