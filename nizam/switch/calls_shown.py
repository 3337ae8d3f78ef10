"""A call under way as the API shows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nizam.events.channels import Call, Channel
from nizam.model.events import timestamp


def call_document(call: Call, node: str) -> dict[str, Any]:
    """The document of a call; for one without legs there is none to make."""
    live = call.live
    first = call.first or min(call.channels.values(), key=lambda it: it.started_at)
    return {
        "call_id": str(call.told_id),
        "part": call.part_of is not None,
        "tenant_id": str(call.tenant_id) if call.tenant_id else None,
        "state": _state(call, first, live),
        "direction": _direction(call, first),
        "from": first.caller_number,
        "to": first.dialled or first.number,
        "started_at": timestamp(first.started_at),
        "answered_at": timestamp(first.answered_at) if first.answered_at else None,
        "node": node,
        "legs": [_leg(channel, node) for channel in call.channels.values()],
        "recording": call.recording,
    }


def one_call(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The document of a call out of those of the nodes that it runs over: of the node where it
    began, if that knows it still, with the legs of all."""
    if len(parts) == 1:
        return parts[0]
    first = next((it for it in parts if not it.get("part")), parts[0])
    others = [it for it in parts if it is not first]
    return first | {
        "legs": [leg for it in (first, *others) for leg in it["legs"]],
        "recording": next((it["recording"] for it in (first, *others) if it["recording"]), None),
    }


def _state(call: Call, first: Channel, live: list[Channel]) -> str:
    if call.finished_at is not None or not live:
        return "ended"
    if any(channel.held for channel in live):
        return "held"
    return "answered" if first.answered_at else "ringing"


def _direction(call: Call, first: Channel) -> str:
    if first.direction == "inbound" and first.extension_id is None and first.context == "public":
        return "inbound"
    return "outbound" if any(it.gateway for it in call.channels.values()) else "internal"


def _leg(channel: Channel, node: str) -> dict[str, Any]:
    state = "ringing"
    if channel.ended:
        state = "ended"
    elif channel.held:
        state = "held"
    elif channel.answered_at:
        state = "answered"
    return {
        "leg_id": str(channel.leg_id),
        "extension_id": str(channel.extension_id) if channel.extension_id else None,
        "number": channel.number,
        "direction": channel.direction,
        "originator_id": str(channel.originator_id) if channel.originator_id else None,
        "state": state,
        "node": node,
    }
