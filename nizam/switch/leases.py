"""Which nodes this process stores for, as the writer asks."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from nizam.store.system.leases import Lease
from nizam.switch.batch import Batch


class Leases(Protocol):
    """Which nodes this process stores for."""

    @property
    def drains(self) -> bool:
        """Whether this process stores what is in Redis."""

    def held(self) -> Sequence[Lease]:
        """All leases that this process has, as far as it knows."""

    def of(self, nodes: Collection[str]) -> Sequence[Lease]:
        """Those of these nodes."""

    def is_anothers(self, node: str) -> bool:
        """Whether another process stores what this node says, or may soon."""

    def give_back(self, batch: Batch) -> None:
        """Keep for the other one what a node of that said."""

    def lost(self, names: Sequence[str]) -> None:
        """PostgreSQL says that the leases with these names are another's."""


class NoLeases:
    """There is one process only."""

    drains = True

    def held(self) -> Sequence[Lease]:
        """None."""
        return ()

    def of(self, nodes: Collection[str]) -> Sequence[Lease]:
        """None."""
        return ()

    def is_anothers(self, node: str) -> bool:
        """Never."""
        return False

    def give_back(self, batch: Batch) -> None:
        """Never called."""

    def lost(self, names: Sequence[str]) -> None:
        """Never called."""
