"""Events that were missed, made of what a channel says of itself."""

from __future__ import annotations

from collections.abc import Iterator

from nizam.events.channels import Call, Channel
from nizam.model.events import Event


def missed(call: Call, channel: Channel, node: str) -> Iterator[Event]:
    """How a call began, from the times of its first channel: with sequence 0, so that they are the
    same whoever makes them, and said to be reconciled."""
    for kind, at in (
        ("call.started", channel.started_at),
        ("call.answered", channel.answered_at),
    ):
        if at is not None:
            yield Event(
                type=kind,
                occurred_at=at,
                core_id=str(channel.leg_id),
                sequence=0,
                node=node,
                tenant_id=call.tenant_id,
                call_id=call.call_id,
                leg_id=channel.leg_id,
                data=channel.parties() | {"reconciled": True},
            )
