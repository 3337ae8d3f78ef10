"""The demo tenant: what it consists of, and making it through the API where it is not there yet."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import attrs
import treq
from twisted.web.iweb import IAgent

from nizam.errors import InternalError
from nizam.sim.settings import Dialable, Scenery, User

DOMAIN = "acme.example.test"
EXTENSIONS = {"1001": "Ada Lovelace", "1002": "Grace Hopper", "1003": "Karen Jones"}
DID = "+12025550101"
RING_GROUP = "2000"
IVR = "5000"
USER_EMAIL = f"admin@{DOMAIN}"
_ANSWER_SECONDS = 10.0


def sip_password(number: str) -> str:
    """The demo's SIP passwords are known to everybody: it is reached from this machine only."""
    return f"acme-{number}-pw"


def scenery() -> Scenery:
    """What the simulated switch's calls are made of."""
    return Scenery(
        users=tuple(
            User(number, DOMAIN, sip_password(number), name) for number, name in EXTENSIONS.items()
        ),
        dids=(DID.removeprefix("+"),),
        ring_groups=(Dialable(RING_GROUP, DOMAIN),),
        ivrs=(Dialable(IVR, DOMAIN, digits=("1",)),),
        outside_numbers=(),
    )


def tenant_body() -> dict[str, Any]:
    return {
        "name": "Acme Inc",
        "slug": "acme",
        "domain": DOMAIN,
        "time_zone": "America/New_York",
        "country": "US",
    }


def extension_body(number: str) -> dict[str, Any]:
    return {
        "number": number,
        "display_name": EXTENSIONS[number],
        "sip_password": sip_password(number),
        "voicemail": {"enabled": True, "pin": "4711"},
        "ring_seconds": 20,
    }


def ring_group_body(extension_ids: Mapping[str, str]) -> dict[str, Any]:
    return {
        "number": RING_GROUP,
        "name": "Everybody",
        "members": [{"extension_id": extension_ids[number]} for number in EXTENSIONS],
        "ring_seconds": 20,
        "fallback": {"type": "voicemail", "id": extension_ids["1001"]},
    }


def ivr_body(extension_ids: Mapping[str, str], ring_group_id: str) -> dict[str, Any]:
    return {
        "number": IVR,
        "name": "Main menu",
        "greeting_long": "ivr/ivr-welcome.wav",
        "digit_length": 1,
        "entries": [
            {"digits": "1", "destination": {"type": "extension", "id": extension_ids["1001"]}},
            {"digits": "2", "destination": {"type": "ring_group", "id": ring_group_id}},
        ],
        "timeout_destination": {"type": "ring_group", "id": ring_group_id},
    }


def did_body(ring_group_id: str) -> dict[str, Any]:
    return {
        "number": DID,
        "label": "Main line",
        "destination": {"type": "ring_group", "id": ring_group_id},
    }


def webhook_body(url: str, secret: str) -> dict[str, Any]:
    return {
        "url": url,
        "description": "The receiver of nizam dev",
        "event_types": ["*"],
        "secret": secret,
    }


def user_body(tenant_id: str, password: str) -> dict[str, Any]:
    return {
        "email": USER_EMAIL,
        "name": "Acme's administrator",
        "password": password,
        "memberships": [{"tenant_id": tenant_id, "role": "tenant_admin"}],
    }


@attrs.frozen
class Api:
    """The few requests to the API that the demo needs; `base` has no trailing slash."""

    agent: IAgent
    reactor: Any
    base: str
    key: str

    async def request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        **filters: str,
    ) -> Any:
        """The answer's JSON, None for an empty one; InternalError with its text if refused."""
        headers: dict[bytes | str, bytes | str] = {"Authorization": f"Bearer {self.key}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        response = await treq.request(
            method,
            f"{self.base}{path}",
            params=filters,
            data=None if body is None else json.dumps(body).encode(),
            headers=headers,
            agent=self.agent,
            timeout=_ANSWER_SECONDS,
        )
        content = await response.content().addTimeout(_ANSWER_SECONDS, self.reactor)
        if response.code >= 400:
            text = content.decode(errors="replace")
            raise InternalError(f"{method} {path} was answered {response.code}: {text}")
        return json.loads(content) if content else None

    async def ensure(self, path: str, field: str, body: Mapping[str, Any]) -> str:
        """The id of the object at `path` whose `field` is as in `body`; made if there is none."""
        found = (await self.request("GET", path, **{field: body[field]}))["data"]
        made = found[0] if found else await self.request("POST", path, body)
        identifier: str = made["id"]
        return identifier


async def prepare_demo(api: Api, receiver_url: str, webhook_secret: str) -> str:
    """Make whatever of the demo tenant is missing; its id.

    What is there stays as it is, except the webhook's address, which follows the receiver's.
    """
    tenant_id = await api.ensure("/api/v1/tenants", "domain", tenant_body())
    tenant = f"/api/v1/tenants/{tenant_id}"
    if (await api.request("GET", tenant))["status"] == "trial":
        await api.request("POST", f"{tenant}/activate")
    extension_ids = {
        number: await api.ensure(f"{tenant}/extensions", "number", extension_body(number))
        for number in EXTENSIONS
    }
    ring_group_id = await api.ensure(
        f"{tenant}/ring-groups", "number", ring_group_body(extension_ids)
    )
    await api.ensure(f"{tenant}/ivrs", "number", ivr_body(extension_ids, ring_group_id))
    await api.ensure(f"{tenant}/dids", "number", did_body(ring_group_id))
    await _follow_receiver(api, f"{tenant}/webhooks", webhook_body(receiver_url, webhook_secret))
    return tenant_id


async def prepare_user(api: Api, tenant_id: str, password: str) -> None:
    """Make the user who administers the demo tenant, if there is none yet."""
    await api.ensure("/api/v1/users", "email", user_body(tenant_id, password))


async def _follow_receiver(api: Api, path: str, body: Mapping[str, Any]) -> None:
    hooks = (await api.request("GET", path))["data"]
    ours = [hook for hook in hooks if hook["description"] == body["description"]]
    if not ours:
        await api.request("POST", path, body)
    elif ours[0]["url"] != body["url"]:
        await api.request("PATCH", f"{path}/{ours[0]['id']}", {"url": body["url"]})
