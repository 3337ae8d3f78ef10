"""Signatures of the Pusher protocol: https://pusher.com/docs/channels/library_auth_reference/."""

from __future__ import annotations

import hashlib
import hmac
from urllib.parse import urlencode


def signed_query(path: str, body: bytes, key: str, secret: str, moment: int) -> str:
    """The query with which a POST of `body` to `path` is signed at `moment`, in Unix seconds."""
    fields = {
        "auth_key": key,
        "auth_timestamp": str(moment),
        "auth_version": "1.0",
        # What the protocol asks for; the signature over it is HMAC-SHA256.
        "body_md5": hashlib.md5(body, usedforsecurity=False).hexdigest(),
    }
    query = urlencode(fields)
    text = "\n".join(("POST", path, query))
    signature = hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    return f"{query}&auth_signature={signature}"
