"""One tenant, and everything that belongs to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from nizam.client.actions import (
    CallFlows,
    Dids,
    Document,
    Extensions,
    Gateways,
    Webhooks,
    WithSecrets,
    document,
)
from nizam.client.calendars import Calendars
from nizam.client.call_control import Calls
from nizam.client.collection import Collection
from nizam.client.document import Revisions, TenantDocument
from nizam.client.greetings import VoicemailGreetings
from nizam.client.history import (
    AuditLogs,
    CallEvents,
    Cdrs,
    Conferences,
    Documents,
    Registrations,
)
from nizam.client.recordings import Recordings
from nizam.client.sounds import Music, Prompts
from nizam.client.transport import Transport
from nizam.client.voicemail import VoicemailMessages
from nizam.model import (
    blocked_number,
    calendar,
    call_flow,
    conference_room,
    did,
    emergency_plan,
    extension,
    feature_code,
    gateway,
    ivr,
    music_on_hold,
    outbound_route,
    parking_lot,
    prompt,
    ring_group,
    routing_policy,
    time_condition,
    webhook,
)


class TenantClient:
    """What a tenant has, by kind. `path` gives its path on the server."""

    def __init__(self, transport: Transport, path: Callable[[], str]) -> None:
        self._transport = transport
        self._path = path
        here = (transport, path)
        self.extensions = Extensions(transport, extension.RESOURCE, extension.Extension, path)
        self.dids = Dids(transport, did.RESOURCE, did.Did, path)
        self.ring_groups = Collection(transport, ring_group.RESOURCE, ring_group.RingGroup, path)
        self.ivrs = Collection(transport, ivr.RESOURCE, ivr.Ivr, path)
        self.time_conditions = Collection(
            transport, time_condition.RESOURCE, time_condition.TimeCondition, path
        )
        self.gateways = Gateways(transport, gateway.RESOURCE, gateway.Gateway, path)
        self.outbound_routes = Collection(
            transport, outbound_route.RESOURCE, outbound_route.OutboundRoute, path
        )
        self.blocked_numbers = Collection(
            transport, blocked_number.RESOURCE, blocked_number.BlockedNumber, path
        )
        self.calendars = Calendars(transport, calendar.RESOURCE, calendar.Calendar, path)
        self.conference_rooms = WithSecrets(
            transport, conference_room.RESOURCE, conference_room.ConferenceRoom, path
        )
        self.emergency_plans = Collection(
            transport, emergency_plan.RESOURCE, emergency_plan.EmergencyPlan, path
        )
        self.feature_codes = Collection(
            transport, feature_code.RESOURCE, feature_code.FeatureCode, path
        )
        self.parking_lots = Collection(
            transport, parking_lot.RESOURCE, parking_lot.ParkingLot, path
        )
        self.routing_policies = Collection(
            transport, routing_policy.RESOURCE, routing_policy.RoutingPolicy, path
        )
        self.call_flows = CallFlows(transport, call_flow.RESOURCE, call_flow.CallFlow, path)
        self.prompts = Prompts(transport, prompt.RESOURCE, prompt.Prompt, path)
        self.music_on_hold = Music(
            transport, music_on_hold.RESOURCE, music_on_hold.MusicOnHold, path
        )
        self.webhooks = Webhooks(transport, webhook.RESOURCE, webhook.Webhook, path)
        self.calls = Calls(*here, "calls")
        self.conferences = Conferences(*here, "conferences")
        self.parked_calls = Documents(*here, "parked-calls")
        self.call_events = CallEvents(*here, "call-events")
        self.cdrs = Cdrs(*here, "cdrs")
        self.recordings = Recordings(*here, "recordings")
        self.recording_receipts = Documents(*here, "recording-receipts")
        self.voicemail_messages = VoicemailMessages(*here, "voicemail-messages")
        self.voicemail_receipts = Documents(*here, "voicemail-receipts")
        self.voicemail_greetings = VoicemailGreetings(*here)
        self.document = TenantDocument(*here)
        self.revisions = Revisions(*here, "revisions")
        self.audit_logs = AuditLogs(*here, "audit-logs")
        self.registrations = Registrations(*here, "registrations")

    def explain(
        self,
        from_: str,
        to: str,
        *,
        context: Literal["internal", "public"] = "internal",
        at: datetime | None = None,
        digits: Sequence[str] | None = None,
        dispositions: Sequence[str] | None = None,
        answers: Mapping[str, Any] | None = None,
    ) -> Document:
        """Where a call would go, and why: outcome, trace, plan, xml.

        It goes on through a call flow, in `then`, as far as it is said what is pressed, how ringing
        ends and what servers answer, by the ids of the nodes.
        """
        body: dict[str, Any] = {"from": from_, "to": to, "context": context}
        said = {"at": at, "digits": digits, "dispositions": dispositions, "answers": answers}
        body |= {name: it for name, it in said.items() if it is not None}
        return document(
            self._transport.request("POST", f"{self._path()}/routing/explain", body=body).json()
        )
