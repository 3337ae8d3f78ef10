"""What this process does with each node, for the writer, which stores the items of all of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from twisted.internet.defer import Deferred, gatherResults

from nizam import metrics
from nizam.store.system.leases import Lease
from nizam.switch.batch import Batch
from nizam.switch.node_intake import NodeIntake

LOOK_SECONDS = 5.0
"""Between looks at what other processes have left in Redis."""


class NodeIntakes:
    """The nodes by their names; `make` makes one. See `nizam.switch.leases.Leases`."""

    def __init__(self, make: Callable[[str], NodeIntake]) -> None:
        self._make = make
        self._nodes: dict[str, NodeIntake] = {}
        self._look_at = 0.0

    def get(self, node: str) -> NodeIntake | None:
        """The one of this node, if this process listens to it."""
        return self._nodes.get(node)

    def of_node(self, node: str) -> NodeIntake:
        """The one of this node, made at first use."""
        found = self._nodes.get(node)
        if found is None:
            found = self._nodes[node] = self._make(node)
        return found

    @property
    def states(self) -> Mapping[str, str]:
        """`active`, `standby` or `nobody` of each node, by its name."""
        return {
            name: "active" if it.active else "standby" if it.stands_by else "nobody"
            for name, it in self._nodes.items()
        }

    def tick(self, now: float) -> bool:
        """Do what is due; whether it is time to look at what others have left in Redis."""
        for it in self._nodes.values():
            it.tick(len(self._nodes))
        due = now >= self._look_at
        if due:
            self._look_at = now + LOOK_SECONDS
        return due

    def forget(self, node: str) -> Deferred[None] | None:
        """The node is no longer one of ours."""
        it = self._nodes.pop(node, None)
        if it is None:
            return None
        for metric in (metrics.INTAKE_ACTIVE, metrics.INTAKE_KEPT_BYTES):
            metric.remove(node)
        return Deferred.fromCoroutine(it.stop())

    async def stop(self) -> None:
        """All is durable: let other processes go on."""
        stopping = [Deferred.fromCoroutine(it.stop()) for it in self._nodes.values()]
        await gatherResults(stopping, consumeErrors=True)

    # -- for the writer -----------------------------------------------------------------------

    @property
    def drains(self) -> bool:
        """Whether this process stores what is in Redis: it is active, or nobody is known to be."""
        states = set(self.states.values())
        return "active" in states or "standby" not in states

    def held(self) -> Sequence[Lease]:
        """All leases that this process has, as far as it knows."""
        return self.of(self._nodes)

    def of(self, nodes: Collection[str]) -> Sequence[Lease]:
        """Those of these nodes."""
        found = (self._nodes[it].lease for it in sorted(nodes) if it in self._nodes)
        return [it for it in found if it is not None]

    def is_anothers(self, node: str) -> bool:
        """Whether another process stores what this node says, or may soon."""
        found = self._nodes.get(node)
        return found is not None and not found.active

    def give_back(self, batch: Batch) -> None:
        """Keep for the other one what a node of that said."""
        if batch.node is not None:
            self.of_node(batch.node).take(batch)

    def lost(self, names: Sequence[str]) -> None:
        """PostgreSQL says that the leases with these names are another's."""
        for it in self._nodes.values():
            if it.lease is not None and it.lease.name in names:
                it.lost()
