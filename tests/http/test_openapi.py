"""The OpenAPI document is valid and whole: typed, described, with examples that are true."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from openapi_spec_validator import validate

from nizam.http.body import validate as validate_body
from nizam.model.registry import resources
from tests.http.conftest import Server
from tests.http.described import Operation, document, followed, operations, parts, wrong

every_operation = pytest.mark.parametrize("it", operations(), ids=lambda it: it.name)

OPEN = {
    "200 of openapi": "as OpenAPI 3.1 says",
    "200 of get_event_schema": "as JSON Schema says",
    "AuditLog/before": "an object of any type",
    "AuditLog/after": "an object of any type",
    "Event/data": "differs by the type of the event",
    "ExtensionRange/fields": "as POST extensions takes them",
    "Tenant/settings": "the integrator's own",
    "TenantInput/settings": "the integrator's own",
    "TenantPatch/settings": "the integrator's own",
}
"""Objects whose members nobody knows beforehand, and why."""


@pytest.mark.time_limit(90)
async def test_the_document_is_valid_openapi_and_has_every_route(server: Server) -> None:
    answer = await server.request("GET", "/api/v1/openapi.json", key=None)
    assert answer.status == 200
    validate(answer.json)
    documented = {
        (method.upper(), path)
        for path, methods in answer.json["paths"].items()
        for method in methods
    }
    routes = server.api.routes()
    assert documented == {(it.method, it.path) for it in routes}
    assert len(routes) == len({it.operation for it in routes})


def test_the_examples_are_accepted_by_the_models() -> None:
    for it in resources().values():
        validate_body(it.body, it.example)


@every_operation
def test_an_operation_says_what_it_is_for_and_who_may_ask(it: Operation) -> None:
    assert len(it.described["description"]) > 10
    assert it.described["summary"].endswith(".")
    [tag] = it.described["tags"]
    assert tag in {known["name"] for known in document()["tags"]}
    public = it.described.get("security") == []
    assert public == ("401" not in it.responses or it.name == "login")
    assert all(parameter["description"] for parameter in it.described["parameters"])


@every_operation
def test_its_examples_are_what_its_schemas_say(it: Operation) -> None:
    media = {f"request {name}": found for name, found in it.request_media.items()}
    for status, response in it.responses.items():
        media |= {f"{status} {name}": found for name, found in response.get("content", {}).items()}
    for where, found in media.items():
        if followed(found["schema"]).get("format") == "binary":
            continue
        examples = [entry["value"] for entry in found.get("examples", {}).values()]
        examples += [found["example"]] if "example" in found else []
        assert examples, f"{where} has no example"
        assert [wrong(found["schema"], value) for value in examples] == [[]] * len(examples), where


@every_operation
def test_its_answers_are_declared_with_their_headers(it: Operation) -> None:
    responses = it.responses
    assert {"400", "408", "414", "429", "431", "500", "503", "504"} <= responses.keys()
    if it.method in ("POST", "PUT", "PATCH"):
        assert {"413", "415", "422"} <= responses.keys()
    if "{" in it.path:
        assert "404" in responses
    for status, response in responses.items():
        assert {"X-Request-Id", "RateLimit", "X-RateLimit-Limit"} <= response["headers"].keys()
        assert ("Retry-After" in response["headers"]) == (status in ("429", "503", "504"))
    done = responses[min(responses)]
    if any(parameter["name"] == "If-Match" for parameter in it.described["parameters"]):
        assert "412" in responses
        assert "ETag" in done["headers"] or it.method == "DELETE"
    if it.method == "POST" and it.name.startswith("create_") and it.name != "create_token":
        assert {"ETag", "Location", "Idempotent-Replayed"} <= done["headers"].keys()


@every_operation
def test_its_links_lead_to_operations_with_the_parameters_that_these_need(it: Operation) -> None:
    by_name = {other.name: other for other in operations()}
    for response in it.responses.values():
        for name, link in response.get("links", {}).items():
            needed = set(re.findall(r"\{(\w+)\}", by_name[link["operationId"]].path))
            assert link["parameters"].keys() == needed, name


@pytest.mark.parametrize("name", sorted(resources()))
def test_what_is_made_leads_to_everything_that_can_be_done_with_it(name: str) -> None:
    resource = resources()[name]
    [creation] = [it for it in operations() if it.name == f"create_{name}"]
    links = creation.responses["201"]["links"]
    assert {f"{verb}_{name}" for verb in ("get", "replace", "change", "delete")} <= links.keys()
    [listing] = [it for it in operations() if it.name == f"list_{resource.table}"]
    assert f"get_{name}" in listing.responses["200"]["links"]


_TYPED = {"properties", "patternProperties", "additionalProperties"}


def _schemas() -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, schema in document()["components"]["schemas"].items():
        yield from parts(schema, name)
    for it in operations():
        for media in it.request_media.values():
            yield from parts(media["schema"], f"request of {it.name}")
        for status, response in it.responses.items():
            for media in response.get("content", {}).values():
                yield from parts(media["schema"], f"{status} of {it.name}")


def test_every_object_says_what_is_in_it() -> None:
    bare = [
        path for path, it in _schemas() if "object" in it.get("type", ()) and not _TYPED & it.keys()
    ]
    # A merge patch changes any part of a union's member.
    unknown = [it for it in bare if it not in OPEN and not re.search(r"Patch/.*anyOf/1", it)]
    assert unknown == []


def test_every_field_says_what_it_is_for() -> None:
    silent = [
        f"{path}/{name}"
        for path, schema in _schemas()
        for name, it in schema.get("properties", {}).items()
        if not it.get("description")
        and it.get("type") != "null"
        and "const" not in it
        # The object around it says what it is for.
        and "/oneOf/" not in f"{path}/"
    ]
    assert silent == []


def test_unions_say_by_which_member_they_are_told_apart() -> None:
    for name in ("Destination", "DestinationInput", "FlowNode", "ActionInput"):
        union = document()["components"]["schemas"][name]
        mapping = union["discriminator"]["mapping"]
        assert {it["$ref"] for it in union["oneOf"]} == set(mapping.values())
        for kind, target in mapping.items():
            schema = followed({"$ref": target})
            assert (schema["properties"]["type"]["const"], "type" in schema["required"]) == (
                kind,
                True,
            )


def test_requests_are_closed_and_answers_are_open() -> None:
    schemas = document()["components"]["schemas"]
    assert schemas["ExtensionInput"]["additionalProperties"] is False
    assert schemas["CallerIdPatch"]["additionalProperties"] is False
    assert "additionalProperties" not in schemas["Extension"]
    assert "additionalProperties" not in schemas["CallerId"]


def test_secrets_are_written_and_not_read() -> None:
    schemas = document()["components"]["schemas"]
    assert schemas["ExtensionInput"]["properties"]["sip_password"]["writeOnly"]
    assert "pin" not in schemas["Voicemail"]["properties"]
    assert "sip_password" not in schemas["Extension"]["required"]
    assert "password" not in schemas["Gateway"]["properties"]
    assert schemas["Extension"]["properties"]["version"]["readOnly"]
