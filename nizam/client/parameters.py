"""Arguments of a list as query parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

OPERATORS = frozenset({"gte", "lte", "gt", "lt", "in", "prefix"})


def query_of(filters: Mapping[str, Any]) -> list[tuple[str, str]]:
    """`created_at__gte=...` becomes `created_at[gte]`; None is left out."""
    found = []
    for name, value in filters.items():
        if value is None:
            continue
        field, underscores, operator = name.rpartition("__")
        key = f"{field}[{operator}]" if underscores and operator in OPERATORS else name
        found.append((key, text_of(value)))
    return found


def text_of(value: Any) -> str:
    """A value as a query parameter has it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError("a time needs its zone, such as datetime.now(UTC)")
        return value.isoformat()
    if isinstance(value, Iterable) and not isinstance(value, str):
        return ",".join(map(text_of, value))
    return str(value)
