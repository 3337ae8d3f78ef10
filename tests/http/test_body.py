"""Bodies are read strictly, and every wrong field is named at once."""

from __future__ import annotations

import pytest

from nizam.errors import MalformedJson, UnknownField, ValidationFailed
from nizam.http.body import merge_patch, parse_object, validate
from nizam.model.extension import Extension


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"   ",
        b"[]",
        b'"text"',
        b"null",
        b"{",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": 1,}',
        b"{'a': 1}",
        b'{"a": 1, "a": 2}',
        b'{"b": {"a": 1, "a": 1}}',
        b'{"a": 1, "\\u0061": 2}',
        b'{"a": "\\ud800"}',
        b'{"a": "\xff"}',
        b'{"a": 1} {"a": 2}',
        b'{"a": 1e400}',
        b'{"a": ' + b"9" * 10_000 + b"}",
        b'{"a":' * 40 + b"1" + b"}" * 40,
        b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
    ids=lambda raw: repr(raw[:24]),
)
def test_what_is_not_strictly_a_json_object_is_malformed(raw: bytes) -> None:
    with pytest.raises(MalformedJson):
        parse_object(raw)


def test_a_nul_is_named_by_its_path() -> None:
    with pytest.raises(ValidationFailed) as caught:
        parse_object(b'{"a": [{"b": "x\\u0000y"}], "c": "\\u0000"}')
    assert {it.path for it in caught.value.errors} == {"/a/0/b", "/c"}


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"number": 1001, "display_name": "Ada"}, {"/number": "string_type"}),
        (
            {"number": "1001", "display_name": "Ada", "ring_seconds": "20"},
            {"/ring_seconds": "int_type"},
        ),
        ({"number": "1001", "display_name": "Ada", "enabled": 1}, {"/enabled": "bool_type"}),
        (
            {"number": "1", "colour": "red"},
            {
                "/number": "string_pattern_mismatch",
                "/display_name": "missing",
                "/colour": "unknown_field",
            },
        ),
        (
            {"number": "1001", "display_name": "Ada", "voicemail": {"pin": "x", "a/b": 1}},
            {"/voicemail/pin": "string_pattern_mismatch", "/voicemail/a~1b": "unknown_field"},
        ),
    ],
)
def test_every_wrong_field_is_named_with_its_json_pointer(
    fields: dict[str, object], wrong: dict[str, str]
) -> None:
    with pytest.raises(ValidationFailed) as caught:
        validate(Extension, fields)
    assert {it.path: it.code for it in caught.value.errors} == wrong


def test_fields_that_do_not_exist_have_a_code_of_their_own() -> None:
    with pytest.raises(UnknownField, match="/colour"):
        validate(Extension, {"number": "1001", "display_name": "Ada", "colour": "red"})


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patch_follows_rfc_7396(
    target: dict[str, object], patch: dict[str, object], result: dict[str, object]
) -> None:
    assert merge_patch(target, patch) == result
