"""Files as spreadsheets and programs write them become objects, or errors that say where."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nizam.errors import FieldError, MalformedTable, NizamError, PayloadTooLarge, ValidationFailed
from nizam.model.registry import resource
from nizam.slices import at_once
from nizam.tables.faults import CellError, Places
from nizam.tables.read import MAX_CELL, MAX_COLUMNS, MAX_ROWS, Table, read_table

EXTENSION = resource("extension")
ADA: Any = {"number": "1001", "display_name": "Ada"}


def _read(text: str | bytes) -> Table:
    raw = text if isinstance(text, bytes) else text.encode()
    return at_once(read_table(raw, EXTENSION))


@pytest.mark.parametrize(
    "text",
    [
        "number,display_name\n1001,Ada\n",
        "number,display_name\r\n1001,Ada\r\n",
        "number,display_name\r1001,Ada",
        "\ufeffnumber;display_name\r\n1001;Ada\r\n",
        "number\tdisplay_name\n1001\tAda\n",
        'Number,"Display_Name"\n"1001","Ada"\n',
        "number,display_name\n\n1001,Ada\n,\n",
        "number , display_name\n1001 ,Ada\n",
        "number,display_name,ring_seconds\n1001,Ada,\n",
    ],
)
def test_the_ways_to_write_a_table(text: str) -> None:
    assert _read(text).objects == [ADA]


def test_fields_within_fields_lists_destinations_and_line_breaks() -> None:
    table = _read(
        "number,display_name,voicemail.email,voicemail.enabled,follow_me,forward.busy\n"
        '1001,"Ada\nLovelace",ada@example.com,yes,1002;1003,hangup:USER_BUSY\n'
        '"1002",Grace,,,"[""1001""]",\n'
    )
    ada, grace = table.objects
    assert ada["display_name"] == "Ada\nLovelace"
    assert ada["voicemail"] == {"email": "ada@example.com", "enabled": True}
    assert ada["follow_me"] == ["1002", "1003"]
    assert ada["forward"]["busy"]["cause"] == "USER_BUSY"
    assert grace == {"number": "1002", "display_name": "Grace", "follow_me": ["1001"]}
    assert table.places.rows == [2, 3]


@pytest.mark.parametrize(
    ("raw", "error", "words"),
    [
        (b"", MalformedTable, "empty"),
        (b" \r\n", MalformedTable, "empty"),
        ("number\n1001".encode("utf-16"), MalformedTable, "UTF-16"),
        ("number,display_name\n1001,J\u00fcrgen".encode("latin-1"), MalformedTable, "line 2"),
        (b"number,display_name\n1001,\xed\xa0\x80", MalformedTable, "line 2 is not UTF-8"),
        (b'number,display_name\n1001,"Ada', MalformedTable, "line 2"),
        (b'number,display_name\n1001,"Ada"x\n', MalformedTable, "line 2"),
        (b"number\n" + b"1" * 200_000, MalformedTable, "field larger than field limit"),
        (b"display_name\nAda\n", ValidationFailed, "lacks the column number"),
        (b"number" + b",x" * MAX_COLUMNS, PayloadTooLarge, "columns"),
        (
            b"number\n" + b"\n".join(b"%d" % it for it in range(MAX_ROWS + 1)),
            PayloadTooLarge,
            "rows",
        ),
    ],
)
def test_what_is_no_table(raw: bytes, error: type[NizamError], words: str) -> None:
    with pytest.raises(error) as caught:
        _read(raw)
    assert words in caught.value.detail


def test_what_is_wrong_with_rows_is_said_by_row_and_column() -> None:
    table = _read(
        "number,display_name,colour,number\n"
        "1001,Ada,red,\n"
        "1002,Grace\n"
        "1003,A\x00n,,\n"
        f"1004,{'x' * (MAX_CELL + 1)},,\n"
    )
    assert [(it.row, it.column, it.code) for it in table.faults if isinstance(it, CellError)] == [
        (1, "colour", "unknown_field"),
        (1, "number", "duplicate"),
        (3, None, "cell_count"),
        (4, "display_name", "nul"),
        (5, "display_name", "string_too_long"),
    ]


def test_a_number_that_stands_twice_names_both_rows() -> None:
    (fault,) = _read("number,display_name\n1001,Ada\n1002,Grace\n1001,Alan\n").faults
    assert fault == CellError("/4/number", "duplicate", "1001 stands in row 2, too", 4, "number")


def test_after_a_thousand_faults_nothing_more_is_read() -> None:
    with pytest.raises(ValidationFailed) as caught:
        _read("number,display_name\n" + "1001\n" * 9000)
    assert "row 1002 was the last" in caught.value.detail


@given(st.binary(max_size=300) | st.text(max_size=100).map(lambda it: f"number\n{it}".encode()))
def test_whatever_the_bytes_are_it_is_a_table_or_an_error_of_ours(raw: bytes) -> None:
    # Anything that is not ours fails the test.
    with contextlib.suppress(MalformedTable, PayloadTooLarge, ValidationFailed):
        assert len(_read(raw).objects) <= raw.count(b"\n") + raw.count(b"\r")


@pytest.mark.parametrize(
    ("given_error", "row", "column", "message"),
    [
        (FieldError("/extensions/1/ring_seconds", "x", "low"), 5, "ring_seconds", "low"),
        (FieldError("/extensions/0/voicemail/email", "x", "bad"), 3, "voicemail.email", "bad"),
        (FieldError("/extensions/0/follow_me/2", "x", "bad"), 3, "follow_me", "bad"),
        (FieldError("/extensions", "quota_exceeded", "10"), None, None, "10"),
        (
            FieldError("/extensions/1/number", "taken", "is what /extensions/0 has, too"),
            5,
            "number",
            "is what row 3 has, too",
        ),
        (
            FieldError("/extensions/1/forward/busy/type", "x", "pattern"),
            5,
            "forward.busy",
            "is no destination such as extension:1001, external:+12025550100 or hangup",
        ),
    ],
)
def test_errors_of_documents_become_errors_of_rows(
    given_error: FieldError, row: int | None, column: str | None, message: str
) -> None:
    columns = ["number", "ring_seconds", "voicemail.email", "follow_me", "forward.busy"]
    found = Places("extensions", [3, 5], columns).in_table(given_error)
    assert (found.row, found.column, found.message) == (row, column, message)
