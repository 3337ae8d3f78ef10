"""Two tenants that have the same numbers, made through the API, and the scenery of their calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs

from nizam.dev.demo import Api
from nizam.sim.settings import Dialable, Durations, Scenery, User

NUMBERS: Final = ("1001", "1002", "1003")
RING_GROUP, IVR = "2000", "5000"
ATTEMPTS: Final = tuple([1, 1] + [2] * 18)
"""Seconds between attempts of webhooks: endpoints are away for seconds, not for hours."""
ANSWER_SECONDS: Final = 2


@attrs.frozen
class Tenant:
    """One of them. `endpoints` are its webhooks by the last segment of their address, and whether
    they are told of each call in order; its DID is in E.164."""

    slug: str
    did: str
    endpoints: Mapping[str, bool]
    id: str = ""

    @property
    def domain(self) -> str:
        """Its SIP domain."""
        return f"{self.slug}.example.test"

    def password(self, number: str) -> str:
        """The SIP password of one of its extensions."""
        return f"{self.slug}-{number}-pw"


ACME: Final = Tenant("acme", "+12025550101", {"acme-plain": False, "acme-ordered": True})
GLOBEX: Final = Tenant("globex", "+12025550202", {"globex-plain": False, "globex-ordered": True})


def scenery(tenants: Sequence[Tenant], pace: float, durations: Durations) -> Scenery:
    """What the calls are made of."""
    return Scenery(
        users=tuple(
            User(number, it.domain, it.password(number), f"{it.slug} {number}")
            for it in tenants
            for number in NUMBERS
        ),
        dids=tuple(it.did.removeprefix("+") for it in tenants),
        ring_groups=tuple(Dialable(RING_GROUP, it.domain) for it in tenants),
        ivrs=tuple(Dialable(IVR, it.domain, digits=("1",)) for it in tenants),
        outside_numbers=(),
        pace=pace,
        durations=durations,
    )


async def make(api: Api, tenant: Tenant, address: str, secret: str) -> Tenant:
    """Make the tenant with all that it has; webhooks go to `address` and their name."""
    made = await api.request(
        "POST",
        "/api/v1/tenants",
        {"name": tenant.slug, "slug": tenant.slug, "domain": tenant.domain, "country": "US"},
    )
    base = f"/api/v1/tenants/{made['id']}"
    await api.request("POST", f"{base}/activate")

    async def created(path: str, body: Mapping[str, Any]) -> str:
        return str((await api.request("POST", f"{base}/{path}", body))["id"])

    extensions = {
        number: await created("extensions", _extension(tenant, number)) for number in NUMBERS
    }
    group = await created(
        "ring-groups",
        {
            "number": RING_GROUP,
            "name": "Everybody",
            "members": [{"extension_id": it} for it in extensions.values()],
            "ring_seconds": 20,
            "fallback": {"type": "voicemail", "id": extensions["1001"]},
        },
    )
    to_group = {"type": "ring_group", "id": group}
    await created(
        "ivrs",
        {
            "number": IVR,
            "name": "Menu",
            "greeting_long": "ivr/ivr-welcome.wav",
            "digit_length": 1,
            "entries": [
                {"digits": "1", "destination": {"type": "extension", "id": extensions["1001"]}}
            ],
            "timeout_destination": to_group,
        },
    )
    await created("dids", {"number": tenant.did, "label": "Main", "destination": to_group})
    for name, ordered in tenant.endpoints.items():
        await created(
            "webhooks",
            {
                "url": address + name,
                "event_types": ["*"],
                "secret": secret,
                "ordered": ordered,
                "timeout_seconds": ANSWER_SECONDS,
                "retry_schedule_seconds": list(ATTEMPTS),
            },
        )
    return attrs.evolve(tenant, id=str(made["id"]))


def _extension(tenant: Tenant, number: str) -> dict[str, Any]:
    return {
        "number": number,
        "display_name": f"{tenant.slug} {number}",
        "sip_password": tenant.password(number),
        "voicemail": {"enabled": True, "pin": "4711"},
        "ring_seconds": 20,
    }
