"""Signatures of deliveries, as Standard Webhooks 1.0 defines them.

The signed content is `id.timestamp.body`; a signature is `v1,` and the Base64 of its
HMAC-SHA256. While a secret is being rotated each request carries one signature per secret,
separated by blanks, and a receiver accepts any of them.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Sequence

PREFIX = "whsec_"
_SECRET_BYTES = 32


def new_secret() -> str:
    """A fresh signing secret: `whsec_` and the Base64 of 32 random bytes."""
    return PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def key_of(secret: str) -> bytes:
    """The key inside a secret, with or without its prefix or Base64 padding.

    Raises ValueError when it is no Base64, or empty.
    """
    text = secret.removeprefix(PREFIX)
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error as error:
        raise ValueError("the signing secret is not Base64") from error
    if not key:
        raise ValueError("the signing secret is empty")
    return key


def signature(keys: Sequence[bytes], message_id: str, timestamp: int, body: bytes) -> str:
    """The value of `webhook-signature`: one signature for each key, in their order.

    `timestamp` is in whole seconds since the epoch and must be the one that is sent.
    """
    content = b"%s.%d.%s" % (message_id.encode(), timestamp, body)
    digests = (hmac.digest(key, content, hashlib.sha256) for key in keys)
    return " ".join("v1," + base64.b64encode(digest).decode() for digest in digests)


def signed_headers(
    keys: Sequence[bytes], message_id: str, timestamp: int, body: bytes
) -> dict[str, str]:
    """The three headers that Standard Webhooks prescribes.

    `message_id` is the event's id: the same at every attempt and every replay, so that a receiver
    can tell what it has seen.
    """
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature(keys, message_id, timestamp, body),
    }
