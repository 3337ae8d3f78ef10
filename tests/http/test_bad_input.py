"""Every route, given everything that is wrong: 4xx that names all of it, and nothing is written.

The routes, their fields and what these take come from the OpenAPI document, so that a new route is
tried as it is declared.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from itertools import product
from typing import Any

import attrs
import psycopg2
import pytest
import pytest_twisted

from nizam.http.openapi.walk import name_of
from nizam.model.pointer import pointer
from nizam.model.registry import resources
from nizam.model.resource import Resource
from tests.http.conftest import PLENTY, Answer, Server, serving
from tests.http.described import Operation, document, followed, operations, wrong_places
from tests.http.objects import collection, example_of, item
from tests.http.people import person

JSON = "application/json"
NOBODY = "01937a5e-0000-7000-8000-00000000000f"

MALFORMED = {
    "nothing": b"",
    "an array": b"[]",
    "half an object": b'{"name": ',
    "a key twice": b'{"name": "a", "name": "b"}',
    "a number beyond floats": b'{"name": 1e400}',
    "a number of 400 digits": b'{"name": ' + b"9" * 400 + b"}",
    "half of a surrogate pair": b'{"name": "\\ud800"}',
    "bytes that are not UTF-8": b'{"name": "\xff"}',
    "depth": b'{"name":' * 40 + b"1" + b"}" * 40,
    "extreme depth": b'{"name":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
}
WRONG: tuple[Any, ...] = (
    {"x": 1},
    [[]],
    True,
    1.5e300,
    -(10**18),
    "bell \x07",
    "nul \x00",
    "x" * 30_000,
)
"""Put into all fields at once; for each field the schema says whether that is wrong."""


@attrs.frozen(kw_only=True)
class Target:
    """An operation that takes a JSON object, and a request of it that would do."""

    operation: Operation
    path: str
    body: dict[str, Any]

    @property
    def schema(self) -> Mapping[str, Any]:
        return followed(self.operation.request_media[JSON]["schema"])

    @property
    def fields(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.schema["properties"]
        return found


@attrs.frozen
class Furnished:
    """Two tenants with one of everything; `others` are the ids of the other's objects."""

    server: Server
    token: str
    """A user's, for what keys have no part in."""
    ids: dict[str, str]
    bodies: dict[str, Any]
    others: dict[str, str]

    async def ask(self, it: Operation, path: str, body: Any = None, **more: Any) -> Answer:
        key = self.token if "/auth/" in it.path else "platform"
        return await self.server.request(it.method, path, body, key=key, **more)

    def path_of(self, it: Operation, **given: str) -> str:
        segment = it.path.partition("/{id}")[0].rpartition("/")[2]
        values = {
            "tenant_id": self.ids["tenants"],
            "id": self.ids.get(segment, NOBODY),
            "revision": "1",
            **given,
        }
        return re.sub(r"\{(\w+)\}", lambda found: values.get(found[1], NOBODY), it.path)

    def targets(self) -> Iterator[Target]:
        by_path = {it.path: it for it in resources().values()}
        for it in operations():
            if JSON not in it.request_media:
                continue
            segment = re.sub(r"/\{\w+\}\Z", "", it.path).rpartition("/")[2]
            body = it.request_media[JSON]["example"]
            if it.method in ("POST", "PUT") and segment in by_path:
                body = self.bodies[segment]
            yield Target(operation=it, path=self.path_of(it), body=body)


@pytest_twisted.async_yield_fixture
async def there(database: str, redis_url: str) -> AsyncIterator[Furnished]:
    limits = {"API_RATE_LIMIT": str(PLENTY), "API_TENANT_RATE_LIMIT": str(PLENTY)}
    async with serving(database, redis_url, limits) as server:
        own, other = await server.make_tenant("own"), await server.make_tenant("other")
        ids = {"tenants": own.rpartition("/")[2]}
        others = {"tenant": other.rpartition("/")[2]}
        bodies: dict[str, Any] = {"tenants": resources()["tenant"].example}
        for it in resources().values():
            if it.name == "tenant":
                continue
            bodies[it.path] = await example_of(server, it, own)
            ids[it.path] = (await server.make(collection(it, own), bodies[it.path]))["id"]
            if it.scope == "tenant":
                body = _elsewhere(await example_of(server, it, other))
                others[it.name] = (await server.make(collection(it, other), body))["id"]
        yield Furnished(server, await person(server, "platform_admin", None), ids, bodies, others)


def _elsewhere(body: dict[str, Any]) -> dict[str, Any]:
    """A public number exists once on the whole platform."""
    return body | ({"number": "+12025550188"} if str(body.get("number")).startswith("+") else {})


@pytest.fixture
def unchanged(database: str, there: Furnished) -> Iterator[None]:
    """No table has more or fewer rows after the test than before."""
    before = _counts(database)
    yield
    assert _counts(database) == before


def _counts(database: str) -> dict[str, int]:
    with psycopg2.connect(database) as connection, connection.cursor() as cursor:
        cursor.execute("select tablename from pg_tables where schemaname = 'public'")
        names = [name for (name,) in cursor.fetchall()]
        found = {}
        for name in names:
            cursor.execute(f'select count(*) from "{name}"')  # noqa: S608 - a table's own name
            row = cursor.fetchone()
            found[name] = int(row[0]) if row else 0
    connection.close()
    return found


@pytest.mark.time_limit(180)
async def test_what_is_no_json_object_is_refused_everywhere(
    there: Furnished, unchanged: None
) -> None:
    found = []
    for it, (what, raw) in product(there.targets(), MALFORMED.items()):
        if not raw and not it.operation.described["requestBody"]["required"]:
            continue
        answer = await there.ask(it.operation, it.path, raw=raw)
        # Documents are read with what else is wrong in them, numbers included.
        large = "number" in what and "document" in it.operation.name
        if (answer.status, _code(answer)) != (400, "malformed_json") and not (
            large and answer.status == 422
        ):
            found.append((it.operation.name, what, answer.status, answer.body[:200]))
    assert not found, "\n".join(map(str, found))


@pytest.mark.time_limit(180)
async def test_bodies_of_other_types_are_refused_everywhere(
    there: Furnished, unchanged: None
) -> None:
    found = []
    for it, media_type in product(there.targets(), ("text/plain", "multipart/form-data", "a")):
        answer = await there.ask(it.operation, it.path, it.body, content_type=media_type)
        if (answer.status, _code(answer)) != (415, "unsupported_media_type"):
            found.append((it.operation.name, answer.status, answer.body[:200]))
    assert not found, "\n".join(map(str, found))


@pytest.mark.time_limit(180)
async def test_every_field_with_a_wrong_value_is_named_at_once(
    there: Furnished, unchanged: None
) -> None:
    found = []
    for it, value in product(there.targets(), WRONG):
        fields = {"type": "object", "properties": it.fields}
        sent = dict.fromkeys(it.fields, value)
        expected = {_first(path) for path in wrong_places(fields, sent)}
        if not expected:
            continue
        body = {**it.body, **sent}
        answer = await there.ask(it.operation, it.path, body)
        assert answer.status in (422, 413), (it.operation.name, answer.status, answer.body[:300])
        named = {_first(error["path"]) for error in answer.json.get("errors", ())}
        if answer.status == 422 and expected - named:
            found.append((it.operation.name, expected - named))
    assert not found, "\n".join(map(str, found))


def _code(answer: Answer) -> Any:
    return answer.json.get("code") if answer.body else None


def _first(path: str) -> str:
    return path.split("/")[1].replace("~1", "/").replace("~0", "~") if "/" in path else path


@pytest.mark.time_limit(180)
async def test_fields_that_do_not_exist_are_named(there: Furnished, unchanged: None) -> None:
    found = []
    for it in there.targets():
        body = {**it.body, "colour": "red", "a/b": None}
        answer = await there.ask(it.operation, it.path, body)
        errors = {error["path"]: error["code"] for error in answer.json.get("errors", ())}
        if answer.status != 422 or {errors.get(it) for it in ("/colour", "/a~1b")} != {
            "unknown_field"
        }:
            found.append((it.operation.name, answer.status, answer.body[:200]))
    assert not found, "\n".join(map(str, found))


# -- references ------------------------------------------------------------------------------------


@pytest.mark.time_limit(180)
async def test_no_field_can_refer_to_what_is_another_tenants(
    there: Furnished, unchanged: None
) -> None:
    found, tried = [], 0
    for resource in resources().values():
        if resource.scope != "tenant":
            continue
        tenant = f"/api/v1/tenants/{there.ids['tenants']}"
        path = item(resource, tenant, there.ids[resource.path])
        for body, where in _with_foreign_references(resource, there):
            answer = await there.server.request("PUT", path, body)
            tried += 1
            named = [it["path"] for it in answer.json.get("errors", ())]
            if answer.status != 422 or where not in named:
                found.append((resource.name, where, answer.status, answer.body[:200]))
    assert not found, "\n".join(map(str, found))
    assert tried > 20


def _with_foreign_references(
    resource: Resource, there: Furnished
) -> Iterator[tuple[dict[str, Any], str]]:
    """Bodies that would do but for one reference, and the JSON Pointer of that."""
    schema = document()["components"]["schemas"][f"{resource.body.__name__}Input"]
    for start in _starts(resource, there):
        for steps, value in _references(schema, start, there, ()):
            if resource.name == "feature_code" and steps[0] not in start:
                continue
            body = copy.deepcopy(start)
            _put(body, steps, value)
            place = (*steps, "id") if isinstance(value, dict) else steps
            yield body, pointer(place)


def _starts(resource: Resource, there: Furnished) -> list[dict[str, Any]]:
    """Bodies to put references into: the example, unless that takes some of them only with more."""
    if resource.name == "feature_code":
        return [
            {"code": "*11", "feature": "speed_dial", "destination": None},
            {"code": "*12", "feature": "night_mode", "time_condition_id": None},
            {"code": "*13", "feature": "park", "parking_lot_id": None},
        ]
    body = there.bodies[resource.path]
    if resource.name == "time_condition":
        return [{**body, "calendar_id": there.ids["calendars"]}]
    return [body]


def _references(
    schema: Mapping[str, Any], present: Any, there: Furnished, steps: tuple[str | int, ...]
) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Where a reference can stand, and one to the other tenant's object. Of a list, in the
    present items."""
    sides = [it for it in schema.get("anyOf", (schema,)) if it.get("type") != "null"]
    for side in sides:
        if name_of(side) == "DestinationInput":
            yield steps, {"type": "extension", "id": there.others["extension"]}
            continue
        found = followed(side)
        if "oneOf" in found:
            continue
        if "items" in found and isinstance(present, list):
            for index, it in enumerate(present):
                yield from _references(found["items"], it, there, (*steps, index))
        for name, it in found.get("properties", {}).items():
            target = name.removesuffix("_id").removeprefix("inbound_")
            here = (*steps, name)
            if name.endswith("_id") and target in there.others:
                yield here, there.others[target]
            else:
                inside = present.get(name) if isinstance(present, dict) else None
                yield from _references(it, inside, there, here)


def _put(body: Any, steps: tuple[str | int, ...], value: Any) -> None:
    *outer, last = steps
    for it in outer:
        body = body.setdefault(it, {}) if isinstance(body, dict) else body[it]
    body[last] = value
    if last == "extension_id":
        body.pop("number", None)


# -- beside the body -------------------------------------------------------------------------------


@pytest.mark.time_limit(180)
async def test_every_wrong_query_parameter_is_named_at_once(there: Furnished) -> None:
    found: list[Any] = []
    for it in operations():
        names = {parameter["name"]: parameter for parameter in it.described["parameters"]}
        if it.method != "GET" or "cursor" not in names:
            continue
        typed = [
            name
            for name, parameter in names.items()
            if parameter["in"] == "query"
            and (parameter["schema"].get("type") != "string" or "format" in parameter["schema"])
        ]
        query = "&".join([*(f"{name}=@" for name in typed), "sort=colour", "colour=red"])
        answer = await there.server.request("GET", f"{there.path_of(it)}?{query}")
        named = {error["path"] for error in answer.json.get("errors", ())}
        if answer.status != 422 or named != {*typed, "sort", "colour"}:
            found.append((it.name, answer.status, answer.body[:300]))
        for bad in ("q=%00", "q=%ff"):
            refused = await there.server.request("GET", f"{there.path_of(it)}?{bad}")
            if refused.status != 400:
                found.append((it.name, bad, refused.status))
    assert not found, "\n".join(map(str, found))


@pytest.mark.time_limit(180)
async def test_what_is_no_id_of_anything_is_not_found(there: Furnished, unchanged: None) -> None:
    found = []
    for it, identifier in product(operations(), ("x", "%00", "..", "%2e%2e%2f", "0" * 36, NOBODY)):
        if "{" not in it.path or not it.path.startswith("/api/"):
            continue
        last = re.findall(r"\{(\w+)\}", it.path)[-1]
        path = there.path_of(it, **{last: identifier})
        body = it.request_media[JSON]["example"] if JSON in it.request_media else None
        answer = await there.ask(it, path, body)
        # A link without its signature is none, whatever it would lead to.
        links = ("open_recording_link", "open_voicemail_message_link")
        refused = (403,) if it.name in links else ()
        if answer.status not in (404, 405, 415, 400, *refused):
            found.append((it.name, answer.status, answer.body[:200]))
    assert not found, "\n".join(map(str, found))


@pytest.mark.time_limit(180)
async def test_headers_that_are_none_are_refused(there: Furnished, unchanged: None) -> None:
    found = []
    for it in there.targets():
        bad: list[dict[str, str]] = []
        taken = {parameter["name"] for parameter in it.operation.described["parameters"]}
        bad += [{"if_match": "3"}] if "If-Match" in taken else []
        if it.operation.described["responses"].get("201", {}).get("links"):
            bad += [{"idempotency_key": "k" * 256}, {"idempotency_key": "a\tb"}]
        for headers in bad:
            answer = await there.ask(it.operation, it.path, it.body, **headers)
            if (answer.status, _code(answer)) != (400, "bad_request"):
                found.append((it.operation.name, headers, answer.status, answer.body[:200]))
    assert not found, "\n".join(map(str, found))


def test_there_is_something_to_try() -> None:
    with_body = [it for it in operations() if JSON in it.request_media]
    assert len(with_body) > 70
    assert len(json.dumps(MALFORMED, default=len)) > 100
