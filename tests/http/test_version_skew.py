"""Instances of two releases run side by side while one after the other is restarted: what the older
one does with objects that the newer one has written."""

from __future__ import annotations

import orjson

from nizam.model.extension import Extension
from nizam.model.registry import resource
from tests.http.conftest import Server

LATER = {"field_of_a_later_release": "kept"}


async def test_a_change_of_what_a_later_release_wrote_is_refused_and_loses_nothing(
    server: Server,
) -> None:
    tenant = await server.make_tenant()
    wanted = {"number": "1001", "display_name": "Ada"}
    made = (await server.request("POST", f"{tenant}/extensions", wanted)).json
    await server.pool.execute(
        "update extensions set body = (body::jsonb || %s::jsonb)::json where id = %s",
        (orjson.dumps(LATER).decode(), made["id"]),
    )
    path = f"{tenant}/extensions/{made['id']}"
    answer = await server.request("PATCH", path, {"display_name": "Grace"})
    assert (answer.status, answer.json["code"]) == (422, "unknown_field")
    ((body,),) = await server.pool.query(
        "select body::text from extensions where id = %s", (made["id"],)
    )
    kept = orjson.loads(body)
    assert (kept["display_name"], kept["field_of_a_later_release"]) == ("Ada", "kept")


def test_calls_are_routed_by_what_a_later_release_wrote() -> None:
    """As `nizam.routing.snapshot` reads rows."""
    written = orjson.dumps({"number": "1001", "display_name": "Ada", **LATER})
    read = resource("extension").body.model_validate_json(written, extra="ignore")
    assert isinstance(read, Extension)
    assert read.number == "1001"
