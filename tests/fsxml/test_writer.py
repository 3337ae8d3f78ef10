"""Documents hold what was put into them, whatever it is, or are not written at all."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from nizam.fsxml.writer import NOT_FOUND, Element, child, document, pairs, to_bytes

TEXTS = st.text(st.characters(codec=None, exclude_categories=()), max_size=60)


def parsed(written: bytes) -> ElementTree.Element:
    return ElementTree.fromstring(written)  # noqa: S314 - our own document


def is_xml(value: str) -> bool:
    """Whether lxml takes the text, which refuses more than XML does: no tabs and line breaks."""
    try:
        etree.Element("x", {"value": value})
    except ValueError:
        return False
    return True


@given(TEXTS, TEXTS)
def test_an_attribute_reads_back_as_it_was_or_is_refused(name: str, value: str) -> None:
    root, section = document("directory")
    if not (is_xml(name) and is_xml(value)):
        with pytest.raises(ValueError, match="no such character"):
            pairs(section, "param", ((name, value), (value, name)))
        return
    pairs(section, "param", ((name, value), (value, None)))
    child(section, "user", id=value, mailbox_=name)
    (found,) = parsed(to_bytes(root))
    assert [(it.tag, it.attrib) for it in found] == [
        ("param", {"name": name, "value": value}),
        ("user", {"id": value, "mailbox": name}),
    ]


@given(st.recursive(TEXTS.filter(is_xml), lambda inner: st.lists(inner, max_size=3)))
def test_elements_nest_as_lxml_nests_them(tree: Any) -> None:
    def grow(ours: Element, theirs: Any, what: Any) -> None:
        if isinstance(what, str):
            ours.set("value", what)
            theirs.set("value", what)
            return
        for it in what:
            grow(child(ours, "it"), etree.SubElement(theirs, "it"), it)

    ours, theirs = Element("root"), etree.Element("root")
    grow(ours, theirs, tree)
    canonical = etree.tostring(etree.fromstring(to_bytes(ours)), method="c14n")
    assert canonical == etree.tostring(theirs, method="c14n")


@pytest.mark.parametrize("value", ["$${domain}", "$$$", "<X-PRE-PROCESS cmd=", "x-pre-process"])
def test_nothing_is_left_for_the_preprocessor_of_freeswitch(value: str) -> None:
    root, section = document("directory")
    pairs(section, "param", ((value, value),))
    written = to_bytes(root)
    assert b"$$" not in written
    assert b"x-pre-process" not in written.lower()
    assert parsed(written)[0][0].attrib == {"name": value, "value": value}


def test_not_found_is_a_document_too() -> None:
    assert parsed(NOT_FOUND)[0][0].attrib == {"status": "not found"}
