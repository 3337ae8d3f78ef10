"""Purging tenants whose grace is over: everything that NIZAM holds of them but the receipt.

A purge is taken up in each turn where the last one has stopped. One that cannot go on, because
the media root or Redis is away, keeps no other from being purged.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from uuid import UUID

import attrs
from twisted.logger import Logger

from nizam.errors import (
    DatabaseUnavailable,
    LegalHold,
    MediaUnavailable,
    NotFound,
    StorageUnavailable,
)
from nizam.kv.interface import IKeyValue
from nizam.media.library import MediaLibrary
from nizam.media.objects import ObjectStore
from nizam.ops.scheduler import Outcome, Turn
from nizam.store.context import SYSTEM
from nizam.store.pool import Transaction
from nizam.store.store import Store
from nizam.store.system import purge as stored
from nizam.store.system.audit import forget_chain, prune_chain
from nizam.store.system.leases import LeaseLostError, hold
from nizam.store.unit_of_work import UnitOfWork

SLICE_SECONDS = 10.0
FILES_AT_ONCE = 200
_KEYS_AT_ONCE = 500


@attrs.frozen
class Purge:
    """The task. `end_sign_ins` ends what a user is signed in with; how much that was."""

    store: Store
    media: MediaLibrary
    key_value: IKeyValue
    end_sign_ins: Callable[[UUID], Awaitable[int]]
    objects: ObjectStore | None = None

    _log = Logger()

    async def __call__(self, turn: Turn) -> Outcome:
        """Go on with every purge that is due."""
        removed = 0
        failed: Exception | None = None
        for tenant_id in await stored.due_purges(turn):
            if turn.over:
                return Outcome(removed, more=True)
            try:
                outcome = await _TenantPurge(self, turn, tenant_id).go_on()
            except (LeaseLostError, DatabaseUnavailable):
                raise
            except Exception as error:
                # The scheduler's record has room for the first one alone.
                self._log.failure("the purge of {tenant_id} waits", tenant_id=str(tenant_id))
                failed = failed or error
                continue
            removed += outcome.removed
            if outcome.more:
                return Outcome(removed, more=True)
        if failed is not None:
            raise failed
        return Outcome(removed)


@attrs.define
class _TenantPurge:
    """One turn's part of the purge of one tenant."""

    task: Purge
    turn: Turn
    tenant_id: UUID
    removed: int = 0

    async def go_on(self) -> Outcome:
        """Do as much as there is time for."""
        await stored.begin_purge(self.turn, self.tenant_id)
        await self._no_holds()
        steps = (
            self._webhooks,
            self._people,
            self._objects,
            self._files,
            self._rows,
            self._audit,
            self._keys,
        )
        for step in steps:
            await step()
            if self.turn.over:
                return Outcome(self.removed, more=True)

        async def end(unit: UnitOfWork) -> None:
            await hold(unit.transaction, self.turn.lease)
            await stored.end_purge(unit, self.tenant_id, self.turn.lease.holder)

        await self.task.store.write(None, SYSTEM, end, deadline=SLICE_SECONDS)
        return Outcome(self.removed + 1)

    async def _webhooks(self) -> None:
        await self._table("webhooks")

    async def _people(self) -> None:
        while not self.turn.over:
            some = await stored.members(self.turn, self.tenant_id)
            for user_id, alone in some:
                if alone:
                    await self._count("redis_keys", await self.task.end_sign_ins(user_id))
                await self._member(user_id)
            if not some:
                return

    async def _member(self, user_id: UUID) -> None:
        async def leave(unit: UnitOfWork) -> None:
            await hold(unit.transaction, self.turn.lease)
            what = await stored.remove_member(unit, user_id, self.tenant_id)
            unit.transaction.add(*stored.counted(self.tenant_id, what, 1))

        try:
            await self.task.store.write(None, SYSTEM, leave, deadline=SLICE_SECONDS)
        except NotFound:
            return
        self.removed += 1

    async def _no_holds(self) -> None:
        """Raise LegalHold while a hold keeps any recording of the tenant."""
        held = await self.turn.query(
            "select count(*) from recordings where tenant_id = %s and legal_hold",
            (self.tenant_id,),
        )
        if held[0][0]:
            raise LegalHold(f"{held[0][0]} recordings of the tenant are under legal hold")

    async def _objects(self) -> None:
        objects = self.task.objects
        if objects is None:
            if await stored.owns_stored_objects(self.turn, self.tenant_id):
                raise StorageUnavailable(
                    "recordings of it lie in an object storage that the settings do not name"
                )
            return
        while not self.turn.over:
            some = await objects.remove_below(objects.key(self.tenant_id, ""), FILES_AT_ONCE)
            await self._count("objects", some)
            if not some:
                return

    async def _files(self) -> None:
        try:
            while not self.turn.over:
                some = await self.task.media.remove_tenant(self.tenant_id, FILES_AT_ONCE)
                await self._count("files", some)
                if not some:
                    return
        except MediaUnavailable:
            # A platform without any media needs no media root.
            if await stored.owns_files(self.turn, self.tenant_id):
                raise

    async def _rows(self) -> None:
        for table in stored.tenant_tables():
            await self._table(table)

    async def _table(self, table: str) -> None:
        for leaf in await stored.leaves(self.turn, table):
            remove = partial(stored.remove_rows, leaf=leaf, tenant_id=self.tenant_id)
            await self._slices(table, remove)

    async def _audit(self) -> None:
        prune = partial(prune_chain, tenant_id=self.tenant_id, limit=stored.SLICE)
        await self._slices("audit_logs", prune)

    async def _slices(self, what: str, remove: Callable[[Transaction], Awaitable[int]]) -> None:
        async def slice_(transaction: Transaction) -> int:
            some = await remove(transaction)
            if some:
                transaction.add(*stored.counted(self.tenant_id, what, some))
            return some

        outcome = await self.turn.repeat(lambda: self.turn.transaction(slice_))
        self.removed += outcome.removed

    async def _keys(self) -> None:
        keys = await self.task.key_value.scan(f"*{self.tenant_id}*")
        some = 0
        for start in range(0, len(keys), _KEYS_AT_ONCE):
            some += await self.task.key_value.delete(*keys[start : start + _KEYS_AT_ONCE])
        await self._count("redis_keys", some)

    async def _count(self, what: str, some: int) -> None:
        if some:
            self.removed += some
            await self.turn.query(*stored.counted(self.tenant_id, what, some))


async def remove_strays(turn: Turn) -> Outcome:
    """Remove what has come of purged tenants since: records of calls that went on, an attempt to
    deliver that was under way."""
    removed = 0
    for table in (*stored.tenant_tables(), "audit_logs", "audit_chains"):
        for tenant_id in await stored.strays(turn, table):
            if table in stored.NOT_IN_SLICES:
                await turn.transaction(partial(forget_chain, tenant_id=tenant_id))
                removed += 1
                continue
            for leaf in await stored.leaves(turn, table):
                remove = partial(stored.remove_rows, turn, leaf, tenant_id)
                removed += (await turn.repeat(remove)).removed
        if turn.over:
            return Outcome(removed, more=True)
    return Outcome(removed)
