"""The work queue of webhook deliveries: Redis lists that hold ids and nothing else.

PostgreSQL is the truth about deliveries; this queue only says whose turn it is. What it promises:

- **At least once.** An item that was claimed stays in the processing list of its worker until the
  worker settles it. When the worker gives no sign of life for a while, any other one returns its
  items to the head of the ready list. An item may therefore be handed out twice; since a worker
  must claim the delivery in PostgreSQL by compare-and-set before it sends, a second is harmless.
- **Fairness.** Each webhook has a ready list of its own, and those that are not empty take turns,
  so that the backlog of one delays no other. A worker says how many of which webhooks it can use:
  what it cannot send now stays where it is.
- **Order** within a webhook is that of being handed in, roughly: retries and returned items come
  when they come.
- **Delay.** Retries wait in a sorted set by the moment at which they are due and are promoted by
  whoever claims next, so that no process is needed that does only this.
- **Rates** are kept over all workers: each reserves the moments at which it sends.
- **Loss is noticed.** Each partition has an epoch key. When Redis lost its data, the key is gone,
  the next claim (at most half a second later) says so, and the partition is rebuilt from
  PostgreSQL. The epoch is set after the items, so that a rebuild which breaks off is done again.
- **A partition is whole again** after another Redis server has taken it over, which may lack what
  was written last: it is rebuilt as well, and a worker returns what the queue says it holds. The
  same is done after a claim whose answer was lost.
- **Partitions.** There are 16; a webhook belongs to one by its id. All keys of a partition carry
  the same hash tag, `{q0}` to `{q15}`, so that each script runs in one slot of a Redis Cluster.
- **Dead** deliveries are listed (the latest 10,000 of each partition) for whoever watches the
  queue; replaying one takes it off the list.

An item is a pair of (delivery id, webhook id), written with a colon between them. Keys of partition
n: `nizam:webhooks:{qn}:ring` (list of the webhooks whose ready list is not empty),
`:ready:<webhook>` (list), `:processing:<worker>` (list), `:delayed` (sorted set by moment), `:dead`
(sorted set by moment), `:workers` (sorted set by last sign of life), `:epoch` (string),
`:rate:<webhook>` (string). Moments are seconds since the epoch, on the workers' clocks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, Protocol
from uuid import UUID

import attrs

PARTITIONS = 16
REMEMBERED_DEAD = 10_000
TURN = 16
"""How many items of a webhook are taken before it is the next one's turn."""
USUAL = 64
"""How many of a webhook at one claim, when a worker does not say."""
_CHUNK = 1000

Item = tuple[UUID, UUID]
"""(delivery id, webhook id)."""
Fate = Literal["ack", "dead"] | float
"""What becomes of a claimed item: forgotten, dead, or due again at a moment (seconds)."""


class Scripts(Protocol):
    """What the queue needs of the key-value store."""

    async def script(self, name: str, keys: Any, args: Any) -> Any:
        """The result of the Lua script of that name."""

    def on_takeover(self, key: Any, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` when another server holds `key`; what is returned ends it."""


@attrs.frozen
class Claim:
    """What a worker was given of one partition.

    `epoch` is empty when the partition has lost its data; `more` is whether another claim would
    be given something; `left` has webhooks (at most 200) with items that are still ready.
    """

    epoch: str
    items: tuple[Item, ...]
    more: bool
    left: frozenset[UUID]


@attrs.frozen
class Depth:
    """How many items a partition holds in each state, and which workers seem to be dead."""

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

    def on_takeover(self, partition: int, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` when another server holds the partition: it may lack what was written
        last. What is returned ends it."""
        return self._key_value.on_takeover(_key(partition, "ring"), listener)

    async def push(
        self,
        items: Iterable[Item],
        due: Mapping[UUID, float] | None = None,
        *,
        mend: bool = False,
    ) -> None:
        """Hand in items, ready at once or at the moment that `due` has for the delivery; with
        `mend` make good a webhook's turn that was lost, too."""
        by_partition: dict[int, list[Item]] = defaultdict(list)
        for item in items:
            by_partition[partition_of(item[1])].append(item)
        for partition, some in by_partition.items():
            await self._push(partition, some, due or {}, "", mend=mend)

    async def restore(
        self, partition: int, items: Iterable[Item], due: Mapping[UUID, float], epoch: str
    ) -> None:
        """Hand in what PostgreSQL says is pending, then mark the partition as whole."""
        await self._push(partition, list(items), due, epoch)

    async def _push(
        self,
        partition: int,
        items: list[Item],
        due: Mapping[UUID, float],
        epoch: str,
        *,
        mend: bool = False,
    ) -> None:
        keys = [_key(partition, name) for name in ("ring", "delayed", "dead", "epoch")]
        for start in range(0, max(len(items), 1), _CHUNK):
            chunk = items[start : start + _CHUNK]
            last = start + _CHUNK >= len(items)
            args = [epoch if last else "", _key(partition, "ready:"), str(int(mend))]
            lists = [_key(partition, f"ready:{it}") for it in {it[1] for it in chunk}]
            for item in chunk:
                args += [_text(item), f"{due[item[0]]:.3f}" if item[0] in due else ""]
            await self._key_value.script("webhook_push", [*keys, *lists], args)

    async def claim(
        self,
        partition: int,
        worker: str,
        count: int,
        now: float,
        allowed: Mapping[UUID, int] | None = None,
    ) -> Claim:
        """Move up to `count` items to the worker's processing list; also its sign of life.

        Of the webhooks in `allowed` it takes so many at most, of any other USUAL.
        """
        keys = [
            _key(partition, name)
            for name in ("ring", f"processing:{worker}", "delayed", "workers", "epoch")
        ]
        ready = _key(partition, "ready:")
        args = [f"{now:.3f}", str(count), worker, ready, str(TURN), str(USUAL)]
        for webhook_id, most in (allowed or {}).items():
            args += [str(webhook_id), str(most)]
        epoch, items, more, left = await self._key_value.script("webhook_claim", keys, args)
        return Claim(
            epoch.decode(),
            tuple(_item(it) for it in items),
            bool(more),
            frozenset(UUID(it.decode()) for it in left),
        )

    async def settle(
        self, partition: int, worker: str, fates: Mapping[Item, Fate], now: float
    ) -> None:
        """Say what becomes of claimed items. Doing it again changes nothing."""
        keys = [_key(partition, name) for name in (f"processing:{worker}", "delayed", "dead")]
        items = list(fates.items())
        for start in range(0, len(items), _CHUNK):
            args = [str(REMEMBERED_DEAD), f"{now:.3f}"]
            for item, fate in items[start : start + _CHUNK]:
                args += [_text(item), fate if isinstance(fate, str) else f"{fate:.3f}"]
            await self._key_value.script("webhook_settle", keys, args)

    async def reap(self, partition: int, worker: str, spared_since: float) -> int:
        """Return what a worker holds to the ready lists unless it was seen at `spared_since` or
        later; how many items that were."""
        keys = [_key(partition, name) for name in ("ring", f"processing:{worker}", "workers")]
        args = [worker, f"{spared_since:.3f}", _key(partition, "ready:")]
        return int(await self._key_value.script("webhook_reap", keys, args))

    async def depth(self, partition: int, silent_since: float = 0.0) -> Depth:
        """The partition's counts, and the workers not seen since that moment."""
        keys = [_key(partition, name) for name in ("ring", "delayed", "dead", "workers")]
        prefixes = _key(partition, "processing:"), _key(partition, "ready:")
        args = [prefixes[0], f"{silent_since:.3f}", prefixes[1]]
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

    async def reserve(self, webhook_id: UUID, rate: int, count: int) -> float:
        """Reserve the next `count` moments at which this webhook may be sent to, `rate` a second
        over all workers; seconds until the first of them."""
        keys = [_key(partition_of(webhook_id), f"rate:{webhook_id}")]
        args = [f"{1 / rate:.6f}", str(count)]
        return float(await self._key_value.script("webhook_rate", keys, args))


def _key(partition: int, name: str) -> str:
    return f"nizam:webhooks:{{q{partition}}}:{name}"


def _text(item: Item) -> str:
    return f"{item[0]}:{item[1]}"


def _item(text: bytes) -> Item:
    delivery_id, webhook_id = text.decode().split(":")
    return UUID(delivery_id), UUID(webhook_id)
