"""A daemon whose servers are not there yet, and what it says about itself."""

from __future__ import annotations

import json
from typing import Any

import pytest
from lxml import etree

from nizam.embedded.postgres import PrivatePostgres
from tests.daemon.process import frozen, until
from tests.daemon.site import XML_PASSWORD, XML_USERNAME, Site

pytestmark = pytest.mark.time_limit(45)


async def health(site: Site) -> dict[str, Any]:
    _, body = await site.daemon.get("/api/health")
    document: dict[str, Any] = json.loads(body)
    return document


async def test_health_has_the_shape_that_operators_rely_on(site: Site) -> None:
    document = await health(site)
    checks = document["checks"]
    assert document["status"] == "healthy"
    assert checks["app"] == {"status": "ok"}
    assert checks["esl"] == {"connected": True, "status": "ok"}
    assert checks["gateways"] == {"status": "ok", "gateways": []}
    assert {it: checks[it]["status"] for it in ("database", "redis", "snapshot")} == {
        "database": "ok",
        "redis": "ok",
        "snapshot": "ok",
    }
    for probe in ("/livez", "/readyz", "/startupz"):
        assert await site.daemon.get(probe) == (200, b'{"status":"ok"}')


async def test_a_lost_event_socket_is_told_but_keeps_nobody_away(site: Site) -> None:
    site.switch.refuse_connections()
    site.switch.cut()

    async def degraded() -> bool:
        return (await health(site))["status"] == "degraded"

    assert await until(site.reactor, degraded, 5.0)
    assert (await health(site))["checks"]["esl"] == {"connected": False, "status": "degraded"}
    assert (await site.daemon.get("/readyz"))[0] == 200


async def test_without_postgresql_it_starts_from_the_copy_in_redis(
    site: Site, postgres: PrivatePostgres
) -> None:
    await site.daemon.terminate()
    with frozen(postgres.pid):
        site.daemon.start()
        await site.daemon.ready(seconds=15.0)
        status, body = await site.daemon.request(
            "POST",
            "/freeswitch/xml",
            data={
                "section": "directory",
                "action": "sip_auth",
                "key": "id",
                "user": "1001",
                "domain": "acme.example.test",
                "sip_auth_username": "1001",
                "sip_auth_realm": "acme.example.test",
            },
            auth=(XML_USERNAME, XML_PASSWORD),
        )
        assert status == 200
        user = etree.fromstring(body).find(".//user")
        assert user is not None
        assert user.get("id") == "1001"

        async def told() -> bool:
            return (await health(site))["checks"]["database"]["status"] == "degraded"

        assert await until(site.reactor, told, 10.0)
        assert (await site.daemon.get("/readyz"))[0] == 200

    async def healthy() -> bool:
        return (await health(site))["status"] == "healthy"

    assert await until(site.reactor, healthy, 20.0), await health(site)
