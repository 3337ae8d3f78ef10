"""Cells say again what was written into them, and no spreadsheet carries them out."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nizam.model.destination import FIELDS, destination_of, destination_words
from nizam.model.registry import resource
from nizam.tables.cells import cell_of, read, written
from nizam.tables.columns import Column, columns_of

TEXT = Column(path=("label",), kind="text", default="")
MAYBE_TEXT = Column(path=("name",), kind="text", nullable=True)
LIST = Column(path=("items",), kind="list", default=[])
DESTINATION = Column(path=("busy",), kind="destination", nullable=True)
INTEGER = Column(path=("ring_seconds",), kind="integer", default=25)
BOOLEAN = Column(path=("enabled",), kind="boolean", default=True)
NOWHERE = dict.fromkeys(FIELDS)


@given(st.text(alphabet="'=+-@\t nul01;[\"a,\r", max_size=8) | st.text(max_size=30))
def test_a_text_is_read_as_it_was_written(text: str) -> None:
    assert read(MAYBE_TEXT, written(MAYBE_TEXT, text)) == text
    if text:
        assert read(TEXT, written(TEXT, text)) == text


@given(st.lists(st.text(alphabet="'=+;[ nul1", max_size=6), min_size=1, max_size=4))
def test_a_list_is_read_as_it_was_written(items: list[str]) -> None:
    assert read(LIST, written(LIST, items)) == items


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("@SUM(1)", "'@SUM(1)"),
        ("-2+3", "'-2+3"),
        ("+1+cmd|x", "'+1+cmd|x"),
        ("\t=1", "'\t=1"),
        ("+4930123456", "+4930123456"),
        ("+4930123456;*21#", "+4930123456;*21#"),
        ("Ada", "Ada"),
        ("1001", "1001"),
        ("'s-Hertogenbosch", "'s-Hertogenbosch"),
    ],
)
def test_formulas_are_defused_and_numbers_are_not(text: str, cell: str) -> None:
    assert cell_of(text) == cell
    assert written(MAYBE_TEXT, text) == cell


@pytest.mark.parametrize(
    ("column", "cell", "value"),
    [
        (BOOLEAN, "TRUE", True),
        (BOOLEAN, "no", False),
        (BOOLEAN, "0", False),
        (BOOLEAN, "maybe", "maybe"),
        (INTEGER, " 30 ", 30),
        (INTEGER, "30.5", "30.5"),
        (INTEGER, "9" * 40, "9" * 40),
        (INTEGER, "null", 25),
        (TEXT, "null", "null"),
        (MAYBE_TEXT, "null", None),
        (MAYBE_TEXT, "'null", "null"),
        (MAYBE_TEXT, "'+4930123456", "+4930123456"),
        (LIST, "1001; 1002;", ["1001", "1002"]),
        (LIST, '["1001", "10;02"]', ["1001", "10;02"]),
        (LIST, "[1001]", [1001]),
        (LIST, "[" * 100, "[" * 100),
        (LIST, "null", []),
        (DESTINATION, "extension:1001", {**NOWHERE, "type": "extension", "id": "1001"}),
        (DESTINATION, "external:+4930", {**NOWHERE, "type": "external", "number": "+4930"}),
        (DESTINATION, "hangup", {**NOWHERE, "type": "hangup"}),
        (DESTINATION, '{"type": "hangup"}', {**NOWHERE, "type": "hangup"}),
        (DESTINATION, "1001", "1001"),
        (DESTINATION, "{1001", "{1001"),
        (DESTINATION, "null", None),
    ],
)
def test_what_a_cell_gives_a_field(column: Column, cell: str, value: Any) -> None:
    assert read(column, cell) == value


@pytest.mark.parametrize(
    "words",
    [
        *("extension:1001", "time_condition:Office: day", "hangup", "hangup:USER_BUSY"),
        *("play:a/b.wav", "play:prompt:Welcome"),
    ],
)
def test_a_destination_has_one_form_in_words(words: str) -> None:
    assert destination_words(destination_of(words)) == words


def test_a_destination_that_has_no_words_is_json() -> None:
    it: Any = {**NOWHERE, "type": "play", "sound": "a.wav", "then": {**NOWHERE, "type": "hangup"}}
    assert read(DESTINATION, written(DESTINATION, it)) == it


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (None, ""),
        (True, "true"),
        (-5, "-5"),
        (Decimal("4.41"), "4.41"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00.000000Z"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (["a", "b"], "a;b"),
        ([], ""),
        ({"a": [1]}, '{"a":[1]}'),
    ],
)
def test_values_of_documents_as_cells(value: Any, cell: str) -> None:
    assert cell_of(value) == cell


def test_the_columns_are_the_fields_that_can_be_written() -> None:
    found = {it.name: it for it in columns_of(resource("extension"))}
    assert list(found)[:3] == ["number", "display_name", "sip_password"]
    assert {
        "caller_id.external_number": "text",
        "voicemail.attach_audio": "boolean",
        "forward.no_answer": "destination",
        "follow_me": "list",
        "toll_class": "choice",
        "ring_seconds": "integer",
    }.items() <= {name: it.kind for name, it in found.items()}.items()
    assert [name for name, it in found.items() if it.secret] == ["sip_password", "voicemail.pin"]
    assert {it.kind for it in found.values()} - {"json"} == {it.kind for it in found.values()}
