"""How long to wait before the next attempt to connect."""

from __future__ import annotations

from typing import Final

FIRST: Final = 0.25
LONGEST: Final = 15.0
REFUSED: Final = 60.0
"""After a wrong password or an access list's refusal: trying again soon helps nobody."""


def retry_delay(failures: int, chance: float) -> float:
    """Seconds to wait after `failures` failures in a row (1 or more).

    The bound doubles from FIRST to LONGEST; `chance`, from 0 to 1, picks a point in its upper
    half, so that many clients of a restarted switch do not come back all at once.
    """
    bound = min(LONGEST, FIRST * 2.0 ** min(failures - 1, 30))
    return bound * (0.5 + 0.5 * chance)
