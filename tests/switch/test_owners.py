"""Whose the things are that a switch names, and of nobody's nothing is said."""

from __future__ import annotations

import pytest

from nizam.switch.owners import Owners
from tests.routing.tenants import Tenants, identifier

GATEWAY = {"name": "Carrier", "host": "sip.carrier.example"}


@pytest.fixture
def tenants() -> Tenants:
    made = Tenants()
    made.tenant("acme")
    made.tenant("globex")
    made.extension("globex/1001")
    made.put("gateway", "globex/carrier", GATEWAY)
    return made


def test_a_gateway_is_its_tenants_by_the_id_that_the_switch_knows(tenants: Tenants) -> None:
    owners, gateway = Owners(tenants.snapshot), str(identifier("globex/carrier"))
    assert owners.of_gateway(gateway) == identifier("globex")
    state = {"gateway": gateway, "tenant_id": str(identifier("globex"))}
    assert owners.gateway_name(state) == "Carrier"
    tenants.snapshot.remove("gateway", identifier("globex"), identifier("globex/carrier"))
    assert owners.of_gateway(gateway) is None
    assert owners.gateway_name(state) == gateway


@pytest.mark.parametrize("name", ["", "example.com", str(identifier("globex/1001"))])
def test_what_is_no_gateway_of_a_tenant_is_nobodys(tenants: Tenants, name: str) -> None:
    owners = Owners(tenants.snapshot)
    assert owners.of_gateway(name) is None
    for tenant_id in (None, "x", str(identifier("globex"))):
        assert owners.gateway_name({"gateway": name, "tenant_id": tenant_id}) == name


def test_domains_and_numbers_are_those_of_one_tenant(tenants: Tenants) -> None:
    owners = Owners(tenants.snapshot)
    assert owners.of_domain("GLOBEX.example.test") == identifier("globex")
    assert owners.of_domain("nobody.example.test") is None
    assert owners.extension(identifier("globex"), "1001") == identifier("globex/1001")
    assert owners.extension(identifier("acme"), "1001") is None
