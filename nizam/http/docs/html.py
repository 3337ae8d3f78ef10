"""Small pieces of HTML, escaped."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from html import escape
from typing import Any

_CODE = re.compile(r"`([^`]+)`")
_LINK = re.compile(r"\[([^\]]+)\]\(([^)\s]+)\)")


def tag(name: str, *inside: str, **attributes: str | None) -> str:
    """An element; `inside` is HTML, attributes are text. `class_` and the like lose their
    underscore, others become dashes; one that is None is left out."""
    given = "".join(
        f' {key.removesuffix("_").replace("_", "-")}="{escape(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{name}{given}>{''.join(inside)}</{name}>"


def code(text: str) -> str:
    """Text as it is typed."""
    return f"<code>{escape(text)}</code>"


def prose(text: str) -> str:
    """Text with `code` and [links](to) in it, in one line."""
    marked = _LINK.sub(r'<a href="\2">\1</a>', escape(text))
    return _CODE.sub(r"<code>\1</code>", marked)


def paragraphs(text: str) -> str:
    """Text whose paragraphs are divided by empty lines."""
    return "".join(tag("p", prose(it)) for it in text.split("\n\n") if it.strip())


def block(text: str, title: str) -> str:
    """A piece of code under a title; it can be scrolled from the keyboard."""
    shown = tag("pre", f"<code>{escape(text)}</code>", tabindex="0", aria_label=title)
    return tag("figure", tag("figcaption", escape(title)), shown)


def as_json(value: Any) -> str:
    """A value as JSON for people."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table; cells are HTML. On a narrow screen each cell is shown under its heading."""
    names = list(head)
    cells = "".join(
        tag("tr", *(tag("td", it, data_label=name) for name, it in zip(names, row, strict=True)))
        for row in rows
    )
    heading = tag("thead", tag("tr", *(tag("th", escape(it), scope="col") for it in names)))
    return tag("div", tag("table", heading, tag("tbody", cells)), class_="scroll")
