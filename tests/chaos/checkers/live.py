"""The calls that are shown as under way are those of the switch, five seconds after a fault."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from nizam.sim.truth import CallTruth
from tests.chaos.checkers.tenants import owner
from tests.chaos.history import Fault, History, Sample, overlapping

RECOVERY_SECONDS: Final = 5.0
LAG_SECONDS: Final = 2.0
"""Between what happens and its being shown, when nothing is wrong but a busy machine."""


def check(history: History) -> list[str]:
    """Everything that is wrong."""
    return live_problems(
        history.calls,
        history.of(Sample),
        history.of(Fault),
        history.setting.tenants,
        history.patience,
    )


def live_problems(
    calls: Iterable[CallTruth],
    samples: Iterable[Sample],
    faults: Iterable[Fault],
    tenants: Mapping[str, str],
    patience: float = 1.0,
) -> list[str]:
    """Ghosts: calls that are shown and are over, or never were. And calls that are not shown.

    All seconds are `patience` times longer.
    """
    faults = list(faults)
    recovery, lag = RECOVERY_SECONDS * patience, LAG_SECONDS * patience
    known = {it.call_id: it for it in calls}
    found = []
    for sample in samples:
        if any(overlapping(faults, sample.began - recovery, sample.ended)):
            continue
        for call_id in sample.shown:
            call = known.get(call_id)
            if call is None:
                found.append(f"call {call_id} is shown and never was")
            elif _end(call) < sample.began - lag:
                late = sample.began - _end(call)
                found.append(f"call {call_id} is shown {late:.1f} s after its end")
        for call in known.values():
            due = call.answered and call.answered / 1e6 + lag < sample.began
            if (
                due
                and call.ended / 1e6 > sample.ended
                and owner(call, tenants) == sample.tenant_id
                and call.call_id not in sample.shown
            ):
                found.append(f"call {call.call_id} is under way and not shown")
    return list(dict.fromkeys(found))


def _end(call: CallTruth) -> float:
    return max(leg.ended for leg in call.legs) / 1e6
