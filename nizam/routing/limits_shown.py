"""The limits that are set on the calls of a tenant, for people to see how high they stand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

import attrs

from nizam.model.extension import Extension
from nizam.model.gateway import Gateway
from nizam.model.outbound_route import OutboundRoute
from nizam.routing.facts import Limit
from nizam.routing.limits import WHAT, of_extension, of_tenant
from nizam.routing.rows import Entry
from nizam.routing.snapshot import TenantView
from nizam.routing.time import day_of
from nizam.routing.toll_fraud import caps, velocity

_OF: Final = {"": "", "outside": " to numbers outside", "costly": " abroad or to premium numbers"}


@attrs.frozen
class Shown:
    """A limit, and the name of whose it is."""

    limit: Limit
    name: str

    @property
    def what(self) -> str:
        """What it counts, in words."""
        return f"{WHAT[self.limit.kind]}{_OF[self.limit.of]}"


def limits_of(view: TenantView, now: datetime) -> Iterator[Shown]:
    """Those of the tenant itself, its routes and its gateways."""
    tenant = view.tenant
    day = day_of(now, view.tenant.time_zone)
    yield from _set(of_tenant(view.id, tenant.quotas, day), tenant.name)
    yield from _set(caps("tenant", view.id, tenant.dialling.caps, day, costly=True), tenant.name)
    yield from _set(velocity("tenant", view.id, tenant.dialling.velocity, ""), tenant.name)
    for route in view.all(OutboundRoute):
        most = route.body.max_channels
        yield from _set([Limit("concurrent", "route", route.id, most)], route.body.name)
    for gateway in view.all(Gateway):
        most = gateway.body.max_channels
        yield from _set([Limit("concurrent", "gateway", gateway.id, most)], gateway.body.name)


def limits_of_extension(
    view: TenantView, entry: Entry[Extension], now: datetime
) -> Iterator[Shown]:
    """Those of one extension."""
    extension, policy = entry.body, view.tenant.dialling
    day = day_of(now, view.tenant.time_zone)
    yield from _set([of_extension(entry)], extension.number)
    own = caps("extension", entry.id, extension.outside_caps, day, costly=True)
    yield from _set(own, extension.number)
    yield from _set(velocity("extension", entry.id, policy.velocity, ""), extension.number)


def _set(limits: Iterable[Limit], name: str) -> Iterator[Shown]:
    return (Shown(it, name) for it in limits if it.most)
