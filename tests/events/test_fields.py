"""Single values out of what FreeSWITCH writes."""

from __future__ import annotations

import pytest

from nizam.events.fields import destination, integer, moment
from nizam.events.registrations import contact_uri


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("1002", "1002"),
        ("1002%acme.example.test", "1002"),
        ("+12025550101", "+12025550101"),
        ("", ""),
        (None, None),
    ],
)
def test_a_destination_is_the_number_without_the_domain_of_the_contact(
    written: str | None, read: str | None
) -> None:
    assert destination(written) == read


@pytest.mark.parametrize("junk", ["", "0", "-1", "x", None, "99999999999999999999"])
def test_a_time_that_is_none_is_none(junk: str | None) -> None:
    assert moment(junk) is None


@pytest.mark.parametrize(
    ("written", "read"), [("12", 12), ("12.9", 12), ("nan", None), ("x", None)]
)
def test_whole_numbers_are_read_from_any_number(written: str, read: int | None) -> None:
    assert integer(written) == read


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ('"" <sip:1002@192.0.2.7:5060>', "sip:1002@192.0.2.7:5060"),
        ('"A > B" <sip:1002@192.0.2.7;ob>;q=1', "sip:1002@192.0.2.7;ob"),
        ("sofia/internal/sip:1002@192.0.2.7:5060;fs_nat=yes", "sip:1002@192.0.2.7:5060;fs_nat=yes"),
        ("sip:1002@192.0.2.7", "sip:1002@192.0.2.7"),
        ("", ""),
        (None, None),
    ],
)
def test_a_contact_is_its_uri_wherever_the_switch_shows_it(
    written: str | None, read: str | None
) -> None:
    assert contact_uri(written) == read
