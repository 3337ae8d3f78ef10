"""Every operation, asked by everybody, is answered as `access_matrix.py` says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, gatherResults

from nizam.http.route import Route
from nizam.model.permissions import ROLES
from tests.http.access_matrix import MATRIX, WHO, Row
from tests.http.access_site import Site, furnish, populate
from tests.http.conftest import PLENTY, Answer, Server, serving
from tests.http.plain_client import THREADS, plainly


@pytest_twisted.async_yield_fixture
async def server(database: str, redis_url: str) -> AsyncIterator[Server]:
    """A server that counts no requests away: everybody asks for everything."""
    limits = {"API_RATE_LIMIT": str(PLENTY), "API_TENANT_RATE_LIMIT": str(PLENTY)}
    async with serving(database, redis_url, limits) as running, plainly(running) as plain:
        yield plain


def test_every_row_names_roles_that_there_are() -> None:
    assert {role for row in MATRIX.values() for role in row.roles} < set(ROLES)


async def test_every_operation_has_its_row(server: Server) -> None:
    operations = [it.operation for it in server.api.routes()]
    assert sorted(operations) == sorted(MATRIX)


@pytest.mark.time_limit(240)
async def test_everybody_is_answered_as_designed(server: Server, database: str) -> None:
    site = await furnish(server, database)
    await populate(site)
    routes = {it.operation: it for it in server.api.routes()}
    wrong = [*await _wrongly_refused(site, routes), *await _wrongly_passed(site, routes)]
    assert not wrong, "\n".join(map(str, wrong))


async def _wrongly_refused(site: Site, routes: dict[str, Route]) -> list[Any]:
    """The cells in which somebody is not refused as designed."""
    cells = [
        (who, routes[operation], row)
        for operation, row in MATRIX.items()
        for who in WHO
        if row.designed(who, routes[operation].method) is not None
    ]
    wrong: list[Any] = []
    for start in range(0, len(cells), THREADS):
        some = cells[start : start + THREADS]
        asked = (Deferred.fromCoroutine(site.ask(it, who, passing=False)) for who, it, _ in some)
        for (who, route, row), answer in zip(some, await gatherResults(asked), strict=True):
            status = row.designed(who, route.method)
            if answer.status != status:
                wrong.append((who, route.operation, answer.status, answer.body[:300]))
            elif status == 403:
                wrong += [(who, route.operation, *it) for it in _unexplained(who, row, answer)]
    return wrong


async def _wrongly_passed(site: Site, routes: dict[str, Route]) -> list[Any]:
    """The cells in which somebody does not get through to the handler and its right answer."""
    wrong = []
    for who in WHO:
        for operation, row in MATRIX.items():
            route = routes[operation]
            if row.designed(who, route.method) is not None:
                continue
            answer = await site.ask(route, who, passing=True)
            if answer.status not in (row.answers or (route.status,)):
                wrong.append((who, operation, answer.status, answer.body[:300]))
    return wrong


def _unexplained(who: str, row: Row, answer: Answer) -> Iterable[tuple[str, Any]]:
    """What a 403 should say and does not: what is missing, who has it, what the caller has."""
    found = answer.json
    if who == "unproven":
        expected: dict[str, Any] = {"code": "csrf_token_missing"}
    elif who == "scoped" and row.scope is not None:
        expected = {"code": "scope_missing", "yours": {"roles": [], "scopes": [row.scope]}}
    else:
        scope, roles = row.scope, tuple(it for it in ROLES if it in row.roles)
        if row.place == "person":
            scope, roles = "user", ROLES[1:]
        elif row.place in ("platform", "tenants") and who != "unscoped":
            scope = "platform"
        expected = {"code": "scope_missing", "scope": scope, "roles": [ROLES[0], *roles]}
        if who in ROLES:
            expected["yours"] = {"roles": [who], "scopes": []}
        elif row.scope is not None and who == "unscoped":
            assert row.scope not in found["yours"]["scopes"]
    for name, value in expected.items():
        if found.get(name) != value:
            yield name, found.get(name)
