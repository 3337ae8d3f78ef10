"""A receiver for the demo tenant's webhook: verifies each delivery, counts them, shows the count.

The verification follows Standard Webhooks 1.0 and is written out here on its own, as the receiver
of an integrator would be, so that it does not agree with the sender by sharing its code.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import Any

from twisted.web.http import NO_CONTENT, UNAUTHORIZED
from twisted.web.resource import Resource
from twisted.web.server import Request

TOLERANCE_SECONDS = 300
_REMEMBERED = 100_000


class Receiver(Resource):
    """POST takes a delivery, GET says what has come. `now` gives seconds since the epoch."""

    isLeaf = True  # noqa: N815 - Twisted's name

    def __init__(self, secret: str, now: Callable[[], float]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._key = base64.b64decode(secret.removeprefix("whsec_"))
        self._now = now
        self._seen: set[str] = set()
        self._order: deque[str] = deque()
        self._counts = Counter({"verified": 0, "rejected": 0, "repeated": 0})
        self._types: Counter[str] = Counter()
        self._latest: deque[Any] = deque(maxlen=10)

    def render_POST(self, request: Request) -> bytes:  # noqa: N802 - Twisted's name
        assert request.content is not None  # noqa: S101 - Twisted's promise
        body: bytes = request.content.read()
        headers = {
            name: request.getHeader(f"webhook-{name}") or ""
            for name in ("id", "timestamp", "signature")
        }
        if not self._is_genuine(headers, body):
            self._counts["rejected"] += 1
            request.setResponseCode(UNAUTHORIZED)
            return b""
        request.setResponseCode(NO_CONTENT)
        if self._is_new(headers["id"]):
            event = json.loads(body)
            self._counts["verified"] += 1
            self._types[event.get("type", "")] += 1
            self._latest.append(event)
        else:
            self._counts["repeated"] += 1
        return b""

    def render_GET(self, request: Request) -> bytes:  # noqa: N802 - Twisted's name
        request.setHeader("Content-Type", "application/json")  # type: ignore[no-untyped-call]
        shown = dict(self._counts) | {"types": self._types, "latest": list(self._latest)}
        return json.dumps(shown, indent=2).encode() + b"\n"

    def _is_genuine(self, headers: Mapping[str, str], body: bytes) -> bool:
        try:
            age = abs(self._now() - int(headers["timestamp"]))
        except ValueError:
            return False
        signed = f"{headers['id']}.{headers['timestamp']}.".encode() + body
        digest = hmac.new(self._key, signed, hashlib.sha256).digest()
        expected = b"v1," + base64.b64encode(digest)
        given = headers["signature"].encode().split()
        # compare_digest for each: no early end that tells how much of it was right.
        right = [hmac.compare_digest(expected, signature) for signature in given]
        return age <= TOLERANCE_SECONDS and any(right)

    def _is_new(self, delivery_id: str) -> bool:
        if delivery_id in self._seen:
            return False
        self._seen.add(delivery_id)
        self._order.append(delivery_id)
        if len(self._order) > _REMEMBERED:
            self._seen.discard(self._order.popleft())
        return True
