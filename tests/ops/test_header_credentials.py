"""Credentials that earlier versions kept among the headers of a webhook are encrypted."""

from __future__ import annotations

from collections.abc import Mapping

import orjson
import pytest

from nizam.model.registry import resource
from nizam.ops.header_credentials import HeaderCredentials
from nizam.store.pool import Pool
from nizam.store.store import Store
from nizam.store.system.leases import take_lease
from tests.ops.conftest import turn_of
from tests.store.conftest import BOX, Workshop

PLAIN = {"X-Own": "1"}


@pytest.mark.parametrize(
    ("headers", "own", "kept", "secret"),
    [
        ({"authorization": "Bearer t0p"}, None, PLAIN, ("authorization", "Bearer t0p")),
        ({"X-Api-Key": "k3y"}, None, PLAIN, ("X-Api-Key", "k3y")),
        ({"Cookie": ""}, None, PLAIN, ("Cookie", None)),
        ({"X-Api-Key": "k3y"}, "mine", {"X-Api-Key": "k3y", **PLAIN}, ("Authorization", "mine")),
        (
            {"X-Api-Key": "k3y", "Cookie": "c"},
            None,
            {"X-Api-Key": "k3y", "Cookie": "c", **PLAIN},
            ("Authorization", None),
        ),
        ({}, None, PLAIN, ("Authorization", None)),
    ],
)
async def test_the_header_is_moved_if_there_is_one_place_for_it(
    pool: Pool,
    store: Store,
    acme: Workshop,
    headers: Mapping[str, str],
    own: str | None,
    kept: Mapping[str, str],
    secret: tuple[str, str | None],
) -> None:
    made = await acme.create(
        "webhook", url="https://example.com", headers=PLAIN, authentication={"value": own}
    )
    await pool.execute(
        "update webhooks set body = jsonb_set(body, '{headers}', %s)",
        (orjson.dumps({**PLAIN, **headers}).decode(),),
    )
    lease = await take_lease(pool, "test", "one", 60)
    assert lease is not None
    for _ in range(2):
        await HeaderCredentials(store)(turn_of(pool, lease))

    it = await store.get(resource("webhook"), acme.tenant_id, made.id)
    sealed = it.secrets.get("authentication.value")
    value = sealed and BOX.decrypt(sealed, "webhook", it.id, "authentication.value")
    assert it.body["headers"] == kept
    assert (it.body["authentication"]["header"], value) == secret
    assert it.version == made.version + (kept == PLAIN and bool(headers))
    if kept == PLAIN:
        await acme.change("webhook", made.id, description="It can be changed again.")
