"""Legs connected with each other: `bridge`, and two legs that run by themselves (uuid_bridge)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nizam.sim import endings, keypad, legs
from nizam.sim.causes import continues, is_true
from nizam.sim.channel import Channel, Times
from nizam.sim.dialling import Dialler
from nizam.sim.interruption import Interruption, Joined, LegEnded, Perform, Transferred
from nizam.sim.race import Outcome

if TYPE_CHECKING:
    from nizam.sim.call import Call


async def connect(call: Call, data: str) -> None:
    """The `bridge` application: rings a dial-string and connects who answers.

    Returns when the dialplan goes on; raises Interruption.
    """
    a = call.channel
    dialler = Dialler(call.exchange, call.script, a)
    try:
        outcome = await dialler.dial(data)
    except Interruption:
        if not a.ended:  # what rang was cancelled while the call goes on elsewhere
            call.finished += [call.exchange.finish(leg) for leg in dialler.unfinished]
            dialler.unfinished.clear()
        raise
    finally:
        call.proofs += [f"rang {number}" for number in dialler.rang]
        call.finished += dialler.finished
        call.unfinished += dialler.unfinished
    b, target = outcome.channel, outcome.target
    if b is None or target is None:
        call.proofs.append(f"refused {outcome.cause}")
        if not continues(a.get("continue_on_fail"), a.get("failure_causes"), outcome.cause):
            call.end(outcome.cause)
        return
    name = target.dialled_user or target.destination
    answering = not a.answered
    if outcome.early:
        dialler.connected(outcome)
        legs.bridge(a, b, answered=False)
        if not await _until_answered(call, b, outcome):
            return
        legs.answer_outbound(b, target.user)
        legs.answer_inbound(a)
        legs.tell_callee_ids(a, b)
    else:
        legs.answer_inbound(a)
        dialler.connected(outcome)
        legs.bridge(a, b)
    call.proofs.append(f"bridged {name}")
    if answering:
        await call.on_answer()
    await _talk(call, b)


async def _until_answered(call: Call, b: Channel, outcome: Outcome) -> bool:
    """The caller hears what the called phone plays before it answers; False if it never does."""
    a = call.channel
    try:
        if outcome.answers_after is None:
            await a.waiter.sleep(call.exchange.pace * 60)
        else:
            await a.waiter.sleep(call.exchange.pace * max(0.0, outcome.answers_after))
            if not b.ended:
                return True
    except Interruption:
        endings.hang_up(b, a.hangup_cause or "NORMAL_CLEARING", "send_cancel")
        legs.unbridge(a, b)
        call.release(b)
        raise
    endings.hang_up(b, "NO_ANSWER", "send_cancel")
    legs.unbridge(a, b)
    call.release(b)
    call.proofs.append(f"refused {b.hangup_cause}")
    if not continues(a.get("continue_on_fail"), a.get("failure_causes"), b.hangup_cause):
        call.end(b.hangup_cause)
    return False


async def _talk(call: Call, b: Channel) -> None:
    a = call.channel

    def callee_hangs_up() -> None:
        if endings.hang_up(b, "NORMAL_CLEARING", "recv_bye"):
            a.waiter.poke()

    talk = call.script.talk
    timer = None
    if talk is not None:
        by_caller = call.script.hang_up_by == "caller"
        timer = call.later(talk, call.caller_hangs_up if by_caller else callee_hangs_up)
    try:
        while not b.ended and b.controlled_by is a.waiter:
            try:
                await a.waiter.sleep(None)
            except Perform as wanted:
                await keypad.perform_aside(call, wanted.application, wanted.data)
    except Interruption as reason:
        if b.controlled_by is a.waiter:
            cause = reason.cause if isinstance(reason, Joined) else "NORMAL_CLEARING"
            endings.hang_up(b, a.hangup_cause or cause, "send_bye")
            legs.unbridge(a, b)
            call.release(b)
            if not a.ended:
                a.part()
        raise
    finally:
        if timer is not None and timer.active():
            timer.cancel()
    if b.controlled_by is not a.waiter:  # the other leg was transferred away
        legs.unbridge(a, b)
        a.part()
        call.end(call.parting_cause)
    call.release(b)
    legs.unbridge(a, b)
    if is_true(a.get("hangup_after_bridge")):
        call.end(b.hangup_cause)
    after = a.get("transfer_after_bridge")
    if after:
        destination, _, context = after.partition(":XML:")
        raise Transferred(destination, context or a.profile.context)


async def converse(call: Call, joined: Joined) -> None:
    """Two legs that run by themselves are connected; ends with this leg, or raises Transferred.

    When one ends, or goes elsewhere, the other is hung up.
    """
    channel, peer = call.channel, joined.peer
    channel.fire(
        "CHANNEL_EXECUTE",
        [
            ("Application", "uuid_bridge"),
            ("Application-Data", peer.uuid),
            ("Application-UUID", channel.core.new_uuid()),
        ],
    )
    await channel.waiter.sleep(0)
    if joined.leads and not peer.ended:
        peer.join(channel, "originator", Times())
        legs.bridge(channel, peer)
        call.proofs.append(f"joined {peer.profile.caller_id_number}")
    timer = None
    if not joined.leads and call.script.talk is not None:
        timer = call.later(call.script.talk, call.caller_hangs_up)
    try:
        while not peer.ended:
            try:
                await channel.waiter.sleep(None)
            except Perform as wanted:
                await keypad.perform_aside(call, wanted.application, wanted.data)
    except Interruption as reason:
        if channel.ended or not isinstance(reason, LegEnded):
            _let_go(channel, peer, joined.leads)
        raise
    finally:
        if timer is not None and timer.active():
            timer.cancel()
    if joined.leads:
        legs.unbridge(channel, peer)
    call.end("NORMAL_CLEARING")


def _let_go(channel: Channel, peer: Channel, leads: bool) -> None:
    """This leg leaves `peer`, which has nobody to talk to any more."""
    if leads:
        legs.unbridge(channel, peer)
    channel.part()
    if peer.other is not channel:
        return  # it has left before
    cause = channel.hangup_cause or "NORMAL_CLEARING"
    if not leads:
        legs.unbridge(peer, channel)
    peer.part()
    if endings.hang_up(peer, cause, "send_bye"):
        peer.wake(LegEnded())


def join(call: Call, lead: Channel, other: Channel, cause: str = "NORMAL_CLEARING") -> None:
    """uuid_bridge: connects two legs whatever each is doing; `lead` tells of the bridge.

    `cause` is what legs are hung up with that the two leave behind.
    """
    seconds = lead.core.now() // 1_000_000
    for channel, peer in ((other, lead), (lead, other)):
        source = f"{seconds}:{lead.core.new_uuid()}:uuid_br:{peer.uuid}"
        channel.profile.transfer_source = source
        channel.append("transfer_history", source)
        channel.set("transfer_source", source)
        joined = Joined(peer, leads=channel is lead, cause=cause)
        call.exchange.redirect(channel, joined)
