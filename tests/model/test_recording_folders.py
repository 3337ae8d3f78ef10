"""Which folders a tenant may have its recordings put into."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest
from pydantic import TypeAdapter, ValidationError

from nizam.model.audio import RecordingFolders, recording_below, recordings_folder

TENANT = UUID("01937a5e-0000-7000-8000-000000000001")
NOW = datetime(2026, 3, 4, 5, 6, tzinfo=UTC)
CHECK: TypeAdapter[str] = TypeAdapter(RecordingFolders)


@pytest.mark.parametrize(
    ("folders", "below"),
    [
        ("", "recordings"),
        ("calls", "recordings/calls"),
        ("{year}/{month}/{day}", "recordings/2026/03/04"),
        ("{year}-{month}/{day}{hour}", "recordings/2026-03/0405"),
        ("a/b/c/d/e/f/g/{hour}", "recordings/a/b/c/d/e/f/g/05"),
    ],
)
def test_folders_are_names_and_parts_of_the_time(folders: str, below: str) -> None:
    folder = recordings_folder(TENANT, CHECK.validate_python(folders), NOW)
    assert folder == f"{TENANT}/{below}"
    path = f"{folder}/{TENANT}.wav"
    assert recording_below(f"/media/{path}") == (TENANT, path)


@pytest.mark.parametrize(
    "folders",
    [
        "/calls",
        "calls/",
        "a//b",
        "..",
        "a/../b",
        ".hidden",
        "-a",
        "a b",
        "Calls",
        "${uuid}",
        "{tenant}",
        "{year",
        "{year.real}",
        "{{year}}",
        "a\n",
        "a/b/c/d/e/f/g/h/i",
        "a" * 101,
    ],
)
def test_nothing_else_is_a_folder(folders: str) -> None:
    with pytest.raises(ValidationError):
        CHECK.validate_python(folders)
