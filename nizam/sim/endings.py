"""The end of a channel, with the events and variables that a real FreeSWITCH leaves.

hang_up() or refuse() comes first, then complete() and destroy().
"""

from __future__ import annotations

from nizam.sim import wire
from nizam.sim.causes import (
    CAUSE_OF_SIP_STATUS,
    OTHER_SIP_STATUS,
    PHRASE_OF_SIP_STATUS,
    known_cause,
    q850,
)
from nizam.sim.channel import Channel
from nizam.sim.recorded import statistics
from nizam.sim.timing import complete_variables


def hang_up(channel: Channel, cause: str, disposition: str) -> bool:
    """Hangs up: CHANNEL_HANGUP. `disposition` says who, as sip_hangup_disposition does.

    Returns False when the leg had ended before. complete() must follow.
    """
    if channel.ended:
        return False
    channel.hangup_cause = known_cause(cause)
    channel.times.hangup = channel.core.now()
    channel.answer_state = "hangup"
    channel.state_number = 10
    if disposition in ("recv_bye", "recv_cancel"):
        _told(channel, disposition)
    elif channel.other is not None and channel.other.ended and channel.role != "internal":
        _ended_with_the_other(channel, disposition)
    if disposition.startswith("send_"):
        channel.at_the_end = _said(channel, disposition)
    channel.fire("CHANNEL_HANGUP")
    if disposition == "recv_bye":
        channel.touch("sip_user_agent")
        channel.set("sip_hangup_disposition", disposition)
        if channel.profile.direction == "outbound":
            channel.set("bridge_to", None)
    return True


def _told(channel: Channel, disposition: str) -> None:
    """The other side sent BYE or CANCEL."""
    status, cause = ("200", "16") if disposition == "recv_bye" else ("487", "487")
    if disposition == "recv_cancel":
        channel.set("sip_hangup_disposition", disposition)
        channel.set("sip_invite_failure_status", status)
        channel.set("sip_invite_failure_phrase", "CANCEL")
    channel.set("sip_term_status", status)
    channel.set("proto_specific_hangup_cause", f"sip:{status}")
    channel.set("sip_term_cause", cause)
    if channel.times.bridged:
        inbound = channel.profile.direction == "inbound"
        channel.set("last_bridge_role", "originator" if inbound else "originatee")


def _ended_with_the_other(channel: Channel, disposition: str) -> None:
    """A leg that ends because the one it belongs to did."""
    cancelled = disposition == "send_cancel"
    channel.set("bridge_to", None)
    channel.set("sip_hangup_phrase", "Request Terminated" if cancelled else "OK")
    channel.set("last_bridge_hangup_cause", channel.hangup_cause)
    status = "487" if cancelled else "200"
    channel.set("last_bridge_proto_specific_hangup_cause", f"sip:{status}")


def _said(channel: Channel, disposition: str) -> wire.Headers:
    """What a leg that we ended shows at its very end."""
    pairs: wire.Headers = []
    if channel.profile.direction == "outbound" and channel.times.bridged:
        pairs += [("bridge_hangup_cause", channel.hangup_cause), ("call_uuid", channel.uuid)]
    pairs.append(("sip_hangup_disposition", disposition))
    if disposition == "send_cancel":
        pairs += [("sip_invite_failure_status", "487"), ("sip_invite_failure_phrase", "CANCEL")]
    return pairs


def refuse(channel: Channel, status: int) -> str:
    """The called phone refuses with a SIP status: CHANNEL_HANGUP; returns the cause."""
    cause = CAUSE_OF_SIP_STATUS.get(status, OTHER_SIP_STATUS)
    phrase = PHRASE_OF_SIP_STATUS.get(status, "")
    for name, value in (
        ("sip_hangup_disposition", "recv_refuse"),
        ("sip_invite_failure_status", str(status)),
        ("sip_invite_failure_phrase", phrase),
        ("sip_term_status", str(status)),
        ("proto_specific_hangup_cause", f"sip:{status}"),
        ("sip_term_cause", q850(cause)),
    ):
        channel.set(name, value)
    hang_up(channel, cause, "")
    return cause


def complete(channel: Channel) -> None:
    """The end of a hung-up leg: CHANNEL_HANGUP_COMPLETE; destroy() follows."""
    channel.state, channel.state_number = "CS_REPORTING", 11
    channel.call_state = "HANGUP"
    if channel.profile.direction == "outbound":
        channel.call_uuid = channel.uuid
    for name, value in [*complete_variables(channel), *channel.at_the_end]:
        channel.set(name, value)
    if channel.has_media:
        for name, value in statistics():
            channel.set(name, value)
    channel.fire("CHANNEL_HANGUP_COMPLETE", [("Hangup-Cause", channel.hangup_cause)])


def destroy(channel: Channel) -> None:
    """CHANNEL_DESTROY; the channel is gone from the core."""
    channel.state_number = 12
    channel.fire("CHANNEL_DESTROY")
    channel.core.channels.pop(channel.uuid, None)
