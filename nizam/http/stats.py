"""`GET /tenants/{tenant_id}/stats`: how much a tenant has and does, against what it may."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Final
from uuid import UUID

import attrs

from nizam.http.call_schemas import CALL_RESULTS
from nizam.http.reply import Reply
from nizam.http.route import TENANT, Call, Route
from nizam.http.schemas import ref
from nizam.model.registry import resources
from nizam.store.stats import CallFigures, call_figures, holdings
from nizam.store.store import Store
from nizam.switch.live import LiveState

CALLS_SECONDS: Final = 5.0
"""How old the figures of ended calls can be: those of a busy day are many rows."""
_MOST_KEPT: Final = 10_000


@attrs.frozen
class Stats:
    """The handler. `seconds` is a clock that never goes back."""

    store: Store
    live: LiveState
    seconds: Callable[[], float]
    _calls: OrderedDict[tuple[UUID, str], tuple[float, CallFigures]] = attrs.field(
        factory=OrderedDict, init=False
    )

    async def stats(self, call: Call) -> Reply:
        """The figures of one tenant."""
        tenant_id = call.tenant
        has = await self.store.read(lambda pool: holdings(pool, tenant_id))
        calls = await self._figures(tenant_id, str(has.body.get("time_zone", "UTC")))
        quotas: Mapping[str, int] = has.body.get("quotas", {})
        by_table = {it.table: it for it in resources().values()}

        def limit(name: str | None) -> int | None:
            return None if name is None else quotas.get(name) or None

        document: dict[str, Any] = {
            "tenant_id": tenant_id,
            "status": has.body["status"],
            "resources": {
                table: {"count": count, "limit": limit(by_table[table].quota)}
                for table, count in has.counts.items()
            },
            "live_calls": {
                "count": self.live.count("calls", tenant_id),
                "limit": limit("max_concurrent_calls"),
            },
            "registrations": self.live.count("registrations", tenant_id),
            "calls_today": {"since": calls.since, **_by_result(calls.today)},
            "calls_last_hour": _by_result(calls.last_hour),
            "deliveries": {"pending": has.pending_deliveries, "dead": has.dead_deliveries},
            "media": {"files": has.media_files, "bytes": has.media_bytes},
            "last_change": None if has.last_change is None else attrs.asdict(has.last_change),
        }
        return Reply(document)

    async def _figures(self, tenant_id: UUID, zone: str) -> CallFigures:
        key, now = (tenant_id, zone), self.seconds()
        kept = self._calls.get(key)
        if kept is not None and kept[0] > now:
            return kept[1]
        found = await self.store.read(lambda pool: call_figures(pool, tenant_id, zone))
        self._calls[key] = (now + CALLS_SECONDS, found)
        self._calls.move_to_end(key)
        if len(self._calls) > _MOST_KEPT:
            self._calls.popitem(last=False)
        return found

    def routes(self) -> list[Route]:
        """The route of this file."""
        return [
            Route(
                method="GET",
                path=f"{TENANT}/stats",
                handler=self.stats,
                summary="How much a tenant has and does, against what it may.",
                operation="tenant_stats",
                tag="tenants",
                permission="stats:read",
                response=ref("TenantStats"),
            )
        ]


def _by_result(counts: Mapping[str, int]) -> dict[str, int]:
    return {"total": sum(counts.values()), **{it: counts.get(it, 0) for it in CALL_RESULTS}}
