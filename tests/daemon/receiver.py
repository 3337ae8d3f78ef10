"""A webhook endpoint on loopback that checks every signature and remembers what came."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from standardwebhooks.webhooks import Webhook, WebhookVerificationError
from twisted.web.resource import Resource
from twisted.web.server import Request, Site


class WebhookReceiver(Resource):
    """Answers 204 to what is signed with `secret`, 401 to everything else.

    `counts` says how often each webhook-id came, `events` holds the body and `arrived` the time
    (seconds since the epoch) of its first coming; `refused` counts wrong signatures.
    """

    isLeaf = True  # noqa: N815 - Twisted's name

    def __init__(self, reactor: Any, secret: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._reactor = reactor
        self._webhook = Webhook(secret)
        self._port: Any = None
        self.counts: Counter[str] = Counter()
        self.events: dict[str, dict[str, Any]] = {}
        self.arrived: dict[str, float] = {}
        self.refused = 0

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._port.getHost().port}/"

    def start(self) -> None:
        """Listen on a free port."""
        site = Site(self)  # type: ignore[no-untyped-call]
        site.noisy = False
        self._port = self._reactor.listenTCP(0, site, interface="127.0.0.1")

    async def stop(self) -> None:
        """Listen no more."""
        await self._port.stopListening()

    def render_POST(self, request: Request) -> bytes:  # noqa: N802 - Twisted's name
        """Take one delivery."""
        assert request.content is not None
        body = request.content.read()
        names = ("webhook-id", "webhook-timestamp", "webhook-signature")
        headers = {name: request.getHeader(name) or "" for name in names}
        try:
            self._webhook.verify(body, headers)
        except WebhookVerificationError:
            self.refused += 1
            request.setResponseCode(401)
            return b""
        identifier = headers["webhook-id"]
        self.counts[identifier] += 1
        self.events.setdefault(identifier, json.loads(body))
        self.arrived.setdefault(identifier, self._reactor.seconds())
        request.setResponseCode(204)
        return b""
