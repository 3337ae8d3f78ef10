"""An access control list: networks that are let in or kept out, served to FreeSWITCH by name."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from nizam.model.base import Body, Value
from nizam.model.extension import Network
from nizam.model.resource import Column, Resource, Unique

GATEWAYS = "gateways"
"""The list that NIZAM makes itself of the carriers' addresses."""

TENANTS = "tenants"
"""The list that NIZAM makes itself of the networks that extensions are limited to."""

SWITCH_NODES = "switch_nodes"
"""The list that NIZAM makes itself of the nodes' addresses."""


def _free_name(value: str) -> str:
    if value in {GATEWAYS, TENANTS, SWITCH_NODES, "none"}:
        raise ValueError("is a list that is there already")
    return value


ListName = Annotated[
    str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,62}$"), AfterValidator(_free_name)
]


class AclNode(Value):
    """One network of the list. The last one that an address is in decides."""

    action: Literal["allow", "deny"]
    """Let in or keep out."""
    cidr: Network
    """A network in CIDR notation."""


class Acl(Body):
    """A list of networks that are let in or kept out, which FreeSWITCH asks for by its name."""

    name: ListName
    """The name under which FreeSWITCH asks for the list."""
    default: Literal["allow", "deny"] = "deny"
    """What holds for an address that is in none of the networks."""
    nodes: Annotated[tuple[AclNode, ...], Field(max_length=1000)] = ()
    """The networks; the last one that an address is in decides."""


RESOURCE = Resource(
    name="acl",
    path="acls",
    body=Acl,
    scope="platform",
    columns=(Column("name"), Column("enabled", "boolean")),
    unique=(Unique(("name",), everywhere=True),),
    search=("name",),
    example={"name": "offices", "nodes": [{"action": "allow", "cidr": "198.51.100.0/24"}]},
)
