"""The types of events that NIZAM tells the world about."""

from __future__ import annotations

from functools import cache

CALL_EVENT_TYPES: frozenset[str] = frozenset(
    {
        "call.started",
        "call.ringing",
        "call.answered",
        "call.bridged",
        "call.held",
        "call.resumed",
        "call.transferred",
        "call.dtmf",
        "call.ended",
        "call.missed",
    }
)

SWITCH_EVENT_TYPES: frozenset[str] = CALL_EVENT_TYPES | {
    "recording.started",
    "recording.stopped",
    "voicemail.received",
    "voicemail.waiting",
    "registration.registered",
    "registration.unregistered",
    "registration.expired",
    "registration.failed",
    "conference.started",
    "conference.joined",
    "conference.left",
    "conference.ended",
    "parking.parked",
    "parking.retrieved",
    "gateway.up",
    "gateway.down",
    "node.up",
    "node.down",
    "node.gap",
}
"""Types made from what FreeSWITCH says, or from the state of the link to it."""

RECORDING_EVENT_TYPES: frozenset[str] = frozenset(
    {"recording.completed", "recording.failed", "recording.upload_failed", "recording.deleted"}
)
"""Types that follow from what is found of a recorded file, and is done with it."""

VOICEMAIL_EVENT_TYPES: frozenset[str] = frozenset(
    {"voicemail.read", "voicemail.unread", "voicemail.deleted"}
)
"""Types that follow from what is done with a message, at the phone or here."""

DECISION_EVENT_TYPES: frozenset[str] = frozenset(
    {"emergency.dialled", "fraud.blocked", "limit.reached", "call.originate_failed"}
)
"""Types that follow from how a call was routed."""

OTHER_EVENT_TYPES: frozenset[str] = frozenset({"webhook.disabled", "webhook.test"})


@cache
def event_types() -> frozenset[str]:
    """Every type there is: those above, and created, updated, deleted of each resource."""
    from nizam.model import registry

    changes = {
        f"{name}.{change}"
        for name in registry.resources()
        for change in ("created", "updated", "deleted")
    }
    fixed = SWITCH_EVENT_TYPES | RECORDING_EVENT_TYPES | VOICEMAIL_EVENT_TYPES
    return fixed | DECISION_EVENT_TYPES | OTHER_EVENT_TYPES | changes


def is_subscription(value: str) -> bool:
    """Whether `value` is an event type, a family such as `call.*`, or `*`."""
    if value == "*" or value in event_types():
        return True
    family, dot, rest = value.partition(".")
    return dot == "." and rest == "*" and any(it.startswith(f"{family}.") for it in event_types())
