"""Of every call that was made, NIZAM can say afterwards why it went where it went."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest

from nizam.routing.explain import NO_CALL
from tests.daemon.site import Site

pytestmark = pytest.mark.time_limit(60)

CHANCE = ("ring_group",)
"""What is shuffled for each call."""


async def test_past_calls_are_explained_as_a_dry_run_explains_them(site: Site) -> None:
    await site.call_for(3.0)
    assert await site.settled() == []
    calls = {it.call_id for it in site.switch.truth.calls}
    assert calls
    compared = 0
    for call_id in calls:
        past = await _asked(site, "GET", f"calls/{call_id}/explain")
        first = past["decisions"][0]
        assert first["node"] == "fs1"
        assert first["revision"]
        for decision in past["decisions"]:
            root = ElementTree.fromstring(decision["xml"])  # noqa: S314 - our own answer
            assert root.tag == "document"
            assert decision["trace"]
        if _is_chance(first):
            continue
        dry = await _dry_run(site, first)
        assert dry["trace"] == first["trace"]
        assert dry["xml"].replace(NO_CALL, call_id) == first["xml"]
        compared += 1
    assert compared


def _is_chance(decision: dict[str, Any]) -> bool:
    named = [it["resource"] and it["resource"]["type"] for it in decision["trace"]]
    return any(it in CHANCE for it in named)


async def _dry_run(site: Site, decision: dict[str, Any]) -> dict[str, Any]:
    asked: dict[str, Any] = {
        "from": decision["from"],
        "to": decision["to"],
        "context": "public" if decision["context"] == "public" else "internal",
        "at": decision["decided_at"],
    }
    return await _asked(site, "POST", "routing/explain", asked)


async def _asked(site: Site, method: str, path: str, body: Any = None) -> dict[str, Any]:
    found: dict[str, Any] = await site.api.request(
        method, f"/api/v1/tenants/{site.tenant_id}/{path}", body
    )
    return found
