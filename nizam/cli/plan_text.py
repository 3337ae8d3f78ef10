"""Plans for people: a line for each object, below it one for each field, and the numbers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import click

_SIGNS: Mapping[str, tuple[str, str]] = {
    "create": ("+", "green"),
    "update": ("~", "yellow"),
    "delete": ("-", "red"),
}
_DONE: Mapping[str, str] = {"create": "created", "update": "changed", "delete": "deleted"}
_TO_DO: Mapping[str, str] = {"create": "to create", "update": "to change", "delete": "to delete"}


def plan_lines(changes: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """A line for each object and each field, coloured for a terminal."""
    for it in changes:
        sign, color = _SIGNS[it["operation"]]
        yield click.style(f"{sign} {it['type']} {it['key']}", fg=color, bold=True)
        for field in it["fields"]:
            name = field["path"].lstrip("/").replace("/", ".")
            before, after = _side(field, "before"), _side(field, "after")
            if it["operation"] == "create":
                yield f"    {name}: {click.style(after, fg='green')}"
            else:
                arrow = f"{click.style(before, fg='red')} -> {click.style(after, fg='green')}"
                yield f"    {name}: {arrow}"


def summary_line(summary: Mapping[str, Any], *, done: bool = False) -> str:
    """How many objects of which fate."""
    words = _DONE if done else _TO_DO
    counts = [f"{summary[name]} {word}" for name, word in words.items() if summary[name]]
    nothing = "nothing changed" if done else "nothing to do"
    return f"{', '.join(counts) or nothing}; {summary['unchanged']} unchanged"


def _side(field: Mapping[str, Any], name: str) -> str:
    if name not in field:
        return "(default)"
    return json.dumps(field[name], ensure_ascii=False)
