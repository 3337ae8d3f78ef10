"""Whose the things are that a switch names: domains, numbers, gateways."""

from __future__ import annotations

from uuid import UUID

import attrs

from nizam.model.gateway import Gateway
from nizam.routing.snapshot import Snapshot
from nizam.switch.live_index import Document


@attrs.frozen
class Owners:
    """Looks things up among all tenants, as the snapshot holds them at the moment of asking."""

    snapshot: Snapshot

    def of_domain(self, domain: str) -> UUID | None:
        """The tenant that has this SIP domain."""
        tenant = self.snapshot.tenant_by_domain(domain)
        return None if tenant is None else tenant.id

    def extension(self, tenant_id: UUID, number: str) -> UUID | None:
        """The tenant's extension with this number."""
        tenant = self.snapshot.tenant(tenant_id)
        found = None if tenant is None else tenant.by_number(number)
        return found.id if found is not None and found.resource == "extension" else None

    def of_gateway(self, name: str) -> UUID | None:
        """The tenant that has the gateway; FreeSWITCH knows gateways by their ids."""
        identifier = _identifier(name)
        tenant = None if identifier is None else self.snapshot.owner_of("gateway", identifier)
        return None if tenant is None else tenant.id

    def gateway_name(self, state: Document) -> str:
        """What its tenant calls a gateway of the live state; the switch's name for it if it is
        nobody's any more."""
        name = str(state["gateway"])
        identifier, owner = _identifier(name), _identifier(state.get("tenant_id") or "")
        tenant = None if owner is None else self.snapshot.tenant(owner)
        if tenant is None or identifier is None:
            return name
        found = tenant.get(Gateway, identifier)
        return name if found is None else found.body.name


def _identifier(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
