"""What the header fields of a webhook may be."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from nizam.model.webhook import Webhook

URL = "https://example.com/hooks"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"headers": {"X-Team": "blue"}}, None),
        ({"authentication": {"value": "Bearer abc"}}, None),
        ({"authentication": {"header": "X-Api-Key", "value": "abc"}}, None),
        ({"headers": {"Authorization": "Bearer abc"}}, "goes into authentication"),
        ({"headers": {"cookie": "a=b"}}, "goes into authentication"),
        ({"headers": {"X-API-KEY": "abc"}}, "goes into authentication"),
        (
            {"headers": {"x-key": "a"}, "authentication": {"header": "X-Key", "value": "b"}},
            "goes into authentication",
        ),
        ({"headers": {"Host": "inside"}}, "set by NIZAM"),
        ({"headers": {"webhook-id": "1"}}, "set by NIZAM"),
        ({"authentication": {"header": "Content-Length", "value": "1"}}, "set by NIZAM"),
        ({"authentication": {"header": "Webhook-Signature", "value": "1"}}, "set by NIZAM"),
        ({"authentication": {"value": "a\r\nX-Other: b"}}, "pattern"),
        ({"headers": {"X-Team": "a\r\nX-Other: b"}}, "pattern"),
        ({"headers": {"X Team": "a"}}, "pattern"),
    ],
)
def test_header_fields(fields: dict[str, Any], reason: str | None) -> None:
    if reason is None:
        assert Webhook.model_validate({"url": URL, **fields}).url == URL
    else:
        with pytest.raises(ValidationError, match=reason):
            Webhook.model_validate({"url": URL, **fields})
