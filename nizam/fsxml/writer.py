"""Writes XML; the only place that does.

Before FreeSWITCH parses an answer it preprocesses its text, as if it were a file of its own
(switch_xml.c, preprocess): `$${...}` becomes a global variable, and a line that holds
`x-pre-process` anywhere, in any case, is obeyed or dropped. An answer is one line, so that the user
name of one gateway could empty the gateways of every tenant. Both are written with a character
reference, which the preprocessor does not see through and the parser turns back.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from lxml import etree

Element = etree._Element

NOT_FOUND = (
    b'<document type="freeswitch/xml"><section name="result">'
    b'<result status="not found"/></section></document>'
)
"""What FreeSWITCH takes as "ask the next binding", without a line in its log."""


_PREPROCESSED = re.compile(rb"\$(?=\$)|x(?=-pre-process)", re.IGNORECASE)


def document(section: str) -> tuple[Element, Element]:
    """A fresh document and its one section."""
    root = etree.Element("document", {"type": "freeswitch/xml"})
    return root, etree.SubElement(root, "section", {"name": section})


def child(parent: Element, tag: str, **attributes: str) -> Element:
    """A new last child; a trailing underscore of an attribute's name is dropped."""
    return etree.SubElement(
        parent, tag, {name.rstrip("_").replace("_", "-"): it for name, it in attributes.items()}
    )


def pairs(parent: Element, tag: str, items: Iterable[tuple[str, str | None]]) -> None:
    """`<tag name= value=>` for each item that has a value."""
    for name, value in items:
        if value is not None:
            etree.SubElement(parent, tag, {"name": name, "value": value})


def to_bytes(root: Element) -> bytes:
    """The document as UTF-8, with nothing in it that FreeSWITCH's preprocessor acts on."""
    written = etree.tostring(root, encoding="UTF-8", xml_declaration=False)
    if b"$$" in written or b"-pre-process" in written.lower():
        return _PREPROCESSED.sub(lambda found: b"&#%d;" % found[0][0], written)
    return written
