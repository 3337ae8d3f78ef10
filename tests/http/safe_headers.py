"""What every answer over HTTP has to tell a browser. `Server.request` looks at all answers that
tests get, so this goes for each route, whatever it answers."""

from __future__ import annotations

from collections.abc import Mapping

EXPECTED = {
    "x-content-type-options": ("nosniff",),
    "x-frame-options": ("DENY",),
    "referrer-policy": ("no-referrer",),
}
PUBLIC = ("public, max-age=300",)
"""What is the same for everybody: the document and the pages that describe the API."""
KEPT = ("no-store", "private, no-cache", *PUBLIC)


def unsafe_headers(headers: Mapping[str, str]) -> list[str]:
    """What is missing or too lax in the header of an answer, by names in lower case."""
    wrong = [
        f"{name} is {headers.get(name)}"
        for name, allowed in EXPECTED.items()
        if headers.get(name) not in allowed
    ]
    policy = headers.get("content-security-policy", "")
    if not policy.startswith("default-src 'none'; ") or "frame-ancestors 'none'" not in policy:
        wrong.append(f"content-security-policy is {policy!r}")
    if "unsafe" in policy or "*" in policy:
        wrong.append(f"content-security-policy allows too much: {policy!r}")
    if headers.get("cache-control") not in KEPT:
        wrong.append(f"cache-control is {headers.get('cache-control')}")
    return wrong
