"""The document and the page that describe the API: /api/v1/openapi.json and /docs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from nizam.http.docs import page
from nizam.http.openapi import document
from nizam.http.reply import Reply, to_json
from nizam.http.route import BASE, Call, Route


class Documentation:
    """The handlers; both answers are made once. `routes` gives every route of the API."""

    def __init__(self, all_routes: Callable[[], Sequence[Route]], server_url: str) -> None:
        self._all_routes = all_routes
        self._server_url = server_url

    @cached_property
    def document(self) -> dict[str, Any]:
        """The OpenAPI document."""
        return document(self._all_routes(), self._server_url)

    @cached_property
    def _document_bytes(self) -> bytes:
        return to_json(self.document)

    @cached_property
    def _page(self) -> bytes:
        return page(self.document)

    async def openapi(self, call: Call) -> Reply:
        """The OpenAPI document."""
        return Reply(self._document_bytes, headers=(("Cache-Control", "public, max-age=300"),))

    async def docs(self, call: Call) -> Reply:
        """The page."""
        policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
        return Reply(
            self._page,
            headers=(("Content-Security-Policy", policy),),
            content_type="text/html; charset=utf-8",
        )

    def routes(self) -> list[Route]:
        """The routes of this file."""
        return [
            Route(
                method="GET",
                path=f"{BASE}/openapi.json",
                handler=self.openapi,
                summary="This document.",
                operation="openapi",
                tag="documentation",
                access="public",
                response={"type": "object"},
            ),
            Route(
                method="GET",
                path="/docs",
                handler=self.docs,
                summary="The API for people to read.",
                operation="docs",
                about="This reference, made of the same document.",
                tag="documentation",
                access="public",
                response={"type": "string"},
                media_type="text/html",
            ),
        ]
