"""What the doctor's tests say: this check is right here, and wrong there.

`test_page.py` reads which checks they name: none is without a test of either kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import attrs

from nizam.ops.doctor import Area, Context, Finding, Severity, examine
from nizam.settings import load

OK, NOTE, WARNING, FAILURE = Severity


@attrs.frozen
class Wrong:
    """A change of the settings, and what is found then."""

    check: str
    severity: Severity
    text: str
    change: Mapping[str, str]


def found_with(
    environment: Mapping[str, str], *areas: Area, freeswitch_folder: Path = Path("/nowhere")
) -> list[Finding]:
    """What is found in these areas."""
    context = Context(load(None, environment), freeswitch_folder=freeswitch_folder)
    return examine(context, areas)


def is_right(found: Iterable[Finding], *checks: str) -> None:
    """Each of the checks was made and found nothing wrong."""
    given = list(found)
    for check in checks:
        seen = [it for it in given if it.check == check]
        assert seen, f"{check} was not made"
        assert not [it for it in seen if it.severity is not OK], seen


def is_wrong(found: Iterable[Finding], check: str, severity: Severity, text: str) -> None:
    """The check found something so severe, says so in these words, and how to mend it."""
    seen = [it for it in found if it.check == check]
    fitting = [
        it for it in seen if it.severity is severity and text in f"{it.subject}: {it.detail}"
    ]
    assert fitting, seen
    assert all(it.why and it.mend for it in fitting if severity is not NOTE)
