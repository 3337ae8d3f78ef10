"""Numbers as people and carriers write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nizam.routing.numbers import (
    did_candidates,
    is_dialled,
    kind,
    matches,
    national_candidates,
    to_e164,
)


@pytest.mark.parametrize(
    ("dialled", "country", "expected"),
    [
        ("+12025550101", "DE", "+12025550101"),
        ("2025550101", "US", "+12025550101"),
        ("12025550101", "US", "+12025550101"),
        ("01149301234567", "US", "+49301234567"),
        ("0301234567", "DE", "+49301234567"),
        ("0012025550101", "DE", "+12025550101"),
        ("02079460000", "GB", "+442079460000"),
        ("0612345678", "IT", "+390612345678"),
        ("1001", "US", None),
        ("110", "DE", None),
        ("*97", "US", None),
        ("", "US", None),
        ("abc", "US", None),
        ("+0123456", "US", None),
        ("٢٠٢٥٥٥٠١٠١", "US", None),
        ("9" * 40, "US", None),
    ],
)
def test_a_number_is_read_as_its_country_dials_it(
    dialled: str, country: str, expected: str | None
) -> None:
    assert to_e164(dialled, country) == expected


@pytest.mark.parametrize("received", ["+12025550101", "12025550101", "0012025550101"])
def test_what_carriers_send_is_understood_without_a_country(received: str) -> None:
    assert "+12025550101" in list(did_candidates(received))


def test_a_national_number_could_be_of_any_country() -> None:
    assert {"+49301234567", "+1301234567"} <= set(national_candidates("0301234567"))


@given(st.text())
def test_no_text_is_too_strange(text: str) -> None:
    assert to_e164(text, "US") is None or is_dialled(text)
    assert all(it.startswith("+") for it in did_candidates(text))
    assert all(it.startswith("+") for it in national_candidates(text))


@pytest.mark.parametrize(
    ("number", "country", "expected"),
    [
        ("+12025550777", "US", "local"),
        ("+49301234567", "US", "international"),
        ("+18765551234", "US", "international"),
        ("+14165550100", "US", "international"),
        ("+19005551234", "US", "premium"),
        ("+19765551234", "US", "premium"),
        ("+498000000000", "DE", "local"),
        ("+499001234567", "DE", "premium"),
        ("+881612345678", "US", "premium"),
        ("+882161234567", "DE", "premium"),
        ("+979123456789", "DE", "premium"),
        ("+999123456789", "US", "international"),
    ],
)
def test_what_a_call_costs_is_judged_by_the_number(
    number: str, country: str, expected: str
) -> None:
    assert kind(number, country) == expected


@pytest.mark.parametrize(
    ("pattern", "dialled", "e164", "expected"),
    [
        ("+1NXXNXXXXXX", "2025550777", "+12025550777", True),
        ("+1NXXNXXXXXX", "2025550777", None, False),
        ("+49.", "030123456", "+4930123456", True),
        ("+49.", "030123456", "+49", False),
        ("0.", "030123456", "+4930123456", True),
        ("911", "911", None, True),
        ("911", "9110", None, False),
        ("X11", "411", None, True),
        ("Z11", "011", None, False),
        ("N11", "111", None, False),
        ("*72.", "*721001", None, True),
        ("XXXX", "12", None, False),
    ],
)
def test_patterns(pattern: str, dialled: str, e164: str | None, expected: bool) -> None:
    assert matches(pattern, dialled, e164) is expected
