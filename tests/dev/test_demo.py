"""The demo tenant fits the model, and is made through the API once, piece by missing piece."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from random import Random
from typing import Any
from urllib.parse import parse_qs

import pytest
import pytest_twisted
from pydantic import BaseModel
from twisted.web.client import Agent
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from nizam.dev import demo
from nizam.errors import InternalError
from nizam.model.registry import resource
from nizam.sim.script import ScriptWriter

IDS = {number: f"01937a5e-0000-7000-8000-00000000{number}" for number in demo.EXTENSIONS}
GROUP = "01937a5e-0000-7000-8000-000000002000"
SECRET = "whsec_" + "A" * 44
BODIES: dict[str, dict[str, Any]] = {
    "tenant": demo.tenant_body(),
    "extension": demo.extension_body("1001"),
    "ring_group": demo.ring_group_body(IDS),
    "ivr": demo.ivr_body(IDS, GROUP),
    "did": demo.did_body(GROUP),
    "user": demo.user_body(GROUP, "correct horse battery staple"),
    "webhook": demo.webhook_body("http://127.0.0.1:9000", SECRET),
}


class Shelf(Resource):
    """Keeps what is posted, as the API would: lists with a filter, ids, PATCH, activate."""

    isLeaf = True  # noqa: N815 - Twisted's name

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.objects: dict[str, dict[str, Any]] = {}
        self.changes: list[str] = []
        self.refuse = ""

    def render(self, request: Request) -> bytes:
        path, method = request.uri.decode().partition("?")[0], request.method.decode()
        if self.refuse and path.endswith(self.refuse):
            request.setResponseCode(409)
            return b'{"code": "conflict"}'
        assert request.content is not None
        content = request.content.read()
        if method != "GET":
            self.changes.append(f"{method} {path.rpartition('/')[2]}")
        answer = self._answer(method, path, json.loads(content) if content else {}, request)
        return json.dumps(answer).encode()

    def _answer(self, method: str, path: str, body: dict[str, Any], request: Request) -> Any:
        if method == "GET" and path in self.objects:
            return self.objects[path]
        if method == "GET":
            wanted = {
                name: values[0]
                for name, values in parse_qs(request.uri.decode().partition("?")[2]).items()
            }
            listed = [o for p, o in self.objects.items() if p.rpartition("/")[0] == path]
            return {"data": [o for o in listed if wanted.items() <= o.items()]}
        if method == "PATCH":
            self.objects[path] |= body
            return self.objects[path]
        if path.endswith("/activate"):
            self.objects[path.removesuffix("/activate")]["status"] = "active"
            return {}
        number = len(self.objects) + 1
        made = body | {"id": f"01937a5e-0000-7000-8000-{number:012d}", "status": "trial"}
        self.objects[f"{path}/{made['id']}"] = made
        return made


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest_twisted.async_yield_fixture
async def prepare(shelf: Shelf) -> AsyncIterator[Callable[[str], Any]]:
    """Prepares the demo through a real connection to the shelf."""
    from twisted.internet import reactor

    site: Any = Site(shelf)  # type: ignore[no-untyped-call]
    port: Any = reactor.listenTCP(0, site, interface="127.0.0.1")
    base = f"http://127.0.0.1:{port.getHost().port}"
    api = demo.Api(Agent(reactor), reactor, base, "key")  # type: ignore[no-untyped-call]
    yield lambda receiver: demo.prepare_demo(api, receiver, SECRET)
    await port.stopListening()


@pytest.mark.parametrize("name", BODIES)
def test_each_part_is_what_the_model_accepts(name: str) -> None:
    kind: type[BaseModel] = resource(name).body
    kind.model_validate(json.loads(json.dumps(BODIES[name])))


def test_the_simulated_switch_has_calls_to_place_between_them() -> None:
    writer = ScriptWriter(demo.scenery(), Random(1))
    dialled = {writer.write().dialled for _ in range(300)}
    assert dialled >= {"1001", "1002", "1003", "2000", "5000", "12025550101"}


async def test_everything_is_made_once(shelf: Shelf, prepare: Callable[[str], Any]) -> None:
    tenant_id = await prepare("http://127.0.0.1:9000")
    assert shelf.changes == [
        "POST tenants",
        "POST activate",
        *["POST extensions"] * 3,
        "POST ring-groups",
        "POST ivrs",
        "POST dids",
        "POST webhooks",
    ]
    shelf.changes.clear()
    assert await prepare("http://127.0.0.1:9000") == tenant_id
    assert shelf.changes == []


async def test_the_webhook_follows_the_receiver(
    shelf: Shelf, prepare: Callable[[str], Any]
) -> None:
    await prepare("http://127.0.0.1:9000")
    shelf.changes.clear()
    await prepare("http://127.0.0.1:9001")
    (change,) = shelf.changes
    assert change.startswith("PATCH ")
    urls = [found["url"] for path, found in shelf.objects.items() if "/webhooks/" in path]
    assert urls == ["http://127.0.0.1:9001"]


async def test_a_start_that_was_cut_short_is_completed(
    shelf: Shelf, prepare: Callable[[str], Any]
) -> None:
    shelf.refuse = "/ivrs"
    with pytest.raises(InternalError, match="was answered 409"):
        await prepare("http://127.0.0.1:9000")
    shelf.refuse = ""
    shelf.changes.clear()
    await prepare("http://127.0.0.1:9000")
    assert shelf.changes == ["POST ivrs", "POST dids", "POST webhooks"]
