"""A switch node: one FreeSWITCH that NIZAM answers, listens to and steers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from nizam.model.base import Body
from nizam.model.resource import Column, Resource, Secret, Unique
from nizam.model.values import Host, Port, Slug

LineSecret = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[!-~]+$")]
SipAddress = Annotated[str, StringConstraints(max_length=260, pattern=r"^[A-Za-z0-9.:\[\]-]+$")]


class SwitchNode(Body):
    """A FreeSWITCH that NIZAM answers, listens to and steers. It signs in at /freeswitch/xml with
    its XML credentials."""

    name: Slug
    """Its name."""
    esl_host: Host
    """The host of its event socket."""
    esl_port: Port = 8021
    """The port of its event socket."""
    esl_password: LineSecret | None = None
    """The password of its event socket."""
    sip_address: SipAddress | None = None
    """Where phones and other nodes reach it by SIP, such as `10.0.0.5:5060`. Other nodes cannot
    dial an IPv6 address, and take its calls only if an IP address stands here."""
    xml_username: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
    """What it signs in with at /freeswitch/xml."""
    xml_password: LineSecret | None = None
    """What it signs in with; generated when it is left out."""
    weight: Annotated[int, Field(ge=0, le=1000)] = 100
    """Its share of new calls."""
    status: Literal["in_service", "draining", "out_of_service"] = "in_service"
    """Whether it takes new calls, only ends those it has, or neither."""
    tags: tuple[Slug, ...] = ()
    """Words to find it by."""


RESOURCE = Resource(
    name="switch_node",
    path="switch-nodes",
    body=SwitchNode,
    scope="platform",
    columns=(Column("name"), Column("status"), Column("xml_username")),
    unique=(Unique(("name",), everywhere=True), Unique(("xml_username",), everywhere=True)),
    secrets=(Secret("esl_password"), Secret("xml_password", "password")),
    search=("name", "esl_host"),
    example={"name": "fs1", "esl_host": "10.0.0.5", "esl_password": "...", "xml_username": "fs1"},
)
