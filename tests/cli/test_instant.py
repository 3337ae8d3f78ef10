"""Instants on the command line, in the hours of daylight saving too."""

from __future__ import annotations

from datetime import UTC, datetime

import click
import pytest

from nizam.cli.instant import instant


@pytest.mark.parametrize(
    ("text", "zone", "expected"),
    [
        ("2026-12-24T18:00", None, "2026-12-24T18:00:00Z"),
        ("2026-12-24 18:00:30", None, "2026-12-24T18:00:30Z"),
        ("2026-12-24", None, "2026-12-24T00:00:00Z"),
        ("2026-12-24T18:00Z", None, "2026-12-24T18:00:00Z"),
        ("2026-12-24T18:00+01:00", None, "2026-12-24T17:00:00Z"),
        ("2026-12-24T18:00", "Europe/Berlin", "2026-12-24T17:00:00Z"),
        ("2026-07-24T18:00", "Europe/Berlin", "2026-07-24T16:00:00Z"),
        # an offset says more than a zone
        ("2026-07-24T18:00-04:00", "Europe/Berlin", "2026-07-24T22:00:00Z"),
        # beside the hour that is left out, and the one that comes twice
        ("2026-03-29T01:59:59", "Europe/Berlin", "2026-03-29T00:59:59Z"),
        ("2026-03-29T03:00", "Europe/Berlin", "2026-03-29T01:00:00Z"),
        ("2026-10-25T01:59:59", "Europe/Berlin", "2026-10-24T23:59:59Z"),
        ("2026-10-25T03:00", "Europe/Berlin", "2026-10-25T02:00:00Z"),
    ],
)
def test_a_time_is_read_with_its_offset_or_on_the_clocks_of_a_place(
    text: str, zone: str | None, expected: str
) -> None:
    assert instant(text, zone).astimezone(UTC) == datetime.fromisoformat(expected)


@pytest.mark.parametrize(
    ("text", "zone", "words"),
    [
        ("tomorrow", None, "tomorrow is no time such as 2026-12-24T18:00"),
        ("2026-02-30T10:00", None, "is no time"),
        ("2026-12-24T18:00", "Europe/Atlantis", "is not an IANA time zone"),
        ("2026-03-29T02:30", "Europe/Berlin", "never show 2026-03-29 02:30:00"),
        ("2026-03-08T00:30", "America/Havana", "never show 2026-03-08 00:30:00"),
        (
            "2026-10-25T02:30",
            "Europe/Berlin",
            "twice: say 2026-10-25T02:30:00+02:00 or 2026-10-25T02:30:00+01:00",
        ),
        ("0001-01-01T00:00", "Asia/Tokyo", "out of range"),
    ],
)
def test_what_is_no_one_instant_is_refused_with_words(
    text: str, zone: str | None, words: str
) -> None:
    with pytest.raises(click.BadParameter) as refused:
        instant(text, zone)
    assert words in refused.value.message
