"""Which events NIZAM asks FreeSWITCH for: the one list.

`event ALL` costs about 40 events for each leg, three quarters of them of no use here; this list
gives 4 to 7.
"""

from __future__ import annotations

from typing import Final

import attrs

from nizam.esl import commands
from nizam.esl.commands import Command


@attrs.frozen
class Subscription:
    """Event names, and the subclasses of CUSTOM: each has to be named."""

    events: tuple[str, ...]
    subclasses: tuple[str, ...] = ()

    @property
    def has_heartbeat(self) -> bool:
        """Whether FreeSWITCH will send something every event-heartbeat-interval (20 s)."""
        return "HEARTBEAT" in self.events

    def command(self) -> Command:
        """The command that subscribes, in JSON."""
        return commands.events(self.events, self.subclasses, "json")


CALL_CONTROL: Final = Subscription(("BACKGROUND_JOB",))
"""For a connection that runs commands: only what its own background jobs print."""

CALL_EVENTS: Final = Subscription(
    events=(
        "CHANNEL_CREATE",
        "CHANNEL_ORIGINATE",
        "CHANNEL_OUTGOING",
        "CHANNEL_PROGRESS",
        "CHANNEL_PROGRESS_MEDIA",
        "CHANNEL_ANSWER",
        "CHANNEL_BRIDGE",
        "CHANNEL_UNBRIDGE",
        "CHANNEL_HOLD",
        "CHANNEL_UNHOLD",
        "CHANNEL_PARK",
        "CHANNEL_UNPARK",
        "CHANNEL_UUID",
        "CHANNEL_HANGUP_COMPLETE",
        "CALL_UPDATE",
        "DTMF",
        "RECORD_START",
        "RECORD_STOP",
        "MESSAGE_WAITING",
        "BACKGROUND_JOB",
        "HEARTBEAT",
        "RELOADXML",
        "SHUTDOWN",
    ),
    subclasses=(
        "sofia::register",
        "sofia::unregister",
        "sofia::expire",
        "sofia::register_attempt",
        "sofia::register_failure",
        "sofia::pre_register",
        "sofia::gateway_state",
        "sofia::gateway_add",
        "sofia::gateway_delete",
        "vm::maintenance",
        "callcenter::info",
        "conference::maintenance",
        "fifo::info",
        "valet_parking::info",
        "spandsp::rxfaxresult",
        "spandsp::txfaxresult",
    ),
)
"""For a connection that listens: the life of calls, registrations, gateways, voicemail, queues,
conferences and recordings, and the heartbeat that shows the switch alive."""
