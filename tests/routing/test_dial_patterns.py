"""Dial patterns of tenants: bounded, anchored, and matched in a time that grows with the number."""

from __future__ import annotations

import time
from importlib import import_module

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nizam.model.patterns import dial_pattern
from nizam.routing.numbers import compile_pattern, matches
from tests.fsxml.attacks import ATTACKS

# What Python itself makes of an expression, which has no types.
_PARSER, _CONSTANTS = import_module("re._parser"), import_module("re._constants")

LONGEST = "+" + "X" * 32 + "."


def _accepted(text: str) -> bool:
    try:
        return dial_pattern(text) == text
    except ValueError:
        return False


@example(LONGEST)
@given(st.text("0123456789XZN*#+.()[]{}|?\\\\^$ab", max_size=40))
def test_a_pattern_repeats_at_its_end_or_not_at_all(text: str) -> None:
    if not _accepted(text):
        return
    parts = list(_PARSER.parse(compile_pattern(text).pattern))
    repeats = [position for position, (kind, _) in enumerate(parts) if "REPEAT" in str(kind)]
    assert repeats in ([], [len(parts) - 1])
    # Everything else is one character, so that nothing is ever tried twice.
    ordinary = {_CONSTANTS.LITERAL, _CONSTANTS.IN}
    assert all(kind in ordinary for kind, _ in parts if "REPEAT" not in str(kind))


@pytest.mark.parametrize("attack", [it for it in ATTACKS if any(c in it for c in "()[]{}|?$^\\")])
def test_an_expression_is_no_pattern(attack: str) -> None:
    assert not _accepted(attack)


@pytest.mark.parametrize(
    ("pattern", "dialled", "fits"),
    [
        ("1XX", "199", True),
        ("1XX", "1999", False),
        ("1XX", "0199", False),
        ("1XX", "199\n", False),
        ("1XX", "1٩9", False),
        ("N.", "2", False),
        ("N.", "20", True),
        (".", "", False),
    ],
)
def test_a_pattern_fits_the_whole_number(pattern: str, dialled: str, fits: bool) -> None:
    assert matches(pattern, dialled, None) is fits


def test_the_longest_pattern_is_as_fast_as_any() -> None:
    began = time.perf_counter()
    for _ in range(1000):
        assert not matches(LONGEST, "", "+" + "1" * 31 + "x" * 500)
    assert time.perf_counter() - began < 5
