"""Roles are sets of permissions; what nothing gives is refused."""

from __future__ import annotations

import pytest

from nizam.model.permissions import (
    ROLES,
    expand,
    is_scope,
    permissions,
    role_permissions,
    roles_with,
    tenant_permissions,
)
from nizam.model.registry import resources


def test_the_platforms_administrator_has_everything_and_a_tenants_only_what_is_a_tenants() -> None:
    assert role_permissions("platform_admin") == permissions()
    assert role_permissions("tenant_admin") == tenant_permissions() < permissions()


@pytest.mark.parametrize(
    "permission", ["tenants:write", "switch_nodes:read", "sip_profiles:write", "acls:write"]
)
def test_what_is_the_platforms_is_in_no_tenants_role(permission: str) -> None:
    assert roles_with(permission) == ("platform_admin",)


@pytest.mark.parametrize("role", ["supervisor", "agent", "read_only"])
def test_no_role_has_more_than_the_administrator_of_the_tenant(role: str) -> None:
    assert set(ROLES) >= {role}
    held = role_permissions(role)
    assert held < role_permissions("tenant_admin")
    assert not any(it.endswith(":reveal") for it in held)
    assert not held & {"users:write", "api_keys:write", "webhooks:write"}


def test_who_only_reads_writes_nothing() -> None:
    for role in ("read_only", "agent"):
        assert not any(it.endswith(":write") for it in role_permissions(role))


def test_every_resource_of_a_tenant_is_the_administrators_and_readable_to_who_only_reads() -> None:
    for it in resources().values():
        if it.scope == "tenant":
            assert f"{it.table}:write" in role_permissions("tenant_admin")
            assert f"{it.table}:read" in role_permissions("read_only")


def test_a_one_way_secret_cannot_be_revealed() -> None:
    assert "users:reveal" not in permissions()
    assert "extensions:reveal" in permissions()


@pytest.mark.parametrize(
    ("scopes", "of_tenant", "has", "lacks"),
    [
        (["*"], False, "switch_nodes:write", None),
        (["*"], True, "extensions:write", "switch_nodes:write"),
        (["extensions:*"], True, "extensions:reveal", "dids:read"),
        (["extensions:read"], True, "extensions:read", "extensions:write"),
        (["switch_nodes:read"], True, None, "switch_nodes:read"),
    ],
)
def test_scopes_stand_for_permissions(
    scopes: list[str], of_tenant: bool, has: str | None, lacks: str | None
) -> None:
    found = expand(scopes, of_tenant=of_tenant)
    assert has is None or has in found
    assert lacks not in found


@pytest.mark.parametrize(
    ("text", "valid"),
    [("*", True), ("dids:*", True), ("dids:read", True), ("dids:eat", False), ("x:*", False)],
)
def test_a_scope_names_something_that_there_is(text: str, valid: bool) -> None:
    assert is_scope(text) is valid
