"""The work queue of webhook deliveries: Redis lists that hold delivery ids and nothing else.

PostgreSQL is the truth about deliveries; this queue only says whose turn it is. What it promises:

- **At least once.** An id that was claimed stays in the processing list of its worker until the
  worker settles it. When the worker gives no sign of life for a while, any other one returns its
  ids to the head of the ready list. An id may therefore be handed out twice; since a worker must
  claim the delivery in PostgreSQL by compare-and-set before it sends, a second one is harmless.
- **Order** is that of being handed in, roughly: retries and returned ids come when they come.
- **Delay.** Retries wait in a sorted set by the moment at which they are due and are promoted by
  whoever claims next, so that no process is needed that does only this.
- **Loss is noticed.** Each partition has an epoch key. When Redis lost its data, the key is gone,
  the next claim (at most half a second later) says so, and the partition is rebuilt from
  PostgreSQL. The epoch is set after the ids, so that a rebuild which breaks off is done again.
- **Partitions.** There are 16; a webhook belongs to one by its id. All keys of a partition carry
  the same hash tag, `{q0}` to `{q15}`, so that each script runs in one slot of a Redis Cluster.
- **Dead** deliveries are listed (the latest 10,000 of each partition) for whoever watches the
  queue; replaying one takes it off the list.

Keys of partition n: `nizam:{qn}:ready` (list), `:processing:<worker>` (list), `:delayed` (sorted
set by moment), `:dead` (list), `:workers` (sorted set by last sign of life), `:epoch` (string).
Moments are seconds since the epoch, on the workers' clocks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Literal, Protocol
from uuid import UUID

import attrs

PARTITIONS = 16
REMEMBERED_DEAD = 10_000
_CHUNK = 1000

Fate = Literal["ack", "dead"] | float
"""What becomes of a claimed id: forgotten, dead, or due again at a moment (seconds)."""


class Scripts(Protocol):
    """What the queue needs of the key-value store."""

    async def script(self, name: str, keys: Any, args: Any) -> Any:
        """The result of the Lua script of that name."""


@attrs.frozen
class Claim:
    """What a worker was given of one partition.

    `epoch` is empty when the partition has lost its data; `left` counts the ids still ready.
    """

    epoch: str
    left: int
    ids: tuple[UUID, ...]


@attrs.frozen
class Depth:
    """How many ids a partition holds in each state, and which workers seem to be dead."""

    ready: int
    processing: int
    delayed: int
    dead: int
    silent: tuple[str, ...]

    @property
    def open(self) -> int:
        """All that have not ended."""
        return self.ready + self.processing + self.delayed


def partition_of(webhook_id: UUID) -> int:
    """The partition of a webhook: its id's last byte, which is random in UUIDv7, modulo 16."""
    return webhook_id.bytes[15] % PARTITIONS


class DeliveryQueue:
    """The queue over one key-value store. Every method raises errors.KeyValueUnavailable."""

    def __init__(self, key_value: Scripts) -> None:
        self._key_value = key_value

    async def push(
        self, items: Iterable[tuple[UUID, UUID]], due: Mapping[UUID, float] | None = None
    ) -> None:
        """Hand in pairs of (delivery id, webhook id), ready at once or at their moment in `due`."""
        by_partition: dict[int, list[UUID]] = defaultdict(list)
        for delivery_id, webhook_id in items:
            by_partition[partition_of(webhook_id)].append(delivery_id)
        for partition, ids in by_partition.items():
            await self._push(partition, ids, due or {}, "")

    async def restore(
        self, partition: int, ids: Iterable[UUID], due: Mapping[UUID, float], epoch: str
    ) -> None:
        """Hand in what PostgreSQL says is pending, then mark the partition as whole."""
        await self._push(partition, list(ids), due, epoch)

    async def _push(
        self, partition: int, ids: list[UUID], due: Mapping[UUID, float], epoch: str
    ) -> None:
        keys = [_key(partition, name) for name in ("ready", "delayed", "dead", "epoch")]
        for start in range(0, max(len(ids), 1), _CHUNK):
            chunk = ids[start : start + _CHUNK]
            args = [epoch if start + _CHUNK >= len(ids) else ""]
            for it in chunk:
                args += [str(it), f"{due[it]:.3f}" if it in due else ""]
            await self._key_value.script("webhook_push", keys, args)

    async def claim(self, partition: int, worker: str, count: int, now: float) -> Claim:
        """Move up to `count` ids to the worker's processing list; also its sign of life."""
        keys = [
            _key(partition, name)
            for name in ("ready", f"processing:{worker}", "delayed", "workers", "epoch")
        ]
        epoch, left, ids = await self._key_value.script(
            "webhook_claim", keys, [f"{now:.3f}", str(count), worker]
        )
        return Claim(epoch.decode(), int(left), tuple(UUID(it.decode()) for it in ids))

    async def settle(self, partition: int, worker: str, fates: Mapping[UUID, Fate]) -> None:
        """Say what becomes of claimed ids. Doing it again changes nothing."""
        keys = [_key(partition, name) for name in (f"processing:{worker}", "delayed", "dead")]
        items = list(fates.items())
        for start in range(0, len(items), _CHUNK):
            args = [str(REMEMBERED_DEAD)]
            for delivery_id, fate in items[start : start + _CHUNK]:
                args += [str(delivery_id), fate if isinstance(fate, str) else f"{fate:.3f}"]
            await self._key_value.script("webhook_settle", keys, args)

    async def reap(self, partition: int, worker: str, spared_since: float) -> int:
        """Return what a worker holds to the ready list unless it was seen at `spared_since` or
        later; how many ids that were."""
        keys = [_key(partition, name) for name in ("ready", f"processing:{worker}", "workers")]
        args = [worker, f"{spared_since:.3f}"]
        return int(await self._key_value.script("webhook_reap", keys, args))

    async def depth(self, partition: int, silent_since: float = 0.0) -> Depth:
        """The partition's counts, and the workers not seen since that moment."""
        keys = [_key(partition, name) for name in ("ready", "delayed", "dead", "workers")]
        args = [_key(partition, "processing:"), f"{silent_since:.3f}"]
        ready, processing, delayed, dead, silent = await self._key_value.script(
            "webhook_depth", keys, args
        )
        return Depth(
            int(ready),
            int(processing),
            int(delayed),
            int(dead),
            tuple(it.decode() for it in silent),
        )


def _key(partition: int, name: str) -> str:
    return f"nizam:{{q{partition}}}:{name}"
