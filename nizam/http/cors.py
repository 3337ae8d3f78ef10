"""Which browsers' pages may call the API (the Fetch standard's CORS protocol)."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from urllib.parse import urlsplit

EXPOSED = (
    "ETag, Location, Retry-After, X-Request-Id, RateLimit, RateLimit-Policy, "
    "X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, Idempotent-Replayed"
)
_ALLOWED = (
    "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, X-CSRF-Token, "
    "X-Request-Id"
)
_MAX_AGE_SECONDS = 600

Headers = tuple[tuple[str, str], ...]


class Cors:
    """The header fields for pages of `origins`; others get none, so the browser refuses them."""

    def __init__(self, origins: Iterable[str]) -> None:
        self._origins = frozenset(origins)

    def simple(self, origin: str | None) -> Headers:
        """The fields of an ordinary answer."""
        if not self._origins:
            return ()
        if origin not in self._origins:
            return (("Vary", "Origin"),)
        return (
            ("Vary", "Origin"),
            ("Access-Control-Allow-Origin", str(origin)),
            ("Access-Control-Allow-Credentials", "true"),
            ("Access-Control-Expose-Headers", EXPOSED),
        )

    def preflight(self, origin: str | None, methods: str) -> Headers:
        """The fields of the answer to a preflight."""
        if origin not in self._origins:
            return ()
        return (
            ("Access-Control-Allow-Methods", methods),
            ("Access-Control-Allow-Headers", _ALLOWED),
            ("Access-Control-Max-Age", str(_MAX_AGE_SECONDS)),
        )


def may_use_session(origin: str, host: str | None, origins: Collection[str]) -> bool:
    """Whether a page of `origin` may use the session of its visitor: it is of the site that is
    asked, or of one of `origins`."""
    try:
        return origin in origins or urlsplit(origin).netloc == host
    except ValueError:
        return False
