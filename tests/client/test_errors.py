"""Every code of the API has its exception."""

from __future__ import annotations

from nizam.client.errors import ApiError, known_codes
from nizam.errors import NizamError
from nizam.settings.problem import SettingError


def answered(kind: type[NizamError] = NizamError) -> dict[str, type[NizamError]]:
    """The errors that the API can answer with, by code."""
    found: dict[str, type[NizamError]] = {}
    for it in kind.__subclasses__():
        if it.__module__ == "nizam.errors" and it is not SettingError:
            found = answered(it) | {it.code: it} | found
    return found


def test_a_new_code_of_the_api_needs_its_exception() -> None:
    ours = {code: it.__name__ for code, it in known_codes().items()}
    assert ours == {code: it.__name__ for code, it in answered().items()}


def test_what_may_succeed_later_is_the_same_on_both_sides() -> None:
    ours = {code for code, it in known_codes().items() if it.retryable}
    assert ours == {code for code, it in answered().items() if it.retryable}
    assert not ApiError.retryable
