"""Entity tags of resources (RFC 9110, 8.8.3 and 13.1): the version, as a strong tag."""

from __future__ import annotations

import re

from nizam.errors import BadRequest

_TAG = re.compile(r'\s*(W/)?"([\x21\x23-\x7e\x80-\xff]*)"\s*(?:,|$)')


def etag(version: int) -> str:
    """The strong entity tag of this version of a resource."""
    return f'"{version}"'


def if_match(header: str | None) -> frozenset[int] | None:
    """The versions that `If-Match` accepts; None if it accepts any, or there is no header.

    The comparison is the strong one: a weak tag never matches. A tag that is none of ours
    matches nothing. Raises BadRequest for a header that is not a list of tags.
    """
    if header is None or header.strip() == "*":
        return None
    tags = _tags(header)
    return frozenset(
        int(tag) for weak, tag in tags if not weak and re.fullmatch("[0-9]{1,18}", tag)
    )


def if_none_match(header: str | None, version: int | str) -> bool:
    """Whether `If-None-Match` says that the client has this version, or the file with this tag,
    already (weak comparison)."""
    if header is None:
        return False
    if header.strip() == "*":
        return True
    return any(tag == str(version) for _, tag in _tags(header))


def _tags(header: str) -> list[tuple[bool, str]]:
    found: list[tuple[bool, str]] = []
    position = 0
    while position < len(header):
        match = _TAG.match(header, position)
        if match is None:
            raise BadRequest('an entity tag is missing its quotes, as in "3"')
        found.append((match.group(1) is not None, match.group(2)))
        position = match.end()
    return found
