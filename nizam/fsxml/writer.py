"""Writes XML; the only place that does."""

from __future__ import annotations

from collections.abc import Iterable

from lxml import etree

Element = etree._Element

NOT_FOUND = (
    b'<document type="freeswitch/xml"><section name="result">'
    b'<result status="not found"/></section></document>'
)
"""What FreeSWITCH takes as "ask the next binding", without a line in its log."""


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
    """The document as UTF-8."""
    return etree.tostring(root, encoding="UTF-8", xml_declaration=False)
