"""`${...}` in dialplan data: variables yes, API calls no."""

from __future__ import annotations

import pytest

from nizam.sim.expansion import REFUSED, expand

VARIABLES = {"uuid": "u-1", "domain_name": "a.test", "inner": "uuid"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nothing to do", "nothing to do"),
        ("id=${uuid}@${domain_name}", "id=u-1@a.test"),
        ("[${unknown}]", "[]"),
        ("${system touch x}", REFUSED),
        ("${system(touch x)}", REFUSED),
        ("${sofia_contact(*/${uuid}@${domain_name})}", REFUSED),
        ("costs $5 or $$ {braces}", "costs $5 or $$ {braces}"),
        ("unclosed ${uuid", "unclosed ${uuid"),
    ],
)
def test_variables_are_filled_in_and_api_calls_refused(text: str, expected: str) -> None:
    assert expand(text, VARIABLES.get) == expected


def test_an_api_call_runs_where_that_is_allowed() -> None:
    assert expand("[${echo(${uuid} x)}]", VARIABLES.get, str.upper) == "[ECHO U-1 X]"
