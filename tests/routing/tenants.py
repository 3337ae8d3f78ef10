"""A snapshot with the two tenants of the recordings, acme and globex, that tests route calls in."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import orjson

from nizam.model.feature_code import DEFAULTS
from nizam.model.registry import resource
from nizam.routing.decide import decide
from nizam.routing.decision import Decision
from nizam.routing.facts import NO_FACTS, Facts
from nizam.routing.plan import Plan, Step
from nizam.routing.request import CallRequest
from nizam.routing.rows import Row
from nizam.routing.snapshot import Snapshot
from nizam.settings.values import SipSettings

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)  # a Tuesday
CALL = "f1ce7d5b-bfdb-4635-8f61-2ebffbfe2240"
SPACE = UUID("01937a5e-0000-7000-8000-000000000000")

MEDIA_ROOT = Path("/srv/media")
SIP = SipSettings(None, 5060, None, 5080, None, None)

ACME = "acme.example.test"
GLOBEX = "globex.example.test"


def identifier(name: str) -> UUID:
    """The id of the object called `name`, such as `acme/1001`."""
    return uuid5(SPACE, name)


def reveal(encrypted: str, resource_name: str, object_id: UUID, field: str) -> str:
    """Stands in for decryption: the tests' secrets are stored as `sealed:` and the secret."""
    return encrypted.removeprefix("sealed:")


class Tenants:
    """Builds a snapshot object by object; `put` again changes the object."""

    def __init__(self) -> None:
        self.snapshot = Snapshot(MEDIA_ROOT)
        self._version = 0

    def put(
        self,
        kind: str,
        name: str,
        body: Mapping[str, Any],
        secrets: Mapping[str, str] | None = None,
    ) -> UUID:
        """Put an object called `TENANT/WORD` (or `WORD` on the platform); its body is validated."""
        self._version += 1
        tenant = name.partition("/")[0] if "/" in name and kind != "tenant" else None
        declared = resource(kind)
        valid = declared.body.model_validate(body)
        given = {it.field: it.of(valid) for it in declared.secrets} | dict(secrets or {})
        sealed = {field: f"sealed:{secret}" for field, secret in given.items() if secret}
        self.snapshot.put(
            Row(
                kind,
                identifier(name),
                None if tenant is None else identifier(tenant),
                self._version,
                orjson.dumps(declared.public(valid)),
                orjson.dumps(sealed),
            )
        )
        if tenant is not None:
            self.snapshot.set_revision(identifier(tenant), self._version)
        return identifier(name)

    def tenant(self, slug: str, **changes: Any) -> UUID:
        """Put a tenant, active and in the United States unless `changes` say otherwise."""
        made = self.put(
            "tenant",
            slug,
            {
                "name": slug.title(),
                "slug": slug,
                "domain": f"{slug}.example.test",
                "status": "active",
                "country": "US",
                "time_zone": "America/New_York",
            }
            | changes,
        )
        for code, feature in DEFAULTS:
            self.put("feature_code", f"{slug}/{code}", {"code": code, "feature": feature})
        return made

    def extension(self, name: str, **changes: Any) -> UUID:
        """Put the extension `TENANT/NUMBER` with the password of the recordings."""
        slug, number = name.split("/")
        body = {"number": number, "display_name": f"{slug.title()} {number}"} | changes
        return self.put("extension", name, body, {"sip_password": f"{slug}-{number}-pw"})

    def decide(
        self,
        request: CallRequest,
        now: datetime = NOON,
        seed: int = 1,
        facts: Facts = NO_FACTS,
    ) -> Decision:
        """The decision for `request`."""
        return decide(self.snapshot, request, now, random.Random(seed), facts)

    def dial(self, number: str, by: str | None = "1001", **fields: Any) -> Decision:
        """The decision for a call inside acme, by an extension or by somebody from outside."""
        now = fields.pop("now", NOON)
        seed = fields.pop("seed", 1)
        domain = fields.pop("domain", ACME)
        facts = fields.pop("facts", NO_FACTS)
        request = CallRequest(
            context=domain, destination=number, unique_id=CALL, caller_extension=by, **fields
        )
        return self.decide(request, now, seed, facts)

    def arrive(self, number: str, now: datetime = NOON, **fields: Any) -> Decision:
        """The decision for a call from outside to a public number."""
        request = CallRequest(
            context="public",
            destination=number,
            unique_id=CALL,
            caller_number="13105550999",
            caller_name="User 13105550999",
            **fields,
        )
        return self.decide(request, now)


def to(kind: str, name: str) -> dict[str, str]:
    """A destination: an object by its name."""
    return {"type": kind, "id": str(identifier(name))}


def recorded_tenants() -> Tenants:
    """acme and globex with what the recordings call: phones, DIDs, a group, menus, a carrier."""
    tenants = Tenants()
    for slug, did in (("acme", "+12025550101"), ("globex", "+12025550201")):
        tenants.tenant(slug)
        for number in ("1001", "1002", "1003"):
            tenants.extension(
                f"{slug}/{number}",
                voicemail={"enabled": True, "pin": "4711"},
                ring_seconds=20,
                pickup_group="sales",
            )
        tenants.put(
            "did",
            f"{slug}/did",
            {"number": did, "destination": to("extension", f"{slug}/1001")},
        )
    tenants.put(
        "did",
        "acme/did2",
        {"number": "+12025550102", "destination": to("ring_group", "acme/2000")},
    )
    tenants.put(
        "ring_group",
        "acme/2000",
        {
            "number": "2000",
            "name": "Everybody",
            "ring_seconds": 20,
            "members": [{"extension_id": str(identifier(f"acme/{it}"))} for it in ("1001", "1002")],
            "fallback": to("voicemail", "acme/1003"),
        },
    )
    tenants.put(
        "ivr",
        "acme/5000",
        {
            "number": "5000",
            "name": "Main",
            "greeting_long": "ivr/ivr-welcome.wav",
            "digit_length": 4,
            "direct_dial": True,
            "entries": [
                {"digits": "1", "destination": to("extension", "acme/1002")},
                {"digits": "*", "destination": {"type": "external", "number": "+12025550777"}},
            ],
            "timeout_destination": to("ring_group", "acme/2000"),
            "invalid_destination": {"type": "hangup", "cause": "USER_BUSY"},
        },
    )
    for carrier, host in (("one", "192.0.2.10"), ("two", "carrier.example.test")):
        tenants.put(
            "gateway",
            f"acme/{carrier}",
            {"name": carrier, "host": host, "port": 5070, "username": "ten_acme"},
            {"password": "s3cret"},
        )
    tenants.put(
        "outbound_route",
        "acme/national",
        {
            "name": "National",
            "patterns": ["+1NXXNXXXXXX"],
            "gateways": [
                {"gateway_id": str(identifier("acme/one")), "order": 1},
                {"gateway_id": str(identifier("acme/two")), "order": 2},
            ],
        },
    )
    tenants.put(
        "switch_node",
        "fs1",
        {"name": "fs1", "esl_host": "10.0.0.5", "xml_username": "fs1"},
        {"xml_password": "s3cret"},
    )
    return tenants


def steps(plan: Plan, kind: type[Any]) -> list[Any]:
    """The steps of one kind."""
    return [step for step in plan if isinstance(step, kind)]


def last(decision: Decision) -> Step:
    """The last step of the plan."""
    return decision.plan[-1]
