"""What every answer over HTTP tells a browser that it must not do.

FreeSWITCH's lookups have none of it: no browser asks for them, and they are to cost nothing.
"""

from __future__ import annotations

from typing import Final

Header = tuple[str, str]

ALWAYS: Final[tuple[Header, ...]] = (
    # Take a file for what it is said to be.
    ("X-Content-Type-Options", "nosniff"),
    # Nothing of it is a page: a page says for itself what it may load.
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("X-Frame-Options", "DENY"),
    # Addresses hold ids, and some a ticket.
    ("Referrer-Policy", "no-referrer"),
    # Nearly every answer holds what one caller alone may see.
    ("Cache-Control", "no-store"),
)
_TRANSPORT: Final = ("Strict-Transport-Security", "max-age=31536000")
"""For a year only with TLS (RFC 6797). Other names of the domain are none of our business."""


def security_headers(app_url: str) -> tuple[Header, ...]:
    """The fields of every answer, for clients that come to `app_url`."""
    return (*ALWAYS, _TRANSPORT) if app_url.startswith("https://") else ALWAYS
