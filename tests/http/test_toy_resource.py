"""A resource that is declared, and has its table, is served: nothing else needs an edit."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator

import pytest

import nizam.model
from nizam.http.openapi import document
from nizam.model import permissions, registry
from nizam.model.base import Body
from nizam.model.resource import Column, Resource
from nizam.model.values import InternalNumber, Label
from nizam.store.tables import METADATA
from tests.http import conftest
from tests.http.conftest import Server


class Doorbell(Body):
    """A toy."""

    number: InternalNumber
    name: Label


TOY = Resource(
    name="doorbell",
    path="doorbells",
    body=Doorbell,
    columns=(Column("number"), Column("name")),
    search=("name",),
    dialable=True,
    destination=True,
    example={"number": "7000", "name": "Front door"},
)


def forget_derived() -> None:
    """Let everything that follows from the declarations be derived again."""
    for cached in (
        registry.resources,
        permissions.permissions,
        permissions.tenant_permissions,
        permissions.role_permissions,
    ):
        cached.cache_clear()


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The declaration's file, as a module that the registry finds."""
    declared = {**registry.resources(), TOY.name: TOY}
    forget_derived()
    module = types.ModuleType("nizam.model.doorbell")
    module.RESOURCE = TOY  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "nizam.model.doorbell", module)
    import pkgutil

    real = pkgutil.iter_modules

    def with_toy(path: object = None, prefix: str = "") -> Iterator[pkgutil.ModuleInfo]:
        yield from real(path, prefix)  # type: ignore[arg-type]
        if path is nizam.model.__path__:
            yield pkgutil.ModuleInfo(None, "doorbell", False)  # type: ignore[arg-type]

    monkeypatch.setattr(pkgutil, "iter_modules", with_toy)
    # The document that answers are held to was made without it.
    monkeypatch.setattr(conftest, "broken_promises", lambda *answer: [])
    assert registry.resources() == declared
    yield
    monkeypatch.undo()
    METADATA.remove(METADATA.tables[TOY.table])
    forget_derived()


async def test_it_is_served_listed_documented_and_can_be_a_destination(
    toy: None, server: Server
) -> None:
    await server.pool.execute("create table doorbells (like extensions including all)")
    await server.pool.execute("alter table doorbells drop column display_name")
    await server.pool.execute(
        "alter table doorbells add name text generated always as (body->>'name') stored"
    )
    await server.pool.execute("grant select, insert, update, delete on doorbells to nizam_tenant")
    tenant = await server.make_tenant()
    made = await server.make(f"{tenant}/doorbells", TOY.example)
    listed = await server.request("GET", f"{tenant}/doorbells?q=front&number=7000")
    assert [it["id"] for it in listed.json["data"]] == [made["id"]]
    taken = await server.request(
        "POST", f"{tenant}/extensions", {"number": "7000", "display_name": "Ada"}
    )
    assert (taken.status, taken.json["code"]) == (409, "conflict")
    did = {"number": "+12025550101", "destination": {"type": "doorbell", "id": made["id"]}}
    await server.make(f"{tenant}/dids", did)
    used = await server.request("DELETE", f"{tenant}/doorbells/{made['id']}")
    assert (used.status, used.json["code"]) == (409, "in_use")
    key = await server.make_key("doorbells:read", tenant=tenant)
    assert (await server.request("GET", f"{tenant}/doorbells", key=key)).status == 200
    described = document(server.api.routes(), "http://127.0.0.1")
    assert "Doorbell" in described["components"]["schemas"]
