"""Keeps the resident snapshot current: loads it, and follows every change.

It is loaded from PostgreSQL, or from the copy in Redis while PostgreSQL is away. A notification
brings a change at once; one cheap query a second finds what a lost notification would have told.
Changes are applied row by row, in the order of the owner's revisions.
"""

from __future__ import annotations

import contextlib
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from uuid import UUID

from twisted.application.service import Service
from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger

from nizam.errors import DatabaseUnavailable, KeyValueUnavailable
from nizam.kv.interface import IKeyValue
from nizam.metrics import SNAPSHOT_AGE_SECONDS
from nizam.model.registry import resources
from nizam.nap import Nap
from nizam.routing.rows import Row
from nizam.routing.snapshot import Snapshot
from nizam.slices import give_way, in_slices
from nizam.store.listener import NotificationListener
from nizam.store.pool import Pool
from nizam.store.system import snapshots as stored
from nizam.switch.copy_keeper import CopyKeeper
from nizam.switch.snapshot_copy import SnapshotCopy

POLL_SECONDS = 1.0
HOLD_SECONDS = 5.0
GATHER_SECONDS = 0.02
"""What is told within so short a time of following what came before is read together."""

_PATCHED_ROWS = 200
"""A larger change is written to the copy with everything else, beside the following."""
CHANNEL = "nizam_changes"
Changed = tuple[str, UUID | None, UUID, str]
"""(resource, tenant id, id, operation: created, updated, deleted or reloaded)."""

RowKey = tuple[str, UUID | None, UUID]
"""(resource, tenant id, id)."""
ChangeListener = Callable[[list[Changed]], None]


class SnapshotService(Service):
    """Fills `snapshot` and keeps it current for as long as it runs.

    `listen_dsn` is a direct connection to PostgreSQL for notifications, by default the primary's;
    `wall_clock` gives seconds since 1970.
    """

    _log = Logger()

    def __init__(
        self,
        clock: Any,
        pool: Pool,
        key_value: IKeyValue,
        snapshot: Snapshot,
        *,
        listen_dsn: str | None = None,
        poll_seconds: float = POLL_SECONDS,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._clock = clock
        self._pool = pool
        self._snapshot = snapshot
        self._poll_seconds = poll_seconds
        self._wall_clock = wall_clock
        self._listener = NotificationListener(
            clock, listen_dsn or pool.dsn, CHANNEL, self._notified
        )
        self._listeners: list[ChangeListener] = []
        self._held: dict[UUID, int] = {}
        self._platform_revision = -1
        self._loaded = False
        self._ready = False
        self._current_at: float | None = None
        self._looked_at = float("-inf")
        self._told: dict[UUID, int] = {}
        """The revisions of tenants that were told of and are not followed yet."""
        self._doubtful = True
        """Whether there may be changes that were not told of."""
        self._nudged = False
        self._nap = Nap(clock)
        self._waiting: list[Deferred[None]] = []
        self._finished: Deferred[None] | None = None
        self.copy = CopyKeeper(clock, SnapshotCopy(key_value, clock), snapshot, self._revisions)
        self._reported: str | None = None

    # -- what others see ------------------------------------------------------------------------

    @property
    def ready(self) -> bool:
        """Whether the snapshot has been loaded, from PostgreSQL or from the copy in Redis."""
        return self._ready

    @property
    def age_seconds(self) -> float:
        """How long ago the snapshot was last known to be current; infinite before that."""
        if self._current_at is None:
            return float("inf")
        return max(0.0, self._wall_clock() - self._current_at)

    @property
    def from_database(self) -> bool:
        """Whether the snapshot has been loaded from PostgreSQL in this process."""
        return self._loaded

    def on_change(self, listener: ChangeListener) -> None:
        """Call `listener` with the changes that the snapshot has just taken in."""
        self._listeners.append(listener)

    async def holds(self, tenant_id: UUID, seconds: float = HOLD_SECONDS) -> bool:
        """Wait until calls and phones of a tenant that was just made are answered from here; False
        if that takes longer than so many seconds."""
        late = self._clock.seconds() + seconds
        self._notified("")
        while tenant_id not in self._held and self.running and self._clock.seconds() < late:
            followed: Deferred[None] = Deferred()
            self._waiting.append(followed)
            with contextlib.suppress(defer.TimeoutError):
                await followed.addTimeout(late - self._clock.seconds(), self._clock)
        return tenant_id in self._held

    # -- life -----------------------------------------------------------------------------------

    def startService(self) -> None:  # noqa: N802 - Twisted's name
        """Load, then follow."""
        super().startService()  # type: ignore[no-untyped-call]
        SNAPSHOT_AGE_SECONDS.set_function(lambda: self.age_seconds)
        self.copy.start()
        self._listener.start()
        self._finished = Deferred.fromCoroutine(self._run())

    def stopService(self) -> Deferred[None]:  # noqa: N802 - Twisted's name
        """Stop following; the snapshot stays as it is."""
        super().stopService()  # type: ignore[no-untyped-call]
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        self._nap.wake()
        await self._listener.stop()
        finished, self._finished = self._finished, None
        if finished is not None:
            await finished
        await self.copy.stop()

    async def _run(self) -> None:
        while self.running:
            self._nudged = False
            began = self._clock.seconds()
            try:
                await self._refresh()
            except DatabaseUnavailable as error:
                self._doubtful = True
                self._report(f"following changes: {error}")
                await self._fall_back()
            except Exception:
                # One object that cannot be taken in must not end the following of all others.
                self._log.failure("while following changes")
                self._loaded, self._doubtful = False, True
            self._tell_waiting()
            if self.running and not self._nudged:
                await self._nap.sleep(self._poll_seconds)
            gathering = began + GATHER_SECONDS - self._clock.seconds()
            if self.running and gathering > 0:
                await deferLater(self._clock, gathering)
        self._tell_waiting()

    def _tell_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        for it in waiting:
            it.callback(None)

    async def _refresh(self) -> None:
        asked_at, began = self._wall_clock(), self._clock.seconds()
        told, self._told = self._told, {}
        doubtful, self._doubtful = self._doubtful, False
        if not self._loaded:
            await self._load()
            doubtful = True
        if told and not doubtful and began - self._looked_at < self._poll_seconds:
            for tenant_id, revision in told.items():
                if revision > self._held.get(tenant_id, 0):
                    await self._follow_tenant(tenant_id, revision)
        else:
            await self._follow()
            self._looked_at, self._current_at = began, asked_at
        self._report(None)
        self.copy.check(asked_at)

    # -- loading --------------------------------------------------------------------------------

    async def _load(self) -> None:
        """Everything from PostgreSQL, a page at a time; what is no longer there is dropped."""
        state = await stored.state(self._pool)
        revisions = await stored.revisions(self._pool)
        gone: set[RowKey] = {(row.resource, row.tenant_id, row.id) for row in self._snapshot.rows()}
        platform: list[Row] = []
        for resource in stored.routed():
            async for page in stored.pages(self._pool, resource):
                for row in page:
                    self._snapshot.put(row)
                    gone.discard((row.resource, row.tenant_id, row.id))
                    if row.tenant_id is None:
                        platform.append(row)
        for name, tenant_id, identifier in gone:
            self._snapshot.remove(name, tenant_id, identifier)
        for tenant_id, revision in revisions.items():
            self._snapshot.set_revision(tenant_id, revision)
        self._held = revisions
        self._platform_revision = state.platform_revision
        self._loaded = self._ready = True
        self.copy.lacks_something()
        self._tell_of_platform(platform, gone)

    async def _fall_back(self) -> None:
        """Start from the copy in Redis, if nothing better is there."""
        if self._ready:
            return
        try:
            owners, current_at = await self.copy.load()
        except KeyValueUnavailable as error:
            self._report(f"neither PostgreSQL nor the copy in Redis: {error}")
            return
        if not owners:
            return
        platform: list[Row] = []
        for owner, revision, rows in owners:
            if owner is None:
                for row in rows:
                    self._snapshot.put(row)
                    platform.append(row)
            else:
                await in_slices(self._clock, self._snapshot.replace_tenant(owner, rows, revision))
        self._current_at = current_at
        self._ready = True
        self._tell_of_platform(platform)
        self._log.warn("routing from the copy in Redis: {n} owners", n=len(owners))

    def _tell_of_platform(self, rows: Iterable[Row], gone: Iterable[RowKey] = ()) -> None:
        """Tell of the nodes, profiles and lists that are there now, and of those that went."""
        told: list[Changed] = [(it.resource, None, it.id, "reloaded") for it in rows]
        told += [(name, None, it, "deleted") for name, owner, it in gone if owner is None]
        # Nothing is done about a tenant that has been loaded which loading it does not do.
        self._tell([it for it in told if it[0] != "tenant"])

    # -- following ------------------------------------------------------------------------------

    def _revisions(self) -> Mapping[UUID | None, int]:
        """Up to where the changes of each owner, the platform as None, are held."""
        platform: dict[UUID | None, int] = {None: self._platform_revision}
        return platform | self._held

    async def _follow(self) -> None:
        state = await stored.state(self._pool)
        held = stored.State(self._platform_revision, len(self._held), sum(self._held.values()))
        if state == held:
            return
        if state.platform_revision != self._platform_revision:
            await self._follow_platform(state.platform_revision)
        present = await stored.revisions(self._pool)
        for tenant_id in self._held.keys() - present.keys():
            await self._drop(tenant_id)
        for tenant_id, revision in present.items():
            if revision != self._held.get(tenant_id, 0):
                await self._follow_tenant(tenant_id, revision)

    async def _follow_platform(self, revision: int) -> None:
        if revision < self._platform_revision:
            # The database was restored to an earlier state.
            self._loaded = False
            raise DatabaseUnavailable("the database has gone back in time; loading all of it")
        changes = await stored.changes(self._pool, None, self._platform_revision)
        if not changes or changes[0].revision > self._platform_revision + 1:
            self._loaded = False
            raise DatabaseUnavailable("the feed no longer reaches back so far; loading everything")
        await self._apply(None, self._platform_revision, changes)
        self._platform_revision = max([revision, *(it.revision for it in changes)])

    async def _follow_tenant(self, tenant_id: UUID, revision: int) -> None:
        before = self._held.get(tenant_id, 0)
        changes = await stored.changes(self._pool, tenant_id, before)
        if revision < before or not changes or changes[0].revision > before + 1:
            await self._reload(tenant_id)
            return
        await self._apply(tenant_id, before, changes)
        self._held[tenant_id] = changes[-1].revision
        self._snapshot.set_revision(tenant_id, changes[-1].revision)

    async def _reload(self, tenant_id: UUID) -> None:
        """The whole tenant: the feed does not reach back far enough."""
        found = await stored.tenant_rows(self._pool, tenant_id)
        if found is None:
            await self._drop(tenant_id)
            return
        revision, rows = found
        await in_slices(self._clock, self._snapshot.replace_tenant(tenant_id, rows, revision))
        self._held[tenant_id] = revision
        self.copy.lacks_something()
        self._tell([(row.resource, tenant_id, row.id, "reloaded") for row in rows])

    async def _apply(
        self, owner: UUID | None, before: int, changes: Iterable[stored.Change]
    ) -> None:
        """Take in the rows as they are now, once each, however often they were changed."""
        last = {(it.resource, it.id): it for it in changes}
        wanted: defaultdict[str, list[UUID]] = defaultdict(list)
        for (name, identifier), change in last.items():
            if name in resources() and resources()[name].routed and change.operation != "deleted":
                wanted[name].append(identifier)
        rows: list[Row] = []
        for name, ids in wanted.items():
            rows += await stored.rows_by_id(self._pool, resources()[name], ids)
        present = {(row.resource, row.id) for row in rows}
        removed = [key for key in last if key not in present and _is_routed(key[0])]
        if len(last) > _PATCHED_ROWS:
            await give_way(self._clock)
        after = max((it.revision for it in last.values()), default=before)
        if owner is None:
            self._take_in(rows, removed)
        else:
            work = self._snapshot.change_tenant(owner, rows, removed, after)
            await in_slices(self._clock, work)
        self._tell([(it.resource, owner, it.id, it.operation) for it in last.values()])
        if len(last) <= _PATCHED_ROWS:
            await self.copy.patch(owner, before, after, rows, removed)
        else:
            self.copy.lacks_something(at_once=True)

    def _take_in(self, rows: list[Row], removed: list[tuple[str, UUID]]) -> None:
        """A change of the platform's own objects, which are few, and tenants that are gone."""
        for name, identifier in removed:
            self._snapshot.remove(name, None, identifier)
        for row in rows:
            self._snapshot.put(row)

    async def _drop(self, tenant_id: UUID) -> None:
        self._snapshot.remove("tenant", None, tenant_id)
        self._held.pop(tenant_id, None)
        self.copy.lacks_something()
        self._tell([("tenant", tenant_id, tenant_id, "deleted")])

    def _tell(self, changed: list[Changed]) -> None:
        for listener in self._listeners:
            try:
                listener(changed)
            except Exception:
                self._log.failure("a listener to changes failed")

    # -- waiting --------------------------------------------------------------------------------

    def _notified(self, payload: str) -> None:
        """Of the owner whose id is in the payload, if it is a tenant, there is a new revision; of
        the platform, or of nobody in particular, all is looked at."""
        owner, _, revision = payload.partition(" ")
        try:
            tenant_id = UUID(owner)
            self._told[tenant_id] = max(self._told.get(tenant_id, 0), int(revision))
        except ValueError:
            self._doubtful = True
        self._nudged = True
        self._nap.wake()

    def _report(self, problem: str | None) -> None:
        """Log a problem when it begins, not every second while it lasts."""
        if problem is not None and self._reported is None:
            self._log.warn("{problem}", problem=problem)
        self._reported = problem


def _is_routed(name: str) -> bool:
    return name in resources() and resources()[name].routed
