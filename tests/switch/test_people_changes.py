"""Changes of keys and users are told to every instance, though calls are not routed by them."""

from __future__ import annotations

import pytest

from nizam.kv.single import SingleRedis
from nizam.model.registry import resource
from nizam.store.store import Store
from tests.switch.test_snapshots import (
    WHO,
    Follower,
    create,
    key_value,
    pool,
    store,
    tenant,
    until,
)

__all__ = ["key_value", "pool", "store"]


@pytest.mark.parametrize("owned", [True, False])
async def test_a_revoked_key_and_a_deleted_user_are_heard_of(
    store: Store,
    key_value: SingleRedis,
    owned: bool,
) -> None:
    tenant_id = await tenant(store, "acme") if owned else None
    role = "agent" if owned else "platform_admin"
    member = {"tenant_id": tenant_id, "role": role}
    user = await create(store, "user", None, email="a@example.com", name="A", memberships=[member])
    key = await create(store, "api_key", None, name="k", scopes=["*"], tenant_id=tenant_id)
    follower = await Follower(store, key_value).start()
    await store.delete(resource("api_key"), None, key, WHO)
    await until(lambda: ("api_key", tenant_id, key, "deleted") in follower.changes)
    await store.delete(resource("user"), None, user, WHO)
    await until(lambda: ("user", tenant_id, user, "deleted") in follower.changes)
    await follower.stop()
