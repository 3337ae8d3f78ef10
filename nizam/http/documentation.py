"""The document and the pages that describe the API: /api/v1/openapi.json and /docs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from nizam.errors import NotFound
from nizam.http.docs import DocumentationSite, build
from nizam.http.docs.site import asset
from nizam.http.openapi import document
from nizam.http.reply import Reply, to_json
from nizam.http.route import BASE, Call, Parameter, Route

_FOR_A_WHILE = ("Cache-Control", "public, max-age=300")
_POLICY = (
    "Content-Security-Policy",
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
)
_PAGE = Parameter(
    name="page",
    about="The name of a page, which is that of a tag.",
    schema={"type": "string", "pattern": "^[a-z-]{1,40}$", "examples": ["extensions"]},
    where="path",
)


@attrs.frozen
class _Made:
    """What is answered, as bytes."""

    document: bytes
    site: DocumentationSite


class Documentation:
    """The handlers; everything is made once, in a thread, when it is first asked for. `routes`
    gives every route of the API."""

    def __init__(self, all_routes: Callable[[], Sequence[Route]], server_url: str) -> None:
        self._all_routes = all_routes
        self._server_url = server_url
        self._made: _Made | None = None
        self._waiting: list[Deferred[None]] | None = None

    async def openapi(self, call: Call) -> Reply:
        """The OpenAPI document."""
        made = await self._ready()
        return Reply(made.document, headers=(_FOR_A_WHILE,))

    async def docs(self, call: Call) -> Reply:
        """The first page, or the one that the path names."""
        made = await self._ready()
        found = made.site.pages.get(call.path.get("page", ""))
        if found is None:
            raise NotFound("there is no such page")
        return _file(found, "text/html; charset=utf-8")

    async def style(self, call: Call) -> Reply:
        """How the pages look."""
        return _file(asset("style.css"), "text/css; charset=utf-8")

    async def script(self, call: Call) -> Reply:
        """How the pages are searched."""
        return _file(asset("search.js"), "text/javascript; charset=utf-8")

    async def index(self, call: Call) -> Reply:
        """What the search looks through."""
        return _file((await self._ready()).site.index, "application/json")

    async def _ready(self) -> _Made:
        """What was made; whoever asks meanwhile waits for the same."""
        if self._made is None and self._waiting is None:
            self._waiting = []
            try:
                self._made = await deferToThread(self._make)
            finally:
                waiting, self._waiting = self._waiting, None
                for it in waiting:
                    it.callback(None)
        elif self._waiting is not None:
            turn: Deferred[None] = Deferred()
            self._waiting.append(turn)
            await turn
        return self._made if self._made is not None else await self._ready()

    def _make(self) -> _Made:
        found = document(self._all_routes(), self._server_url)
        return _Made(to_json(found), build(found))

    def routes(self) -> list[Route]:
        """The routes of this file."""
        html: dict[str, Any] = {"media_type": "text/html", "response": _TEXT}
        return [
            Route(
                method="GET",
                path=f"{BASE}/openapi.json",
                handler=self.openapi,
                summary="This document.",
                operation="openapi",
                tag="documentation",
                access="public",
                response={"type": "object", "description": "An OpenAPI 3.1 document."},
            ),
            _page("/docs", self.docs, "The API for people to read.", "docs", **html),
            _page(
                "/docs/{page}",
                self.docs,
                "One page of the reference.",
                "docs_page",
                parameters=(_PAGE,),
                **html,
            ),
            _page(
                "/docs/style.css",
                self.style,
                "How the reference looks.",
                "docs_style",
                media_type="text/css",
                response=_TEXT,
            ),
            _page(
                "/docs/search.js",
                self.script,
                "How the reference is searched.",
                "docs_script",
                media_type="text/javascript",
                response=_TEXT,
            ),
            _page(
                "/docs/search.json",
                self.index,
                "What the search of the reference looks through.",
                "docs_index",
                response=_INDEX,
            ),
        ]


_TEXT: dict[str, Any] = {"type": "string"}
_FIELDS = {
    "title": {"type": "string", "description": "What it is."},
    "url": {"type": "string", "description": "Where it is."},
    "words": {"type": "string", "description": "The words that find it."},
}
_INDEX: dict[str, Any] = {
    "type": "array",
    "items": {"type": "object", "required": list(_FIELDS), "properties": _FIELDS},
}


def _page(path: str, handler: Any, summary: str, operation: str, **more: Any) -> Route:
    return Route(
        method="GET",
        path=path,
        handler=handler,
        summary=summary,
        operation=operation,
        tag="documentation",
        access="public",
        **more,
    )


def _file(content: bytes, content_type: str) -> Reply:
    return Reply(content, headers=(_POLICY, _FOR_A_WHILE), content_type=content_type)
