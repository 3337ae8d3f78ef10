"""Moving hash slots between the masters of a cluster, key by key, as `redis-cli --cluster` does."""

from __future__ import annotations

import attrs

from nizam.embedded.process import LOOPBACK
from tests.kv.servers import RedisProcess, name_of


@attrs.frozen
class Move:
    """A slot on its way from one master to another; `others` are told at the end."""

    slot: int
    source: RedisProcess
    target: RedisProcess
    others: tuple[RedisProcess, ...] = ()

    def begin(self) -> None:
        """From now on keys that the source lacks are asked of the target."""
        self._set(self.target, "IMPORTING", self.source)
        self._set(self.source, "MIGRATING", self.target)

    def keys(self, most: int = 100) -> list[str]:
        """Those that are still at the source."""
        found: list[str] = self.source.ask("CLUSTER", "GETKEYSINSLOT", str(self.slot), str(most))
        return found

    def take(self, *keys: str) -> None:
        """Move these keys."""
        place = (LOOPBACK, str(self.target.port))
        if keys:
            credentials = ("AUTH2", self.target.username or "default", self.target.password)
            self.source.ask(
                "MIGRATE", *place, "", "0", "5000", "REPLACE", *credentials, "KEYS", *keys
            )

    def end(self) -> None:
        """The slot is the target's."""
        for node in (self.target, self.source, *self.others):
            self._set(node, "NODE", self.target)

    def whole(self) -> None:
        """All of it."""
        self.begin()
        while keys := self.keys():
            self.take(*keys)
        self.end()

    def _set(self, node: RedisProcess, state: str, other: RedisProcess) -> None:
        node.ask("CLUSTER", "SETSLOT", str(self.slot), state, name_of(other))


def owner_of(nodes: list[RedisProcess], slot: int) -> RedisProcess:
    """Which of them has the slot."""
    for first, last, master, *_ in nodes[0].ask("CLUSTER", "SLOTS"):
        if first <= slot <= last:
            return next(it for it in nodes if it.port == master[1])
    raise AssertionError(f"nobody has the slot {slot}")
