"""Whatever the API can do, the client can ask for; and it asks for nothing else."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any
from uuid import UUID

import httpx
import pytest

from nizam.client import Client, Collection, Listing
from nizam.model.registry import resources
from tests.http.conftest import Server

ID = UUID("01937a5e-0000-7000-8000-000000000001")
FOR_PEOPLE = "/docs"
WEBSOCKET = "open_websocket"
"""The client has server-sent events instead."""
ASKS_NOTHING = {"close", "tenant", "tenant_id", "stream"}
GIVEN: dict[str, Any] = {
    "it": ID,
    "name": str(ID),
    "call_id": ID,
    "what": "dead",
    "other_call_id": ID,
    "conference_id": ID,
    "recording_id": ID,
    "message_id": ID,
    "extension_id": ID,
    "greeting": 1,
    "reason": "-",
    "text": "-",
    "digits": "1",
    "by": "1009",
    "file": b"number",
    "event_id": "evt_" + "0" * 32,
    "from_": "1001",
    "to": "1002",
    "url": "http://127.0.0.1",
    "link": f"http://127.0.0.1/api/v1/tenants/{ID}/recordings/{ID}/file?signature=-",
    "message_link": f"http://127.0.0.1/api/v1/tenants/{ID}/voicemail-messages/{ID}/file?s=-",
    "email": "ada@example.com",
    "password": "-",
    "current_password": "-",
    "new_password": "-",
    "version": 1,
    "document": {},
    "revision": 1,
    "token": "-",
    "source": b"-",
    "target": BytesIO(),
    "file_id": ID,
    "cursor": "end",
    "kind": "call.ended",
    "token_id": ID,
}
"""What the methods are called with, by the names of their arguments."""


def test_every_resource_has_its_collection() -> None:
    client = Client("http://127.0.0.1")
    for it in resources().values():
        owner = client.tenant(ID) if it.scope == "tenant" else client
        collection = getattr(owner, it.table, None)
        assert isinstance(collection, Collection), f"{type(owner).__name__} has no {it.table}"
        assert (collection.resource, collection.body) == (it, it.body)


async def test_every_operation_of_the_api_can_be_asked_for(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    routes = [
        it
        for it in server.api.routes()
        if not it.path.startswith(FOR_PEOPLE) and it.operation != WEBSOCKET
    ]
    documented = {(str(it.method), it.path) for it in routes}
    asked = {fitting(method, path, documented) for method, path in everything(monkeypatch)}
    assert documented - asked == set(), "the client lacks these"
    assert asked - documented == set(), "the API has no such thing"


def fitting(method: str, path: str, documented: set[tuple[str, str]]) -> tuple[str, str]:
    """The operation that a request is for; the request itself if there is none."""
    found = [
        (verb, template)
        for verb, template in documented
        if verb == method and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path)
    ]
    return min(found, key=lambda it: it[1].count("{"), default=(method, path))


def everything(monkeypatch: pytest.MonkeyPatch) -> set[tuple[str, str]]:
    """What all methods of the client ask for, as method and path."""
    asked: set[tuple[str, str]] = set()

    class Asked(Exception):
        pass

    def record(client: httpx.Client, request: httpx.Request, **options: Any) -> httpx.Response:
        asked.add((request.method, request.url.path))
        raise Asked

    monkeypatch.setattr(httpx.Client, "send", record)
    for method in methods():
        with pytest.raises(Asked):
            called(method)
    return asked


def methods() -> Iterator[Callable[..., Any]]:
    client = Client("http://127.0.0.1")
    for owner in (client, client.tenant(ID)):
        parts = [it for name, it in vars(owner).items() if not name.startswith("_")]
        for part in (owner, *(it for it in parts if not isinstance(it, str))):
            for name, method in inspect.getmembers(part, inspect.ismethod):
                if not name.startswith("_") and name not in ASKS_NOTHING:
                    yield method


def called(method: Callable[..., Any]) -> None:
    """Call it with what it needs, and look at what it gives back."""
    needed = [it for it in inspect.signature(method).parameters.values() if it.default is it.empty]
    positional = [GIVEN[it.name] for it in needed if it.kind is it.POSITIONAL_OR_KEYWORD]
    named = {it.name: GIVEN[it.name] for it in needed if it.kind is it.KEYWORD_ONLY}
    found = method(*positional, **named)
    if isinstance(found, Listing):
        found.first()
    elif hasattr(found, "__enter__"):
        with found:
            pass
