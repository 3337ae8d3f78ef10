"""An extension through its whole life: made, read, listed, changed, revealed, deleted."""

from __future__ import annotations

from tests.http.conftest import Server


async def test_an_extension_is_made_shown_changed_and_deleted(server: Server) -> None:
    tenant = await server.make_tenant()
    made = await server.request(
        "POST", f"{tenant}/extensions", {"number": "1001", "display_name": "Ada"}
    )
    assert made.status == 201, made.body
    assert len(made.json["sip_password"]) >= 12
    path = made.headers["location"]
    assert path == f"{tenant}/extensions/{made.json['id']}"
    shown = await server.request("GET", path)
    assert shown.status == 200
    assert "sip_password" not in shown.json
    assert shown.headers["etag"] == '"1"'
    changed = await server.request("PATCH", path, {"ring_seconds": 30})
    assert (changed.status, changed.json["ring_seconds"], changed.json["version"]) == (200, 30, 2)
    replaced = await server.request("PUT", path, {"number": "1002", "display_name": "Ada"})
    assert (replaced.status, replaced.json["ring_seconds"]) == (200, 25)
    gone = await server.request("DELETE", path)
    assert (gone.status, gone.body) == (204, b"")
    assert (await server.request("GET", path)).status == 404


async def test_reveal_gives_the_password_and_is_audited(server: Server) -> None:
    tenant = await server.make_tenant()
    made = await server.make(f"{tenant}/extensions", {"number": "1001", "display_name": "Ada"})
    revealed = await server.request("POST", f"{tenant}/extensions/{made['id']}/reveal")
    assert revealed.json["sip_password"] == made["sip_password"]
    rows = await server.pool.query("select action from audit_logs order by occurred_at")
    assert rows[-1][0] == "revealed"
