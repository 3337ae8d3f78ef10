"""What people write: YAML with JSON's types, numbers as texts, values by their fields."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nizam.cli.fields import Fields, destination, with_ids
from nizam.cli.input import as_declared, parse_yaml, read_document, value_of
from nizam.cli.output import to_yaml
from nizam.model.registry import resource

TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc")))
VALUES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"), ("on", "on"), ("2026-01-31", "2026-01-31"), ("+4930123", "+4930123"),
        ("007", "007"), ("1_000", "1_000"), ("0x1f", "0x1f"), ("12:30", "12:30"),
        ("true", True), ("null", None), ("~", None), ("1001", 1001), ("-1.5", -1.5),
    ],
)  # fmt: skip
def test_yaml_has_the_types_of_json(text: str, value: object) -> None:
    assert parse_yaml(f"it: {text}", "-") == {"it": value}


@given(st.dictionaries(TEXTS, st.recursive(VALUES, st.lists)))
@example({"it": "1e3", "float": "1.5e3", "on": "no", "": "<<", "day": "2026-01-31", "+1": "007"})
def test_what_is_printed_as_yaml_is_read_back(document: dict[str, Any]) -> None:
    assert parse_yaml(to_yaml(document), "-") == document


@pytest.mark.time_limit(10)
def test_ten_thousand_objects_are_printed_and_read_in_seconds() -> None:
    extension = resource("extension").example | {"voicemail": {"pin": "4711", "enabled": True}}
    document = {"extensions": [{**extension, "number": str(it)} for it in range(10_000)]}
    assert parse_yaml(to_yaml(document), "-") == document


@pytest.mark.parametrize(
    "text", ["a: [1", "!!python/object:x {}", "- 1", "a: 1\na: 2", "1: a", "a: !!str {}"]
)
def test_what_is_no_document_is_wrong_usage(text: str, tmp_path: Path) -> None:
    (tmp_path / "it.yaml").write_text(text)
    with pytest.raises(click.BadParameter):
        read_document(str(tmp_path / "it.yaml"))
    with pytest.raises(click.BadParameter):
        read_document(str(tmp_path / "none.yaml"))


@pytest.mark.parametrize(
    ("written", "declared"),
    [
        ({"number": 1001}, {"number": "1001"}),
        ({"ring_seconds": 20}, {"ring_seconds": 20}),
        ({"voicemail": {"pin": 4711}}, {"voicemail": {"pin": "4711"}}),
        ({"follow_me": [1002, "1003"]}, {"follow_me": ["1002", "1003"]}),
        ({"enabled": True, "unknown": 1}, {"enabled": True, "unknown": 1}),
        ({"forward": {"busy": {"type": "external", "number": 1002}}},
         {"forward": {"busy": {"type": "external", "number": "1002"}}}),
    ],
)  # fmt: skip
def test_numbers_are_texts_where_fields_are(written: Any, declared: Any) -> None:
    schema = resource("extension").body.model_json_schema()
    assert as_declared(written, schema, schema["$defs"]) == declared


@pytest.mark.parametrize(
    ("path", "text", "value"),
    [
        ("number", "1001", "1001"), ("ring_seconds", "20", 20), ("voicemail.pin", "4711", "4711"),
        ("voicemail.pin", "null", None), ("display_name", "null", "null"),
        ("do_not_disturb", "true", True), ("follow_me", '["1002"]', ["1002"]),
        ("unknown", "text", "text"), ("unknown", "1", 1),
    ],
)  # fmt: skip
def test_assignments_are_read_by_their_fields(path: str, text: str, value: object) -> None:
    assert value_of(text, Fields(resource("extension")).schema(path)) == value


@pytest.mark.parametrize(("path", "text"), [("ring_seconds", "soon"), ("follow_me", "1002")])
def test_assignments_that_do_not_fit_are_wrong_usage(path: str, text: str) -> None:
    with pytest.raises(click.BadParameter):
        value_of(text, Fields(resource("extension")).schema(path))


def test_destinations_have_a_short_form() -> None:
    assert destination("external:+1202") == {"type": "external", "number": "+1202"}
    assert destination("hangup") == {"type": "hangup"}
    assert destination("ivr:5000") == {"type": "ivr", "id": "5000"}
    node = {"id": "welcome", "type": "voicemail", "next": "end"}
    assert with_ids({"nodes": [node]}, object()) == {"nodes": [node]}
