"""Whoever changes something is known, with the tenant, to whatever is read afterwards."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from typing import Any
from uuid import UUID

import attrs
import pytest

from nizam.store.positions import owners_asking
from nizam.store.store import Store
from tests.http.conftest import Server


@attrs.define
class Noted:
    """For whom was read, and who changed something."""

    read: list[frozenset[UUID]] = attrs.field(factory=list)
    changed: list[frozenset[UUID]] = attrs.field(factory=list)


@pytest.fixture
def noted(monkeypatch: pytest.MonkeyPatch) -> Noted:
    seen = Noted()
    read, changing = Store.read, Store.changing

    async def note_read(self: Store, work: Any) -> Any:
        seen.read.append(owners_asking())
        return await read(self, work)

    async def note_change(self: Store, owners: Iterable[UUID], work: Awaitable[Any]) -> Any:
        seen.changed.append(frozenset(owners))
        return await changing(self, owners, work)

    monkeypatch.setattr(Store, "read", note_read)
    monkeypatch.setattr(Store, "changing", note_change)
    return seen


async def test_reads_and_changes_of_a_request_are_those_of_its_key_and_tenant(
    server: Server, noted: Noted
) -> None:
    tenant = await server.make_tenant()
    made = await server.make(
        "/api/v1/api-keys",
        {
            "name": "k",
            "scopes": ["extensions:read", "extensions:write", "cdrs:read"],
            "tenant_id": tenant[-36:],
        },
    )
    key = UUID(made["id"])
    noted.changed.clear()
    await server.make(
        f"{tenant}/extensions", {"number": "1001", "display_name": "A"}, key=made["key"]
    )
    await server.request("DELETE", f"{tenant}/extensions/{key}", key=made["key"])
    both = frozenset({key, server.tenant_id(tenant)})
    assert noted.changed == [both, both]

    noted.read.clear()
    for path in ("extensions", "cdrs", "cdrs/export?format=csv"):
        answer = await server.request("GET", f"{tenant}/{path}", key=made["key"])
        assert answer.status == 200, answer.body
    assert noted.read == [both] * 3
    assert owners_asking() == frozenset()


async def test_the_platform_has_its_key_alone_and_nobody_has_nothing(
    server: Server, noted: Noted
) -> None:
    await server.make_tenant()
    answer = await server.request("GET", "/api/v1/tenants")
    assert answer.status == 200
    (made,), (read,) = noted.changed, noted.read
    assert made == read
    assert len(made) == 1
    await server.request("POST", "/api/v1/auth/login", {"email": "a@b.example"}, key=None)
    assert noted.changed[1:] in ([], [frozenset()])
