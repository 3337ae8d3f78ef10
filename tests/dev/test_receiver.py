"""The demo receiver against the published signer of Standard Webhooks."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook
from twisted.web.server import Request
from twisted.web.test.requesthelper import DummyChannel

from nizam.dev.receiver import Receiver

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOW = 1_800_000_000.0
BODY = b'{"type": "call.started", "id": "evt_1"}'


class Site:
    """Puts requests to a receiver without a network."""

    def __init__(self) -> None:
        self.receiver = Receiver(SECRET, lambda: NOW)

    def request(self, method: str, headers: dict[str, str], body: bytes = b"") -> tuple[int, bytes]:
        request = Request(DummyChannel(), False)  # type: ignore[no-untyped-call]
        request.method = method.encode()
        request.content = BytesIO(body)
        for name, value in headers.items():
            request.requestHeaders.setRawHeaders(name, [value])
        answer: Any = self.receiver.render(request)  # type: ignore[no-untyped-call]
        return request.code, answer

    def deliver(
        self, delivery: str = "msg_1", at: float = NOW, body: bytes = BODY, **changed: str
    ) -> int:
        when = datetime.fromtimestamp(at, UTC)
        headers = {
            "webhook-id": delivery,
            "webhook-timestamp": str(int(at)),
            "webhook-signature": Webhook(SECRET).sign(delivery, when, BODY.decode()),
        }
        headers |= {f"webhook-{name}": value for name, value in changed.items()}
        return self.request("POST", headers, body)[0]

    @property
    def shown(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.request("GET", {})[1])
        return found


def test_a_genuine_delivery_is_counted_once() -> None:
    site = Site()
    assert [site.deliver("msg_1"), site.deliver("msg_1"), site.deliver("msg_2")] == [204, 204, 204]
    assert site.shown == {
        "verified": 2,
        "repeated": 1,
        "rejected": 0,
        "types": {"call.started": 2},
        "latest": [json.loads(BODY)] * 2,
    }


def test_one_right_signature_among_several_is_enough() -> None:
    site = Site()
    right = Webhook(SECRET).sign("msg_1", datetime.fromtimestamp(NOW, UTC), BODY.decode())
    assert site.deliver(signature=f"v1,AAAA {right}") == 204


@pytest.mark.parametrize(
    "wrong",
    [
        {"body": BODY + b" "},
        {"id": "msg_2"},
        {"timestamp": str(int(NOW) + 1)},
        {"timestamp": "soon"},
        {"signature": ""},
        {"signature": "v1,AAAA"},
        {"at": NOW - 301},
        {"at": NOW + 301},
    ],
)
def test_anything_else_is_rejected(wrong: dict[str, Any]) -> None:
    site = Site()
    assert site.deliver(**wrong) == 401
    assert (site.shown["verified"], site.shown["rejected"]) == (0, 1)
