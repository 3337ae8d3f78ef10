"""The states of gateways, in the live state: as events tell them, and as the switch has them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from nizam import metrics
from nizam.model.events import timestamp
from nizam.switch.live import LiveState
from nizam.switch.live_index import Document

Seen = Iterable[tuple[Mapping[str, Any], bool | None]]
"""Data of gateways, each with whether it is up; None between two states."""


class Changed(Protocol):
    """Whether a gateway of a node is in another state than the last one known."""

    def __call__(self, node: str, name: str, up: bool) -> bool:
        """Whether it is."""


class Tell(Protocol):
    """Stores an event of a node."""

    def __call__(
        self, kind: str, node: str, data: Mapping[str, Any], tenant_id: UUID | None = None
    ) -> None:
        """Store it."""


class GatewaysShown:
    """Shows them. `owner` tells whose a gateway is."""

    def __init__(
        self,
        live: LiveState,
        owner: Callable[[str], UUID | None],
        now: Callable[[], datetime],
        changed: Changed,
        tell: Tell,
    ) -> None:
        self._live = live
        self._owner = owner
        self._now = now
        self._changed = changed
        self._tell = tell

    def seen(self, node: str, seen: Seen) -> None:
        """Reconciliation has seen these gateways and no others; a change since we last knew is an
        event too. One that is between two states stays as it was known."""
        shown: dict[str, Document] = {}
        for data, up in seen:
            name = str(data["gateway"])
            known = self._live.get("gateways", node, name)
            if up is None:
                shown |= {name: known} if known else {}
                continue
            owner = self._owner(name)
            shown[name] = self._document(node, data, owner, up)
            if self._changed(node, name, up):
                self._tell("gateway.up" if up else "gateway.down", node, data, owner)
        gone = self._live.shown("gateways", node).keys() - shown.keys()
        self._live.replace("gateways", node, shown)
        for name in gone - {it["gateway"] for it in self._live.gateways()}:
            # Of a gateway that was removed nobody is to be told that it is down.
            metrics.GATEWAY_UP.remove(name)

    def show(self, node: str, data: Mapping[str, Any], tenant_id: UUID | None, up: bool) -> None:
        """Show the state of a gateway."""
        document = self._document(node, data, tenant_id, up)
        self._live.put("gateways", node, str(data["gateway"]), document)

    def _document(
        self, node: str, data: Mapping[str, Any], tenant_id: UUID | None, up: bool
    ) -> Document:
        name = str(data["gateway"])
        metrics.GATEWAY_UP.labels(name).set(up)
        known = self._live.get("gateways", node, name)
        same = known is not None and known["up"] == up
        return dict(data) | {
            "tenant_id": str(tenant_id) if tenant_id else None,
            "node": node,
            "up": up,
            "changed_at": known["changed_at"] if known and same else timestamp(self._now()),
        }
