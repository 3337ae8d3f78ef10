"""Every client of this instance, and how a batch of the log reaches those who want it.

A batch is given to one client after the other, with pauses in which the rest of the process has
its turn. A client is live when everything up to the batch that is being given out has been given
to it; it joins only at such a point, so that between what it read from the log and what it is
given here nothing is missing and nothing comes twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final
from uuid import UUID

from nizam.metrics import REALTIME_CLIENTS
from nizam.realtime.subscriber import Batch, Message, Subscriber
from nizam.slices import Sliced, in_slices
from nizam.store.system.event_log import Logged

SLICE_SECONDS: Final = 0.008


class Hub:
    """The clients. `reached` is the position up to which live clients were given everything, or are
    being given it; `settled` the one up to which all of them were."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._of_tenant: dict[UUID | None, dict[Subscriber, None]] = {}
        self._counts: Counter[str] = Counter()
        self.reached = 0
        self.settled = 0

    def __len__(self) -> int:
        return sum(map(len, self._of_tenant.values()))

    def __iter__(self) -> Iterator[Subscriber]:
        for those in list(self._of_tenant.values()):
            yield from list(those)

    def of_tenant(self, tenant_id: UUID | None) -> int:
        """How many clients listen to a tenant; with None, to all of them."""
        return len(self._of_tenant.get(tenant_id, ()))

    @property
    def tenants(self) -> Collection[UUID | None]:
        """Those that somebody listens to."""
        return self._of_tenant.keys()

    def start_at(self, position: int) -> None:
        """Follow the log from here on; nobody is live yet."""
        self.reached = self.settled = position

    def add(self, subscriber: Subscriber) -> None:
        """A new client, which is not live yet."""
        self._of_tenant.setdefault(subscriber.tenant_id, {})[subscriber] = None
        self._count(subscriber, 1)

    def remove(self, subscriber: Subscriber) -> None:
        """A client that is gone."""
        those = self._of_tenant.get(subscriber.tenant_id, {})
        if subscriber in those:
            del those[subscriber]
            self._count(subscriber, -1)
        if not those:
            self._of_tenant.pop(subscriber.tenant_id, None)

    def join(self, subscriber: Subscriber) -> bool:
        """Let a client that has everything up to its position be live; False if there is more."""
        if subscriber.position < self.reached:
            return False
        subscriber.live = True
        return True

    def refresh(self, subscriber: Subscriber) -> None:
        """Move the position of a live client over what was not for it."""
        if subscriber.live:
            subscriber.position = max(subscriber.position, self.settled)

    async def give(self, logged: Sequence[Logged], position: int) -> None:
        """Give the next part of the log, which ends at `position`, to the live clients.

        Not to be called again before it has returned.
        """
        before = self.reached
        # Before anything else: who joins from now on must have this part already.
        self.reached = position
        if logged and self._of_tenant:
            await in_slices(self._reactor, self._give(logged, before, position), SLICE_SECONDS)
        self.settled = position

    def _give(self, logged: Sequence[Logged], before: int, position: int) -> Sliced[None]:
        messages = [Message.of(it) for it in logged]
        parts: dict[UUID | None, list[Message]] = {None: messages}
        for it in messages:
            tenant_id = it.logged.event.tenant_id
            if tenant_id is not None:
                parts.setdefault(tenant_id, []).append(it)
        for tenant_id, part in parts.items():
            batch = Batch(part)
            # Copied: clients come and go in the pauses.
            for subscriber in list(self._of_tenant.get(tenant_id, ())):
                if subscriber.live and subscriber.position < position:
                    # Whoever caught up has read further than this instance had: not again.
                    after = subscriber.position if subscriber.position > before else 0
                    payload, count = batch.part(subscriber.filters, subscriber.codec, after)
                    subscriber.take(payload, count, position)
                    yield

    def _count(self, subscriber: Subscriber, by: int) -> None:
        kind = subscriber.codec.name
        self._counts[kind] += by
        REALTIME_CLIENTS.labels(kind).set(self._counts[kind])
