"""JSON Pointers (RFC 6901)."""

from __future__ import annotations

from collections.abc import Iterable


def pointer(path: Iterable[str | int]) -> str:
    """The pointer to where these steps into a document lead."""
    return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in path)
