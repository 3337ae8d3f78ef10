"""What the daemon says about itself while all is well, and without its switch."""

from __future__ import annotations

import json
from typing import Any

from tests.daemon.process import until
from tests.daemon.site import Site


async def test_health_has_the_shape_that_operators_rely_on(site: Site) -> None:
    document = await _health(site)
    checks = document["checks"]
    assert document["status"] == "healthy"
    assert checks["app"] == {"status": "ok"}
    assert checks["esl"] == {"connected": True, "status": "ok"}
    assert checks["gateways"] == {"status": "ok", "gateways": []}
    others = {it: checks[it]["status"] for it in ("database", "redis", "snapshot")}
    assert others == {"database": "ok", "redis": "ok", "snapshot": "ok"}
    for probe in ("/livez", "/readyz", "/startupz"):
        assert await site.daemon.get(probe) == (200, b'{"status":"ok"}')

    # A lost event socket is told, but keeps nobody away: calls still route.
    site.switch.refuse_connections()
    site.switch.cut()

    async def degraded() -> bool:
        return str((await _health(site))["status"]) == "degraded"

    assert await until(site.reactor, degraded, 5.0)
    assert (await _health(site))["checks"]["esl"] == {"connected": False, "status": "degraded"}
    assert (await site.daemon.get("/readyz"))[0] == 200


async def _health(site: Site) -> dict[str, Any]:
    status, body = await site.daemon.get("/api/health")
    assert status == 200
    document: dict[str, Any] = json.loads(body)
    return document
