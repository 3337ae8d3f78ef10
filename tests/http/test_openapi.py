"""The OpenAPI document is valid, whole, and its examples are accepted by the models."""

from __future__ import annotations

import re

from openapi_spec_validator import validate

from nizam.http.body import validate as validate_body
from nizam.model.registry import resources
from tests.http.conftest import Server


async def test_the_document_is_valid_openapi_and_has_every_route(server: Server) -> None:
    answer = await server.request("GET", "/api/v1/openapi.json", key=None)
    assert answer.status == 200
    validate(answer.json)
    documented = {
        (method.upper(), path)
        for path, operations in answer.json["paths"].items()
        for method in operations
    }
    assert documented == {(it.method, it.path) for it in server.api.routes()}
    operations = [it.operation for it in server.api.routes()]
    assert len(operations) == len(set(operations))


def test_the_examples_are_accepted() -> None:
    for it in resources().values():
        validate_body(it.body, it.example)


async def test_the_page_for_people_loads_nothing_from_elsewhere(server: Server) -> None:
    answer = await server.request("GET", "/docs", key=None)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    text = answer.body.decode()
    assert "/api/v1/tenants/{tenant_id}/extensions" in text
    assert not re.search(r'(src|href)="(https?:)?//', text)
    assert 'id="version_mismatch"' in text
