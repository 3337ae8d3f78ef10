"""Writes XML; the only place that does.

Before FreeSWITCH parses an answer it preprocesses its text, as if it were a file of its own
(switch_xml.c, preprocess): `$${...}` becomes a global variable, and a line that holds
`x-pre-process` anywhere, in any case, is obeyed or dropped. An answer is one line, so that the user
name of one gateway could empty the gateways of every tenant. Both are written with a character
reference, which the preprocessor does not see through and the parser turns back.

Documents are of elements and attributes alone, and written while FreeSWITCH waits: with their
trees made of strings they take a third of the time that lxml takes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

NOT_FOUND = (
    b'<document type="freeswitch/xml"><section name="result">'
    b'<result status="not found"/></section></document>'
)
"""What FreeSWITCH takes as "ask the next binding", without a line in its log."""


_PREPROCESSED = re.compile(rb"\$(?=\$)|x(?=-pre-process)", re.IGNORECASE)

# Anything but printable ASCII that stands for itself in an attribute.
_NOT_PLAIN = re.compile(r"[^ !#-%'-;=?-~]")
# What is no character of XML 1.0 (section 2.2), not even as a reference.
_NO_CHARACTER = re.compile(r"[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_REFERENCES = str.maketrans(
    {it: f"&#{ord(it)};" for it in "\t\n\r"}
    | {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}
)


class Element:
    """One element; its attributes are written at once, its children when it is."""

    __slots__ = ("_children", "_opened", "_tag")

    def __init__(self, tag: str) -> None:
        self._tag = tag
        self._opened = f"<{tag}"
        self._children: list[Element | str] = []

    def set(self, name: str, value: str) -> None:
        """Give it an attribute that it does not have yet. ValueError for what XML cannot hold."""
        self._opened += f' {name}="{_quoted(value)}"'

    def add(self, child: Element | str) -> None:
        """Put an element, or the text of a whole one, behind its children."""
        self._children.append(child)

    def write(self, into: list[str]) -> None:
        """Append its text."""
        if not self._children:
            into.append(f"{self._opened}/>")
            return
        into.append(f"{self._opened}>")
        for child in self._children:
            if isinstance(child, str):
                into.append(child)
            else:
                child.write(into)
        into.append(f"</{self._tag}>")


def document(section: str) -> tuple[Element, Element]:
    """A fresh document and its one section."""
    root = Element("document")
    root.set("type", "freeswitch/xml")
    return root, child(root, "section", name=section)


def child(parent: Element, tag: str, **attributes: str) -> Element:
    """A new last child; a trailing underscore of an attribute's name is dropped."""
    made = Element(tag)
    for name, value in attributes.items():
        made.set(name.rstrip("_").replace("_", "-") if "_" in name else name, value)
    parent.add(made)
    return made


def pairs(
    parent: Element,
    tag: str,
    items: Iterable[tuple[str, str | None]],
    names: tuple[str, str] = ("name", "value"),
) -> None:
    """`<tag name= value=>` for each item that has a value, under these names of attributes."""
    first, second = names
    for name, value in items:
        if value is not None:
            parent.add(f'<{tag} {first}="{_quoted(name)}" {second}="{_quoted(value)}"/>')


def to_bytes(root: Element) -> bytes:
    """The document as UTF-8, with nothing in it that FreeSWITCH's preprocessor acts on."""
    parts: list[str] = []
    root.write(parts)
    return _inert("".join(parts))


def dialplan(context: str, extension: str, actions: Iterable[tuple[str, str]]) -> bytes:
    """A dialplan document of one extension with one condition that always holds.

    `actions` are (application, data); applications are taken as they are. ValueError for what XML
    cannot hold. The document that is asked for most is written without a tree.
    """
    parts = [
        '<document type="freeswitch/xml"><section name="dialplan">'
        f'<context name="{_quoted(context)}"><extension name="{_quoted(extension)}"><condition>'
    ]
    parts += [
        f'<action application="{application}" data="{_quoted(data)}"/>'
        if data
        else f'<action application="{application}"/>'
        for application, data in actions
    ]
    parts.append("</condition></extension></context></section></document>")
    return _inert("".join(parts))


def _inert(document: str) -> bytes:
    """A document as UTF-8, with nothing in it that FreeSWITCH's preprocessor acts on."""
    written = document.encode()
    if b"$$" in written or b"-pre-process" in written.lower():
        return _PREPROCESSED.sub(lambda found: b"&#%d;" % found[0][0], written)
    return written


def _quoted(value: str) -> str:
    """The value of an attribute, between double quotes. ValueError for what XML cannot hold."""
    if _NOT_PLAIN.search(value) is None:
        return value
    if _NO_CHARACTER.search(value) is not None:
        raise ValueError(f"XML has no such character: {value[:80]!r}")
    return value.translate(_REFERENCES)
