"""How long a file is looked for that the switch has written."""

from __future__ import annotations

from typing import Final

PATIENCE_ATTEMPTS: Final = 6
"""How often a file is looked for, a minute in all, before it counts as missing or damaged: a
network file system may show it late."""
_FIRST_WAIT_SECONDS: Final = 1.0
_LATER_SECONDS: Final = 3600.0
_LATER_ATTEMPTS: Final = PATIENCE_ATTEMPTS + 7 * 24


def wait_after(attempts: int) -> float:
    """Seconds until the next attempt with a file, after so many."""
    return min(_LATER_SECONDS, _FIRST_WAIT_SECONDS * 2.0 ** min(attempts - 1, 12))


def wait_for_missing(attempts: int) -> float | None:
    """Seconds until a missing file is looked for again: an hour for a week, then None."""
    return _LATER_SECONDS if attempts < _LATER_ATTEMPTS else None
