"""Webhook endpoints on loopback that check every signature and remember what came."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

from standardwebhooks.webhooks import Webhook, WebhookVerificationError
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from tests.chaos.history import Arrival, Refusal


class WebhookReceiver(Resource):
    """Answers 204 to what is signed with `secret`, 401 to everything else.

    The last segment of the address names the endpoint. `counts` says how often each webhook-id
    came, `events` holds the body and `arrived` the time (seconds since the epoch) of its first
    coming; `refused` counts wrong signatures. `note` gets each coming that is answered 204, and
    each refusal. Endpoints in `silent` never answer, those in `failing` answer 503.
    """

    isLeaf = True  # noqa: N815 - Twisted's name

    def __init__(
        self, reactor: Any, secret: str, note: Callable[[Arrival | Refusal], None] | None = None
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.arrivals: list[Arrival] = []
        self.silent: set[str] = set()
        self.failing: set[str] = set()
        self._note = note
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

    def render_POST(self, request: Request) -> bytes | int:  # noqa: N802 - Twisted's name
        """Take one delivery."""
        assert request.content is not None
        endpoint = request.path.rpartition(b"/")[2].decode()
        if endpoint in self.silent:
            # The sender gives up, which ends the connection.
            return NOT_DONE_YET
        if endpoint in self.failing:
            request.setResponseCode(503)
            return b""
        body = request.content.read()
        names = ("webhook-id", "webhook-timestamp", "webhook-signature")
        headers = {name: request.getHeader(name) or "" for name in names}
        try:
            self._webhook.verify(body, headers)
        except WebhookVerificationError:
            self.refused += 1
            if self._note is not None:
                self._note(Refusal(endpoint, self._reactor.seconds()))
            request.setResponseCode(401)
            return b""
        identifier, event = headers["webhook-id"], json.loads(body)
        self.counts[identifier] += 1
        self.events.setdefault(identifier, event)
        now = self._reactor.seconds()
        self.arrived.setdefault(identifier, now)
        arrival = Arrival(
            endpoint,
            identifier,
            event["tenant_id"],
            event["type"],
            event["call_id"],
            hashlib.sha256(body).hexdigest()[:16],
            now,
        )
        self.arrivals.append(arrival)
        if self._note is not None:
            self._note(arrival)
        request.setResponseCode(204)
        return b""
