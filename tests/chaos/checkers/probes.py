"""Calls route whatever is away, and the API says at once when it cannot answer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from tests.chaos.history import Fault, History, Probe, overlapping
from tests.chaos.schedule import FAULTS

REFUSAL_SECONDS: Final = 1.2
WELL_AGAIN_SECONDS: Final = 2.0
REDIS_SECONDS: Final = 2.5
"""An answer may wait for a Redis that hangs, until that is noticed."""
BUSY_SECONDS: Final = 0.3
"""What a machine that others use adds to an answer, beside what the asker notes of that."""
HOPELESS: Final = 4.0
"""On a machine so many times as busy as it can be, PostgreSQL may need more than the second after
which the API refuses, and an answer may not come at all: that says nothing of either."""


def check(history: History) -> list[str]:
    """Everything that is wrong."""
    return probe_problems(history.of(Probe), history.of(Fault), history.patience)


def probe_problems(
    probes: Iterable[Probe], faults: Iterable[Fault], patience: float = 1.0
) -> list[str]:
    """Answers that are wrong or late. While an instance is killed or frozen none is expected.

    All seconds are `patience` times longer; see HOPELESS.
    """
    faults = list(faults)
    away = [it for it in faults if FAULTS[it.name].group == "daemon"]
    storage = [it for it in faults if FAULTS[it.name].storage == "postgres"]
    redis = [it for it in faults if FAULTS[it.name].storage == "redis"]
    slow = [it for it in faults if FAULTS[it.name].action in ("slow", "slice")]
    found = []
    for it in probes:
        end = it.began + it.seconds
        most = REDIS_SECONDS if any(overlapping(redis, it.began, end)) else REFUSAL_SECONDS
        late = it.seconds - it.lag > (most + BUSY_SECONDS) * patience
        late = late and not any(overlapping(slow, it.began, end))
        if any(overlapping(away, it.began, end)):
            continue
        if it.what == "xml":
            if it.status != 200:
                found.append(f"a question of the switch at {it.began:.3f} got {it.status}")
            elif late:
                found.append(f"a question of the switch waited {it.seconds:.2f} s")
            continue
        if it.status in (0, 503) and patience > HOPELESS:
            continue
        without_storage = any(overlapping(storage, it.began - WELL_AGAIN_SECONDS * patience, end))
        if it.status not in ((200, 503) if without_storage else (200,)):
            found.append(f"the API answered {it.status} at {it.began:.3f}")
        elif late:
            found.append(f"the API took {it.seconds:.2f} s to answer {it.status} at {it.began:.3f}")
    return found
