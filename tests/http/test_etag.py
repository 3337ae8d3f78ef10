"""If-Match compares strongly, If-None-Match weakly (RFC 9110, 8.8.3.2)."""

from __future__ import annotations

import pytest

from nizam.errors import BadRequest
from nizam.http.etag import etag, if_match, if_none_match


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        (None, None),
        ("*", None),
        ('"3"', frozenset({3})),
        ('"3", "4"', frozenset({3, 4})),
        ('W/"3"', frozenset()),
        ('W/"3", "4"', frozenset({4})),
        ('"of-another-server"', frozenset()),
    ],
)
def test_if_match_accepts_these_versions(
    header: str | None, accepted: frozenset[int] | None
) -> None:
    assert if_match(header) == accepted


@pytest.mark.parametrize("header", ["3", '"3', "W/3", '"3" "4"', ","])
def test_a_list_that_is_none_is_refused(header: str) -> None:
    with pytest.raises(BadRequest):
        if_match(header)


@pytest.mark.parametrize(
    ("header", "has_it"),
    [
        (None, False),
        ("*", True),
        ('"3"', True),
        ('W/"3"', True),
        ('"2", "3"', True),
        ('"2"', False),
    ],
)
def test_if_none_match_tells_whether_the_client_has_version_three(
    header: str | None, has_it: bool
) -> None:
    assert if_none_match(header, 3) is has_it


def test_our_own_tag_comes_back_as_our_version() -> None:
    assert if_match(etag(17)) == frozenset({17})
