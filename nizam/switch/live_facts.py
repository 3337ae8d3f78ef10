"""The live state as routing asks about it."""

from __future__ import annotations

from uuid import UUID

import attrs

from nizam.model.switch_node import SwitchNode
from nizam.routing.facts import Contact, RingingLeg
from nizam.routing.snapshot import Snapshot
from nizam.switch.live import LiveState


@attrs.frozen
class LiveFacts:
    """`routing.facts.Live` over what this instance knows of all nodes."""

    _live: LiveState
    _snapshot: Snapshot

    def contacts(self, tenant_id: UUID, number: str) -> tuple[Contact, ...]:
        """Where the phones of an extension are registered, the newest first."""
        found = self._live.named("registrations", str(tenant_id), number)
        newest = sorted(found, key=lambda it: str(it.get("registered_at") or ""), reverse=True)
        return tuple(
            Contact(it["contact"], it["node"], it.get("profile") or "internal")
            for it in newest
            if it.get("contact")
        )

    def legs(self, tenant_id: UUID, extension_id: UUID) -> int:
        """How many legs of the extension are up or ringing."""
        wanted = str(extension_id)
        return sum(
            leg["extension_id"] == wanted and leg["state"] != "ended"
            for call in self._live.named("calls", str(tenant_id), wanted)
            for leg in call["legs"]
        )

    def ringing(self, tenant_id: UUID, extension_id: UUID) -> tuple[RingingLeg, ...]:
        """The legs that ring at the extension, the longest first."""
        wanted = str(extension_id)
        found = [
            RingingLeg(
                leg["leg_id"],
                call["call_id"],
                extension_id,
                call["node"],
                call["started_at"],
                leg.get("originator_id"),
            )
            for call in self._live.named("calls", str(tenant_id), wanted)
            for leg in call["legs"]
            if leg["extension_id"] == wanted
            and leg["state"] == "ringing"
            and leg["direction"] == "outbound"
        ]
        return tuple(sorted(found, key=lambda it: it.started_at))

    def gateway_up(self, gateway_id: UUID, node: str) -> bool | None:
        """Whether the gateway answers at that switch; None when it is not known."""
        for state in self._live.named("gateways", "gateway", str(gateway_id)):
            if state["node"] == node:
                return bool(state["up"])
        return None

    def node_address(self, node: str) -> str | None:
        """Where other switches reach this one by SIP."""
        for entry in self._snapshot.platform(SwitchNode):
            if entry.body.name == node:
                return entry.body.sip_address
        return None
