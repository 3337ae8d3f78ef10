"""Range requests (RFC 9110, section 14): one range of bytes of a file that has a strong tag."""

from __future__ import annotations

import re

from nizam.errors import RangeNotSatisfiable

_RANGE = re.compile(r"bytes=\s*(\d{0,15})\s*-\s*(\d{0,15})\s*\Z")


def requested_range(
    header: str | None, if_range: str | None, tag: str, size: int
) -> tuple[int, int] | None:
    """The first and the last byte that are asked for; None if it is the whole file.

    A field that is not understood, several ranges, and a range of another version of the file
    (`If-Range` with other than `tag`) are answered with the whole, as the RFC allows. Raises
    RangeNotSatisfiable for a range that begins after the end.
    """
    found = None if header is None else _RANGE.match(header)
    if found is None or (if_range is not None and if_range.strip() != tag):
        return None
    first, last = found.groups()
    if not first and not last:
        return None
    if not first:
        start, end = max(0, size - int(last)), size - 1
        if int(last) == 0:
            start = size
    else:
        start, end = int(first), min(int(last), size - 1) if last else size - 1
        if last and int(last) < int(first):
            return None
    if start >= size:
        raise RangeNotSatisfiable(
            f"the file has {size} bytes", headers=(("Content-Range", f"bytes */{size}"),)
        )
    return start, end
