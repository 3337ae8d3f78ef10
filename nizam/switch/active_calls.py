"""The gauge of the calls under way."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from nizam import metrics
from nizam.events.normalise import Normaliser

MOST_TENANTS: Final = 50
"""Tenants with a line of their own; the others are one."""


def count_calls(normalisers: Iterable[Normaliser]) -> None:
    """Set it to what these know, by tenant."""
    counts: dict[str, int] = {}
    for normaliser in normalisers:
        for call in normaliser.calls:
            if call.part_of is not None:
                continue
            tenant = str(call.tenant_id or "")
            if tenant not in counts and len(counts) >= MOST_TENANTS:
                tenant = "other"
            counts[tenant] = counts.get(tenant, 0) + 1
    metrics.ACTIVE_CALLS.clear()
    for tenant, count in counts.items():
        metrics.ACTIVE_CALLS.labels(tenant).set(count)
