"""What a handler gives back, and how values become JSON."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import attrs
import orjson

from nizam.http.stream import Lasting, Stream
from nizam.model.events import timestamp

JSON = "application/json"
PROBLEM = "application/problem+json"


@attrs.frozen
class Reply:
    """An answer: `body` is written as JSON, bytes are written as they are, None is no body, a
    Stream is written piece by piece, and what is `lasting` for as long as the client stays."""

    body: Any = None
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    content_type: str = JSON
    lasting: Lasting | None = None

    def payload(self) -> bytes:
        """The bytes of the body; those of a Stream are not in them."""
        if self.body is None or isinstance(self.body, Stream):
            return b""
        return self.body if isinstance(self.body, bytes) else to_json(self.body)


def to_json(value: Any) -> bytes:
    """`value` as JSON: times in UTC with microseconds, UUIDs as text."""
    return orjson.dumps(value, default=_plain, option=orjson.OPT_PASSTHROUGH_DATETIME)


def _plain(value: object) -> Any:
    if isinstance(value, datetime):
        return timestamp(value)
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, frozenset | set):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")
