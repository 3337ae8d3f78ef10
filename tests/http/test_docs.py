"""The reference for people: whole, readable offline and without JavaScript, and true."""

from __future__ import annotations

import io
import re
from functools import cache
from html.parser import HTMLParser
from typing import Any
from uuid import UUID

import httpx
import pytest

from nizam.client import Client
from nizam.http.docs import DocumentationSite, build
from nizam.http.docs.problems import ADVICE
from nizam.http.docs.python import python_example
from tests.http.conftest import Server
from tests.http.described import Operation, document, operations

ID = "01937a5e-0000-7000-8000-00000000000a"
_VOID = {"meta", "link", "input", "br", "wbr"}


class Page(HTMLParser):
    """What tests want to know of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: list[str] = []
        self.links: list[str] = []
        self.loads: list[str] = []
        self.handlers: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.anchors += [found["id"] or ""] if "id" in found else []
        self.links += [found["href"] or ""] if tag == "a" else []
        loaded = found.get("href") if tag == "link" else found.get("src")
        self.loads += [loaded] if loaded else []
        self.handlers += [name for name in found if name.startswith("on") or name == "style"]
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@cache
def site() -> DocumentationSite:
    return build(document())


@cache
def pages() -> dict[str, Page]:
    return {
        f"/docs/{name}".rstrip("/"): Page(content.decode())
        for name, content in site().pages.items()
    }


async def test_pages_and_what_they_load_come_from_here_alone(server: Server) -> None:
    policy = None
    for path in ("/docs", "/docs/extensions", "/docs/style.css", "/docs/search.js"):
        answer = await server.request("GET", path, key=None)
        assert answer.status == 200, path
        policy = answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "public, max-age=300"
    assert policy is not None
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    index = await server.request("GET", "/docs/search.json", key=None)
    assert any("ring_seconds" in it["words"] for it in index.json)
    missing = await server.request("GET", "/docs/nothing", key=None)
    assert (missing.status, missing.json["code"]) == (404, "not_found")


def test_pages_are_well_formed_without_anything_that_the_policy_forbids() -> None:
    for path, page in pages().items():
        assert page.open == [], path
        assert page.handlers == [], path
        assert set(page.loads) == {"/docs/style.css", "/docs/search.js"}, path
        assert len(page.anchors) == len(set(page.anchors)), path


def test_every_link_leads_somewhere() -> None:
    broken = []
    for path, page in pages().items():
        for link in page.links:
            target, _, anchor = link.partition("#")
            if target == "/api/v1/openapi.json":
                continue
            there = pages().get(target or path)
            if there is None or (anchor and anchor not in there.anchors):
                broken.append((path, link))
    assert broken == []


def test_every_operation_is_on_the_page_of_its_tag() -> None:
    for it in operations():
        [tag] = it.described["tags"]
        assert it.name in pages()[f"/docs/{tag}"].anchors


def test_the_type_of_every_problem_leads_to_an_explanation_with_advice() -> None:
    codes = {
        code
        for it in operations()
        for response in it.responses.values()
        for content in response.get("content", {}).values()
        for code in content.get("examples", {})
    }
    codes |= {"method_not_allowed", "expectation_failed"}
    assert codes - set(pages()["/docs"].anchors) == set()
    assert codes - ADVICE.keys() == set(), "say in nizam/http/docs/problems.py what to do"


def _python(it: Operation) -> str | None:
    examples = [media.get("example") for media in it.request_media.values()]
    return python_example(it.name, it.method, it.path, examples[0] if examples else None)


@pytest.mark.parametrize(
    "it",
    [it for it in operations() if "/docs" not in it.path and it.name != "open_websocket"],
    ids=lambda it: it.name,
)
def test_the_python_example_asks_for_the_operation(
    it: Operation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where this fails for a new operation, nizam/http/docs/python.py needs a line for it."""
    example = _python(it)
    assert example is not None
    asked: list[tuple[str, str]] = []

    class Asked(Exception):
        pass

    def record(client: httpx.Client, request: httpx.Request, **options: Any) -> httpx.Response:
        asked.append((request.method, request.url.path))
        raise Asked

    monkeypatch.setattr(httpx.Client, "send", record)
    monkeypatch.setattr(Client, "tenant_id", lambda self, name: UUID(ID))
    known: dict[str, Any] = {"Client": Client, "URL": "http://127.0.0.1"}
    known |= {"ID": ID, "FILE_ID": ID, "FILE": io.BytesIO(b"RIFF")}
    known["LINK"] = f"http://127.0.0.1{re.sub(r'{.*?}', ID, it.path)}?expires=1"
    known["client"] = Client("http://127.0.0.1")
    *before, last = re.split(r"\n(?=\S)", example)
    with pytest.raises(Asked):
        _called("\n".join(before), last, known)
    path = re.sub(r"\{\w+\}", ID, it.path.replace("{greeting}", "1"))
    assert asked == [(it.method, path)]


def _called(before: str, last: str, known: dict[str, Any]) -> None:
    exec(before, known)  # noqa: S102 - an example of ours
    found = eval(last, known)  # noqa: S307 - an example of ours
    if hasattr(found, "first"):
        found.first()
    elif hasattr(found, "__enter__"):
        found.__enter__()
