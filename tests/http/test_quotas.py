"""A tenant never has more than its quotas allow, however many ask at the same moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, gatherResults

from nizam.model.registry import resources
from nizam.model.tenant import Quotas
from tests.http.conftest import Answer, Server, serving

BODIES: dict[str, Callable[[int], dict[str, Any]]] = {
    "extension": lambda n: {"number": str(1000 + n), "display_name": f"Seat {n}"},
    "did": lambda n: {"number": f"+1202555{n:04}", "destination": {"type": "hangup"}},
    "ring_group": lambda n: {
        "number": str(2000 + n),
        "name": f"Group {n}",
        "members": [{"number": "+12025550199"}],
    },
}
"""The nth object of each resource that has a quota."""

OF_CALLS = {"max_concurrent_calls", "max_calls_per_minute", "max_call_minutes_per_day"}
NOT_MADE_YET = {"max_queues"}


@pytest_twisted.async_yield_fixture
async def servers(server: Server, database: str, redis_url: str) -> AsyncIterator[list[Server]]:
    """Two instances over the same database."""
    async with serving(database, redis_url) as second:
        yield [server, second]


async def at_once(requests: Iterable[Any]) -> list[Any]:
    return list(await gatherResults([Deferred.fromCoroutine(it) for it in requests]))


async def limited(server: Server, quota: str, most: int, slug: str = "acme") -> str:
    tenant = await server.make_tenant(slug)
    await limit(server, tenant, quota, most)
    return tenant


async def limit(server: Server, tenant: str, quota: str, most: int) -> None:
    answer = await server.request("PATCH", tenant, {"quotas": {quota: most}})
    assert answer.status == 200, answer.body


async def count(server: Server, path: str) -> int:
    return len((await server.request("GET", f"{path}?limit=200")).json["data"])


def test_every_quota_is_that_of_a_resource_or_of_calls() -> None:
    declared = {it.quota for it in resources().values() if it.quota}
    assert declared | OF_CALLS | NOT_MADE_YET == set(Quotas.model_fields)
    assert BODIES.keys() == {it.name for it in resources().values() if it.quota}


@pytest.mark.parametrize("name", BODIES)
async def test_of_fifty_at_once_exactly_as_many_are_made_as_the_quota_has_room_for(
    servers: list[Server], name: str
) -> None:
    it = resources()[name]
    assert it.quota is not None
    tenant = await limited(servers[0], it.quota, 10)
    path = f"{tenant}/{it.path}"
    answers: list[Answer] = await at_once(
        servers[number % 2].request("POST", path, BODIES[name](number)) for number in range(50)
    )
    outcomes = Counter((it.status, it.json.get("code")) for it in answers)
    assert outcomes == {(201, None): 10, (409, "quota_exceeded"): 40}
    refused = next(it.json for it in answers if it.status == 409)
    assert (refused["quota"], refused["limit"]) == (it.quota, 10)
    assert await count(servers[0], path) == 10


async def test_documents_and_single_requests_share_the_room(servers: list[Server]) -> None:
    """Six at once by a document on either instance, and one by one meanwhile: ten have room."""
    tenant = await limited(servers[0], "max_extensions", 10)
    path = f"{tenant}/extensions"

    async def apply(server: Server, first: int) -> int:
        document = {"extensions": [BODIES["extension"](first + it) for it in range(6)]}
        answer = await server.request("POST", f"{tenant}/document/apply", document)
        if answer.status == 200:
            return 6
        assert (answer.status, answer.json["code"]) == (409, "quota_exceeded"), answer.body
        assert [it["path"] for it in answer.json["errors"]] == ["/extensions"]
        return 0

    async def single(server: Server, number: int) -> int:
        answer = await server.request("POST", path, BODIES["extension"](number))
        assert answer.status in (201, 409)
        return int(answer.status == 201)

    made = await at_once(
        [apply(servers[0], 100), apply(servers[1], 200)]
        + [single(servers[number % 2], number) for number in range(20)]
    )
    # Both documents have no room beside each other; the single ones take what is left.
    assert sum(made[:2]) in (0, 6)
    assert sum(made) == 10
    assert await count(servers[0], path) == sum(made)


async def test_a_table_with_too_many_is_refused_as_a_whole(server: Server) -> None:
    tenant = await limited(server, "max_extensions", 3)
    path = f"{tenant}/extensions"
    await server.make(path, BODIES["extension"](0))

    async def imported(*numbers: int) -> Answer:
        lines = ["number,display_name", *(f"{1000 + it},Seat {it}" for it in numbers)]
        raw = "\n".join(lines).encode()
        return await server.request("POST", f"{path}/import", raw=raw, Content_Type="text/csv")

    refused = await imported(1, 2, 3)
    assert (refused.status, refused.json["code"]) == (409, "quota_exceeded"), refused.body
    assert await count(server, path) == 1
    assert (await imported(1, 2)).status == 200
    assert await count(server, path) == 3


async def test_a_quota_below_what_is_there_keeps_that_and_lets_nothing_more_in(
    server: Server,
) -> None:
    tenant = await server.make_tenant()
    path, body = f"{tenant}/extensions", BODIES["extension"]
    made = [await server.make(path, body(number)) for number in range(3)]
    await limit(server, tenant, "max_extensions", 2)
    refused = await server.request("POST", path, body(3))
    assert (refused.status, refused.json["code"]) == (409, "quota_exceeded")
    # What is there can be changed, replaced and deleted as before.
    one = f"{path}/{made[0]['id']}"
    assert (await server.request("PATCH", one, {"ring_seconds": 30})).status == 200
    assert (await server.request("PUT", one, body(0))).status == 200
    assert (await server.request("DELETE", one)).status == 204
    # One less is still as many as there may be.
    assert (await server.request("POST", path, body(3))).status == 409
    await limit(server, tenant, "max_extensions", 3)
    assert (await server.request("POST", path, body(3))).status == 201
    assert (await server.request("POST", path, body(4))).status == 409
    await limit(server, tenant, "max_extensions", 0)
    assert (await server.request("POST", path, body(4))).status == 201


async def test_raising_a_quota_while_many_ask_lets_in_as_many_as_the_new_one_has_room_for(
    servers: list[Server],
) -> None:
    tenant = await limited(servers[0], "max_extensions", 3)
    path, body = f"{tenant}/extensions", BODIES["extension"]

    async def create(number: int) -> int:
        return (await servers[number % 2].request("POST", path, body(number))).status

    requests = [create(number) for number in range(10)]
    requests.insert(5, limit(servers[1], tenant, "max_extensions", 6))  # type: ignore[arg-type]
    await at_once(requests)
    assert 3 <= await count(servers[0], path) <= 6
    statuses = await at_once(create(20 + number) for number in range(10))
    assert set(statuses) <= {201, 409}
    assert await count(servers[0], path) == 6


async def test_other_tenants_have_quotas_of_their_own(server: Server) -> None:
    acme = await limited(server, "max_extensions", 1)
    other = await limited(server, "max_extensions", 1, "other")
    for tenant in (acme, other):
        await server.make(f"{tenant}/extensions", BODIES["extension"](1))
        refused = await server.request("POST", f"{tenant}/extensions", BODIES["extension"](2))
        assert refused.status == 409
