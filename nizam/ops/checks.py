"""What `/api/health` says of the parts of this instance."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from nizam.ops.health import Check, Finding, State
from nizam.ops.scheduler import Scheduler
from nizam.ops.schema import SchemaCheck
from nizam.switch.live import LiveState
from nizam.switch.nodes import SwitchNodes
from nizam.switch.owners import Owners
from nizam.switch.snapshots import SnapshotService


@attrs.frozen
class Checks:
    """The checks, each of which looks at what is at hand and never blocks.

    `nodes` are the links of this instance, None where it has none: then those count that others
    have told of.
    """

    owners: Owners
    snapshots: SnapshotService
    live: LiveState
    nodes: SwitchNodes | None
    scheduler: Scheduler | None
    schema: SchemaCheck

    def by_name(self) -> Mapping[str, Check]:
        """The checks in the order in which they are shown."""
        checks: dict[str, Check] = {
            "esl": self.esl,
            "gateways": self.gateways,
            "live": self.live_state,
            "schema": self.schema.finding,
            "snapshot": self.snapshot,
        }
        if self.nodes is not None:
            nodes = self.nodes
            checks["intake"] = lambda: self.intake(nodes)
        if self.scheduler is not None:
            checks["scheduler"] = self.scheduler.finding
        return checks

    def esl(self) -> Finding:
        """Degraded while a switch is not listened to."""
        if self.nodes is not None:
            links = self.nodes.connected
        else:
            links = {name: bool(it.get("connected")) for name, it in self.live.links().items()}
        connected = bool(links) and all(links.values())
        state = State.OK if connected or not links else State.DEGRADED
        return Finding(state, {"connected": connected})

    def intake(self, nodes: SwitchNodes) -> Finding:
        """Degraded while nobody is known to store what a node says that is listened to here."""
        states, connected = nodes.intake_states, nodes.connected
        unstored = any(connected.get(it) for it, state in states.items() if state == "nobody")
        return Finding(State.DEGRADED if unstored else State.OK, {"nodes": dict(states)})

    def gateways(self) -> Finding:
        """Degraded while a gateway is down."""
        heard = self.live.gateways()
        shown = [
            {"name": self.owners.gateway_name(it), "state": "up" if it["up"] else "down"}
            for it in heard
        ]
        down = any(not it["up"] for it in heard)
        return Finding(State.DEGRADED if down else State.OK, {"gateways": shown})

    def live_state(self) -> Finding:
        """Degraded while there is more than may be held in memory."""
        full = self.live.full
        return Finding(State.DEGRADED, {"full": full}) if full else Finding(State.OK)

    def snapshot(self) -> Finding:
        """Failed until there is routing data to answer from."""
        state = State.OK if self.snapshots.ready else State.FAILED
        return Finding(state, {"age_seconds": round(self.snapshots.age_seconds, 3)})
