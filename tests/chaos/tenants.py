"""Two tenants that have the same numbers, made through the API, and the scenery of their calls."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final
from uuid import uuid4

import attrs
import treq

from nizam.dev.demo import Api
from nizam.model.event_types import CALL_EVENT_TYPES
from nizam.sim.settings import Dialable, Durations, Scenery, User

NUMBERS: Final = ("1001", "1002", "1003")
RING_GROUP, IVR = "2000", "5000"
ATTEMPTS: Final = tuple([1, 1] + [2] * 18)
"""Seconds between attempts of webhooks: endpoints are away for seconds, not for hours."""
ANSWER_SECONDS: Final = 2
PATIENCE: Final = 10


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


async def make(
    api: Api, tenant: Tenant, address: str, secret: str, untold: Collection[str] = ()
) -> Tenant:
    """Make the tenant with all that it has; webhooks go to `address` and their name.

    They are told of everything, or of every type but those in `untold`.
    """
    told = sorted(CALL_EVENT_TYPES - set(untold)) if untold else []
    told += ["extension.*", "voicemail.*", "registration.*", "recording.*"] if untold else ["*"]
    tenant_id = await _post(
        api,
        "/api/v1/tenants",
        {"name": tenant.slug, "slug": tenant.slug, "domain": tenant.domain, "country": "US"},
    )
    base = f"/api/v1/tenants/{tenant_id}"
    await _post(api, f"{base}/activate")

    async def created(path: str, body: Mapping[str, Any]) -> str:
        return await _post(api, f"{base}/{path}", body)

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
                "event_types": told,
                "secret": secret,
                "ordered": ordered,
                "timeout_seconds": ANSWER_SECONDS,
                "retry_schedule_seconds": list(ATTEMPTS),
            },
        )
    return attrs.evolve(tenant, id=tenant_id)


async def _post(api: Api, path: str, body: Mapping[str, Any] | None = None) -> str:
    """Have something made, once, however busy the machine is; its id."""
    headers: dict[bytes | str, bytes | str] = {
        "Authorization": f"Bearer {api.key}",
        "Idempotency-Key": str(uuid4()),
    }
    for last in (False,) * PATIENCE + (True,):
        response = await treq.post(
            api.base + path,
            json=body or {},
            headers=headers,
            agent=api.agent,
            timeout=10,
        )
        document = await response.json()
        if response.code < 300:
            return str(document["id"])
        if response.code != 503 or last:
            raise AssertionError(f"POST {path} was answered {response.code}: {document}")
    raise AssertionError


def _extension(tenant: Tenant, number: str) -> dict[str, Any]:
    return {
        "number": number,
        "display_name": f"{tenant.slug} {number}",
        "sip_password": tenant.password(number),
        "voicemail": {"enabled": True, "pin": "4711"},
        "ring_seconds": 20,
    }
