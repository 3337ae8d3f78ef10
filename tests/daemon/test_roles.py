"""Each role in a process of its own, from the same configuration: a call from its first question to
what somebody's screen shows of it, and what a process says that is asked for what others do.

    script/rehearse tests/daemon/test_roles.py
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest
import pytest_twisted

from nizam.embedded.process import free_port
from tests.daemon.conftest import DURATIONS, PACE
from tests.daemon.process import DaemonProcess, until
from tests.daemon.site import (
    NODE,
    XML_PASSWORD,
    XML_USERNAME,
    Site,
    build_site,
    demo_scenery,
    stop_site,
)
from tests.realtime.crowd import Crowd

OTHERS = ("api", "intake", "deliver", "realtime", "scheduler")


@attrs.define
class Split:
    """The site's own process has the role `xml`; each of the others has one of `OTHERS`."""

    site: Site
    others: Mapping[str, DaemonProcess]

    def __getitem__(self, role: str) -> DaemonProcess:
        return self.site.daemon if role == "xml" else self.others[role]


@pytest_twisted.async_yield_fixture
async def split(database: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Split]:
    from twisted.internet import reactor

    # The API makes the demo tenant; xml takes the port that the switch knows when that is done.
    site = await build_site(
        reactor,
        database,
        redis_url,
        tmp_path,
        demo_scenery(PACE, DURATIONS),
        {"NIZAM_ROLES": "xml,api"},
        listens=False,
    )
    others = {it: site.daemon.another(free_port(), tmp_path / f"{it}.log") for it in OTHERS}
    site.daemon.kill()
    site.daemon.change({"NIZAM_ROLES": "xml"})
    site.daemon.start()
    for role, daemon in others.items():
        daemon.change({"NIZAM_ROLES": role})
        daemon.start()
    found = Split(site, others)
    for daemon in (site.daemon, *others.values()):
        await daemon.ready(60.0)
    yield found
    for daemon in others.values():
        daemon.kill()
    await stop_site(site)


async def asked(daemon: DaemonProcess, path: str, key: str = "") -> tuple[int, dict[str, Any]]:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    status, body = await daemon.request("GET", path, headers=headers)
    document: dict[str, Any] = json.loads(body) if body.startswith(b"{") else {}
    return status, document


def calls_ended(events: Iterable[Mapping[str, Any]]) -> set[str]:
    return {it["call_id"] for it in events if it["type"] == "call.ended"}


@pytest.mark.rehearsal
@pytest.mark.time_limit(150)
async def test_a_call_is_answered_stored_delivered_and_streamed_by_one_process_each(
    split: Split,
) -> None:
    site, key = split.site, split.site.api.key
    crowd = Crowd(site.reactor, [split["realtime"].base], key)
    crowd.come(1, 0)
    try:
        assert await until(site.reactor, lambda: crowd.listening == 1, 20.0)
        assert await until(site.reactor, lambda: len(site.switch.connections) >= 3, 20.0)
        await site.call_for(2.0, 5.0)
        wrong = await site.settled(seconds=30.0)
        assert not wrong, wrong[:10]
        assert len(site.switch.truth.calls) > 5
        ended = calls_ended(site.receiver.events.values())
        assert ended == {it.call_id for it in site.switch.truth.calls}

        def shown() -> bool:
            return calls_ended(crowd.members[0].seen) == ended

        assert await until(site.reactor, shown, 20.0)
    finally:
        crowd.leave()
    await each_did_its_own(split)
    await each_says_what_it_does_not_do(split)
    await each_is_well_by_its_own_measure(split)


async def each_did_its_own(split: Split) -> None:
    """By what each has counted."""
    counted = {
        "xml": 'nizam_xml_request_seconds_count{outcome="found",section="dialplan"}',
        "intake": 'nizam_events_stored_total{type="call.ended"}',
        "deliver": "nizam_webhook_attempt_seconds_count",
    }
    for role, name in counted.items():
        for other in ("xml", *OTHERS):
            _, body = await split[other].get("/metrics")
            lines = [it for it in body.decode().splitlines() if it.startswith(name)]
            value = sum(float(it.rpartition(" ")[2]) for it in lines)
            assert (value > 0) is (other == role), (role, other, lines)


async def each_says_what_it_does_not_do(split: Split) -> None:
    tenant, key = f"/api/v1/tenants/{split.site.tenant_id}", split.site.api.key
    paths = {
        "api": f"{tenant}/extensions",
        "realtime": f"{tenant}/call-events/stream",
        "xml": "/freeswitch/xml",
    }
    for role, path in paths.items():
        for other in ("xml", *OTHERS):
            if other == role:
                continue
            status, problem = await asked(split[other], path, key)
            assert (status, problem["code"]) == (404, "not_found"), (other, path)
            assert f"lacks the role {role} and has {other}" in problem["detail"]
    assert (await asked(split["api"], paths["api"], key))[0] == 200
    status, body = await split["xml"].request(
        "POST",
        "/freeswitch/xml",
        data={"section": "directory"},
        auth=(XML_USERNAME, XML_PASSWORD),
    )
    assert (status, body[:5]) == (200, b"<docu"), body
    # A path that nobody has is no matter of roles.
    assert "role" not in (await asked(split["api"], "/api/v1/nothing", key))[1]["detail"]


async def each_is_well_by_its_own_measure(split: Split) -> None:
    checks: dict[str, Any] = {}
    for role in ("xml", *OTHERS):
        status, document = await asked(split[role], "/api/health")
        assert (status, document["status"]) == (200, "healthy"), (role, document)
        checks[role] = document["checks"]
    assert checks["intake"]["intake"]["nodes"] == {NODE: "active"}
    assert {role for role, it in checks.items() if "intake" in it} == {"intake"}
    assert {role for role, it in checks.items() if "scheduler" in it} == {"scheduler"}
    # With the switch away whoever answers its questions stays ready; all hear of it.
    split.site.switch.refuse_connections()
    split.site.switch.cut()
    for role in ("xml", "intake", "api"):

        async def degraded(role: str = role) -> bool:
            return bool((await asked(split[role], "/api/health"))[1]["status"] == "degraded")

        assert await until(split.site.reactor, degraded, 20.0), role
        assert (await asked(split[role], "/readyz"))[0] == 200
