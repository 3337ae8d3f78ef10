"""Large documents are read in pieces, as strictly as small ones and with the same result."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nizam.document.read import MAX_ELEMENT, MAX_OBJECTS, read_document
from nizam.errors import MalformedJson, PayloadTooLarge, ValidationFailed
from nizam.slices import at_once

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**17), 10**17) | TEXTS
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(st.dictionaries(TEXTS, VALUES, max_size=5), st.sampled_from([None, 2]))
def test_it_reads_what_json_says(document: Any, indent: int | None) -> None:
    raw = json.dumps(document, indent=indent, ensure_ascii=indent is None).encode()
    assert at_once(read_document(raw)) == document


@given(st.binary(max_size=200))
def test_whatever_comes_is_read_or_refused(raw: bytes) -> None:
    with contextlib.suppress(MalformedJson, ValidationFailed):
        at_once(read_document(raw))


def test_elements_over_the_edges_of_its_window_are_whole() -> None:
    elements = [{"n": it, "text": "x" * (it * 997 % 70_000)} for it in range(60)]
    document = {"first": elements, "then": "y" * 1000, "last": elements[:9]}
    assert at_once(read_document(json.dumps(document).encode())) == document


def test_it_gives_way_often() -> None:
    raw = json.dumps({"extensions": [{"number": str(it)} for it in range(1000)]}).encode()
    assert sum(1 for _ in read_document(raw)) >= 20


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "empty"), (b" \n ", "empty"), (b"\xff", "UTF-8"), (b"[]", "not a JSON object"),
        (b"{", "line 1"), (b'{"a"}', "':' is expected"), (b'{"a": 1,}', "line 1"),
        (b'{"a": 1} x', "follows"), (b"{1: 2}", "key"), (b'{"a": [1 2]}', "expected"),
        (b'{"a": [1,]}', "line 1"), (b'{\n "a": x}', "line 2"), (b'{"a": [Infinity]}', "Infinity"),
        (b'{"a": 1, "a": 2}', "twice"), (b'{"a": [{"b": 1, "b": 2}]}', "twice"),
        (b'{"a": "\\udead"}', "surrogate"), (b'{"a": ' + b"[" * 50 + b"]" * 50 + b"}", "deep"),
        (b'{"a": ' + b'{"a":' * 100_000, "deep"), (b'{"a": "' + b"x" * MAX_ELEMENT, "larger"),
    ],
)  # fmt: skip
def test_what_is_no_json_is_refused_with_its_place(raw: bytes, message: str) -> None:
    with pytest.raises(MalformedJson) as caught:
        at_once(read_document(raw))
    assert message in caught.value.detail


def test_every_nul_is_named() -> None:
    with pytest.raises(ValidationFailed) as caught:
        at_once(read_document(b'{"a": [{"b": "\\u0000"}, {"\\u0000": 1}], "c": "\\u0000"}'))
    assert [it.path for it in caught.value.errors] == ["/a/0/b", "/a/1", "/c"]


def test_there_is_a_limit_to_the_objects_of_all_lists_together() -> None:
    half = ["x"] * (MAX_OBJECTS // 2)
    at_once(read_document(json.dumps({"a": half, "b": half}).encode()))
    with pytest.raises(PayloadTooLarge):
        at_once(read_document(json.dumps({"a": half, "b": [*half, "x"]}).encode()))
