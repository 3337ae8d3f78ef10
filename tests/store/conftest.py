"""A store over a database of the test's own, with a tenant in it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import attrs
import pytest
import pytest_twisted
from twisted.internet import reactor

from nizam.model.registry import resource
from nizam.settings import SecretKey
from nizam.store.context import ChangeContext
from nizam.store.pool import Pool
from nizam.store.secrets import SecretBox
from nizam.store.store import Store
from nizam.store.stored import Stored

WHO = ChangeContext(actor_type="api_key", actor_name="tests", address="192.0.2.1", request_id="r1")
BOX = SecretBox([SecretKey("k1", bytes(range(32)))])


@pytest_twisted.async_yield_fixture
async def pool(database: str) -> AsyncIterator[Pool]:
    made = Pool(reactor, database, size=3, name="test")
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
def store(pool: Pool) -> Store:
    return Store(pool, BOX, environment="test")


@attrs.frozen
class Workshop:
    """Makes and changes objects of one tenant from plain JSON values."""

    store: Store
    tenant_id: UUID

    async def create(self, kind: str, /, **fields: Any) -> Stored:
        it = resource(kind)
        body = it.body.model_validate(fields)
        return await self.store.create(it, self.tenant_id, body, WHO, lambda made: made)

    async def change(
        self,
        kind: str,
        identifier: UUID,
        /,
        *,
        versions: frozenset[int] | None = None,
        **fields: Any,
    ) -> Stored:
        it = resource(kind)
        return await self.store.update(
            it,
            self.tenant_id,
            identifier,
            lambda present: it.body.model_validate({**present.body, **fields}),
            WHO,
            versions=versions,
        )

    async def delete(self, name: str, identifier: UUID) -> None:
        await self.store.delete(resource(name), self.tenant_id, identifier, WHO)

    async def get(self, name: str, identifier: UUID) -> Stored:
        return await self.store.get(resource(name), self.tenant_id, identifier)


async def make_tenant(store: Store, slug: str, **fields: Any) -> Workshop:
    tenant = resource("tenant")
    body = tenant.body.model_validate(
        {"name": slug.title(), "slug": slug, "domain": f"{slug}.example.test", **fields}
    )
    made = await store.create(tenant, None, body, WHO, lambda it: it)
    return Workshop(store, made.id)


@pytest_twisted.async_yield_fixture
async def acme(store: Store) -> AsyncIterator[Workshop]:
    yield await make_tenant(store, "acme")


@pytest_twisted.async_yield_fixture
async def rival(store: Store) -> AsyncIterator[Workshop]:
    yield await make_tenant(store, "rival")
