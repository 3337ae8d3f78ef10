"""The header fields of requests and answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nizam.http.openapi.walk import Schema

_TEXT: Schema = {"type": "string"}


def _header(about: str, example: Any, schema: Schema = _TEXT) -> dict[str, Any]:
    return {"description": about, "schema": schema, "example": example}


HEADERS: Mapping[str, Mapping[str, Any]] = {
    "X-Request-Id": _header(
        "Finds the request in the log; the client's own if it sent one.",
        "01937a5e-0000-7000-8000-00000000000b",
    ),
    "RateLimit": _header(
        "Requests left (r) and seconds until all are there again (t), by policy.",
        '"default";r=59;t=1',
    ),
    "RateLimit-Policy": _header(
        "Requests (q) in a window of seconds (w), by policy.", '"default";q=60;w=60'
    ),
    "X-RateLimit-Limit": _header("Requests a minute.", 60, {"type": "integer"}),
    "X-RateLimit-Remaining": _header("Requests left.", 59, {"type": "integer"}),
    "X-RateLimit-Reset": _header(
        "Seconds until all requests are there again.", 1, {"type": "integer"}
    ),
    "Retry-After": _header(
        "Seconds to wait before the request is sent again.", 1, {"type": "integer"}
    ),
    "ETag": _header("The version of the object, for If-Match and If-None-Match.", '"1"'),
    "Location": _header(
        "The path of what was made.", "/api/v1/tenants/01937a5e-0000-7000-8000-00000000000a"
    ),
    "Idempotent-Replayed": _header(
        "true when this is the stored answer to an earlier request with this Idempotency-Key.",
        "true",
        {"const": "true"},
    ),
    "WWW-Authenticate": _header("How to sign in.", 'Bearer realm="nizam"'),
    "Set-Cookie": _header("The session, for browsers.", "nizam_session=...; HttpOnly; Path=/"),
    "Accept-Ranges": _header("That parts of it can be asked for.", "bytes"),
    "Content-Range": _header("Which part of the file it is.", "bytes 0-99/1000"),
    "Content-Disposition": _header("What to call the file.", 'attachment; filename="file"'),
}
"""The fields of answers, by name."""

RATE_LIMITS = (
    "RateLimit",
    "RateLimit-Policy",
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
)


def references(*names: str) -> dict[str, Any]:
    """References to the fields, as an answer lists them."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
