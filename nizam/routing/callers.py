"""What a caller's number may mean, however the carrier wrote it."""

from __future__ import annotations

from collections.abc import Iterable

from nizam.routing import numbers
from nizam.routing.context import Routing


def caller_forms(routing: Routing) -> tuple[str, ...]:
    """The caller's number as it came and in E.164; nothing for a caller who shows none."""
    given = routing.request.caller_number
    if not numbers.is_dialled(given):
        return ()
    e164 = numbers.to_e164(given, routing.tenant.country)
    found = (given, *([e164] if e164 else []), *numbers.did_candidates(given))
    return tuple(dict.fromkeys(found))


def fits(pattern: str, forms: Iterable[str]) -> bool:
    """Whether a dial pattern fits one of the forms; one that starts with + only E.164."""
    return any(
        numbers.compile_pattern(pattern).fullmatch(form) is not None
        for form in forms
        if pattern.startswith("+") == form.startswith("+")
    )
