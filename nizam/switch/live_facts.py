"""The live state as routing asks about it."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from uuid import UUID

import attrs

from nizam.routing.facts import Contact, RingingLeg
from nizam.routing.snapshot import Snapshot
from nizam.switch.live import LiveState
from nizam.switch.live_index import Document


@attrs.frozen
class LiveFacts:
    """`routing.facts.Live` over what this instance knows of all nodes."""

    _live: LiveState
    _snapshot: Snapshot

    def contacts(self, tenant_id: UUID, number: str) -> tuple[Contact, ...]:
        """Where the phones of an extension are registered, the newest first; a phone that has
        moved to another node only there."""
        found = _without_moved(self._live.named("registrations", str(tenant_id), number))
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

    def nodes(self) -> list[str]:
        """The nodes that some instance listens to, or has lost just now."""
        return list(self._live.links())

    def node_address(self, node: str) -> str | None:
        """Where other switches reach this one by SIP."""
        found = self._snapshot.switch_node(node)
        return None if found is None else found.sip_address


def _without_moved(found: Iterable[Document]) -> list[Document]:
    """The registrations without those that a phone has left at the node where it was before.

    A proxy that sends it to another node tells the first one nothing: that one has it until its
    registration expires. It is the same phone if its contact is the same, or the Call-ID of its
    REGISTERs (RFC 3261, 10.2).
    """
    found = list(found)
    if len(found) < 2:
        return found
    kept: list[Document] = []
    latest: dict[Hashable, str] = {}
    for it in sorted(found, key=_renewed, reverse=True):
        names = [("contact", it["contact"])] if it.get("contact") else []
        names += [("call", it["call_id"])] if it.get("call_id") else []
        if all(latest.setdefault(name, it["node"]) == it["node"] for name in names):
            kept.append(it)
    return kept


def _renewed(it: Document) -> str:
    return str(it.get("renewed_at") or it.get("registered_at") or "")
