"""The store: what HTTP, switch and webhooks are given of PostgreSQL."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from uuid import UUID

import psycopg2
from twisted.internet.task import deferLater
from twisted.logger import Logger

from nizam.errors import NizamError
from nizam.model.base import Body
from nizam.model.identifiers import new_id
from nizam.model.resource import Resource
from nizam.store import audit, idempotency, queries, shared
from nizam.store.audit import AuditEntry
from nizam.store.conflicts import conflict_of
from nizam.store.context import ChangeContext
from nizam.store.listing import Listing, Page
from nizam.store.pool import Pool, Transaction
from nizam.store.replicas import Replicas
from nizam.store.secrets import SecretBox
from nizam.store.stored import Stored
from nizam.store.system import api_keys, users
from nizam.store.system.events import WriteResult
from nizam.store.turns import Turns
from nizam.store.unit_of_work import UnitOfWork

T = TypeVar("T")
_TOLD_AT_ONCE = 200
DeliveriesListener = Callable[[Sequence[tuple[UUID, UUID]]], None]


class Store:
    """Reads and changes of resources over a primary and its read replicas, if it has any.

    `environment` is the word in new API keys. Every method raises DatabaseUnavailable within a
    bounded time when PostgreSQL does not answer.
    """

    _log = Logger()

    def __init__(
        self,
        primary: Pool,
        secret_box: SecretBox,
        *,
        replicas: Replicas | None = None,
        environment: str = "live",
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.primary = primary
        self.replicas = replicas
        self.secret_box = secret_box
        self._environment = environment
        self._now = now
        self._turns = Turns(primary.reactor)
        self._core_id = str(new_id())
        self._sequence = itertools.count(1)
        self._on_deliveries: list[DeliveriesListener] = []
        self._on_events: list[Callable[[], None]] = []

    def on_deliveries(self, listener: DeliveriesListener) -> None:
        """Call `listener` with (delivery id, webhook id) of each webhook delivery that a change
        has made, after its commit."""
        self._on_deliveries.append(listener)

    def on_events(self, listener: Callable[[], None]) -> None:
        """Call `listener` when events of a change have been committed."""
        self._on_events.append(listener)

    # -- reading --------------------------------------------------------------------------------

    async def read(self, work: Callable[[Pool], Awaitable[T]]) -> T:
        """What `work` reads from a replica, which has what the caller changed and may lack what
        others did moments ago; from the primary when no replica will do."""
        if self.replicas is None:
            return await work(self.primary)
        return await self.replicas.read(work)

    async def changing(self, owners: Iterable[UUID], work: Awaitable[T]) -> T:
        """What `work` gives; these see from then on, in every list, what it has changed."""
        if self.replicas is None:
            return await work
        try:
            result = await work
        except NizamError as error:
            if error.status >= 500:
                await self.replicas.may_have_changed(owners)
            raise
        except Exception:
            await self.replicas.may_have_changed(owners)
            raise
        await self.replicas.changed(owners)
        return result

    async def get(self, resource: Resource, tenant_id: UUID | None, identifier: UUID) -> Stored:
        """One object; NotFound. `tenant_id` is ignored for the platform's own resources."""
        return await queries.get(self.primary, resource, tenant_id, identifier)

    async def list(self, resource: Resource, tenant_id: UUID | None, listing: Listing) -> Page:
        """One page of objects as they are shown."""
        return await self.read(lambda pool: queries.page(pool, resource, tenant_id, listing))

    async def get_shared(
        self, resource: Resource, identifier: UUID, reach: frozenset[UUID] | None
    ) -> Stored:
        """A user or API key that belongs to one of the tenants (None: any); NotFound."""
        return await shared.get_shared(self.primary, resource, identifier, reach)

    async def list_shared(
        self, resource: Resource, listing: Listing, reach: frozenset[UUID] | None
    ) -> Page:
        """One page of the users or API keys that belong to the tenants (None: all)."""
        return await self.read(lambda pool: shared.page_shared(pool, resource, listing, reach))

    async def find_api_key(self, digest: str) -> api_keys.FoundKey | None:
        """The enabled API key with this hash, or None."""
        return await api_keys.find_api_key(self.primary, digest)

    async def touch_api_key(self, key_id: UUID, address: str) -> None:
        """Note that an API key was used now, from this address."""
        await api_keys.touch_api_key(self.primary, key_id, address)

    async def find_user(self, user_id: UUID) -> users.FoundUser | None:
        """The enabled user with this id, or None."""
        return await users.find_user(self.primary, self.secret_box, user_id)

    async def find_login(self, email: str) -> users.FoundUser | None:
        """The enabled user with this address, or None."""
        return await users.find_login(self.primary, self.secret_box, email)

    def credential_of(self, user: Stored) -> bytes:
        """The fingerprint of a user's present password, as in FoundUser."""
        return users.credential_of(self.secret_box, user)

    async def note_login(self, user_id: UUID, address: str) -> None:
        """Note that a user has logged in now, from this address."""
        await users.note_login(self.primary, user_id, address)

    # -- changing -------------------------------------------------------------------------------

    async def record(self, context: ChangeContext, *entries: AuditEntry) -> None:
        """Write what was done, and changes no resource, into the audit log: a login, a command.

        What is done in a unit of work is written by it (UnitOfWork.note).
        """
        await audit.record(self.primary, context, self._now(), *entries)
        if self.replicas is not None:
            owners = {context.actor_id, *(it.tenant_id for it in entries)} - {None}
            await self.replicas.changed(it for it in owners if it is not None)

    async def write(
        self,
        tenant_id: UUID | None,
        context: ChangeContext,
        work: Callable[[UnitOfWork], Awaitable[T]],
        *,
        deadline: float | None = None,
    ) -> T:
        """Run `work` on a unit of work of the tenant, or of the platform, and commit it within
        `deadline` seconds, by default those of the pool. It waits for earlier changes of the same
        owner for as long again at most.

        With an idempotency key in `context` a repeated request does nothing and gets the first
        one's result again.
        """
        written: list[WriteResult] = []

        async def run(transaction: Transaction) -> T:
            key = context.idempotency
            if key is not None:
                known, answer = await idempotency.earlier_answer(
                    transaction, key, tenant_id, self.secret_box
                )
                if known:
                    earlier: T = answer
                    return earlier
            unit = UnitOfWork(
                transaction=transaction,
                tenant_id=tenant_id,
                context=context,
                box=self.secret_box,
                now=self._now(),
                core_id=self._core_id,
                next_sequence=lambda: next(self._sequence),
                environment=self._environment,
            )
            unit.enter()
            result = await work(unit)
            kept = () if key is None else (idempotency.kept_answer(key, result, self.secret_box),)
            written.append(await unit.finish(*kept))
            return result

        try:
            async with self._turns.of(tenant_id, deadline) as end:
                result = await self.primary.transaction(run, deadline, ending=end)
        except psycopg2.errors.UniqueViolation as error:
            conflict = conflict_of(error)
            if conflict is None:
                raise
            raise conflict from None
        if any(it.event_ids for it in written):
            for listener in self._on_events:
                listener()
        for it in written:
            await self._tell(it.deliveries)
        return result

    def tell_deliveries(self, deliveries: Iterable[tuple[UUID, UUID]]) -> None:
        """Hand a few deliveries to the listeners that were committed elsewhere."""
        for listener in self._on_deliveries:
            listener(list(deliveries))

    async def _tell(self, deliveries: Sequence[tuple[UUID, UUID]]) -> None:
        """Hand deliveries to the listeners, some at a time: ten thousand would hold the thread."""
        for start in range(0, len(deliveries), _TOLD_AT_ONCE):
            if start:
                await deferLater(self.primary.reactor, 0)
            for listener in self._on_deliveries:
                listener(deliveries[start : start + _TOLD_AT_ONCE])

    async def create(
        self,
        resource: Resource,
        tenant_id: UUID | None,
        body: Body,
        context: ChangeContext,
        answer: Callable[[Stored], T],
    ) -> T:
        """Make an object; what `answer` makes of it is returned, and kept for the idempotency
        key. Raises what UnitOfWork.create raises."""

        async def work(unit: UnitOfWork) -> T:
            return answer(await unit.create(resource, body))

        return await self.write(_owner(resource, tenant_id), context, work)

    async def update(
        self,
        resource: Resource,
        tenant_id: UUID | None,
        identifier: UUID,
        change: Callable[[Stored], Body],
        context: ChangeContext,
        *,
        versions: frozenset[int] | None = None,
        clear: frozenset[str] = frozenset(),
    ) -> Stored:
        """Give an object the body that `change` makes of it, PUT and PATCH alike. Raises what
        UnitOfWork.update raises."""

        async def work(unit: UnitOfWork) -> Stored:
            return await unit.update(resource, identifier, change, versions=versions, clear=clear)

        return await self.write(_owner(resource, tenant_id), context, work)

    async def delete(
        self,
        resource: Resource,
        tenant_id: UUID | None,
        identifier: UUID,
        context: ChangeContext,
        *,
        versions: frozenset[int] | None = None,
    ) -> Stored:
        """Remove an object, and return it as it was. Raises what UnitOfWork.delete raises."""

        async def work(unit: UnitOfWork) -> Stored:
            return await unit.delete(resource, identifier, versions=versions)

        return await self.write(_owner(resource, tenant_id), context, work)

    async def transition(
        self,
        tenant_id: UUID,
        command: str,
        context: ChangeContext,
        answer: Callable[[Stored], T],
        grace: timedelta = timedelta(),
    ) -> T:
        """Activate, suspend or terminate a tenant; see UnitOfWork.transition."""

        async def work(unit: UnitOfWork) -> T:
            return answer(await unit.transition(tenant_id, command, grace))

        return await self.write(None, context, work)

    async def reveal(
        self,
        resource: Resource,
        tenant_id: UUID | None,
        identifier: UUID,
        context: ChangeContext,
    ) -> Mapping[str, str]:
        """The secrets of an object in clear; the audit log says that they were asked for."""

        async def work(unit: UnitOfWork) -> Mapping[str, str]:
            return await unit.reveal(resource, identifier)

        return await self.write(_owner(resource, tenant_id), context, work)

    async def rotate(
        self,
        resource: Resource,
        tenant_id: UUID | None,
        identifier: UUID,
        field: str,
        keep_until: datetime,
        context: ChangeContext,
        answer: Callable[[Stored], T],
    ) -> T:
        """A fresh secret, in `revealed`; see UnitOfWork.rotate."""

        async def work(unit: UnitOfWork) -> T:
            return answer(await unit.rotate(resource, identifier, field, keep_until))

        return await self.write(_owner(resource, tenant_id), context, work)


def _owner(resource: Resource, tenant_id: UUID | None) -> UUID | None:
    return tenant_id if resource.scope == "tenant" else None
