"""`GET /tenants/{tenant_id}/usage`: what a tenant has used, by day or month."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from typing import Annotated, Any, Final

import attrs
from pydantic import AfterValidator, BeforeValidator
from pydantic_core import PydanticCustomError

from nizam.errors import FieldError, ValidationFailed
from nizam.http.query import Query, read_query
from nizam.http.reply import Reply
from nizam.http.route import TENANT, Call, Parameter, Route
from nizam.http.schemas import ref
from nizam.http.usage_schema import DIRECTIONS, LEVELS
from nizam.store.store import Store
from nizam.store.usage import PARTS, CallUse, Interval, Use, tenant_clock, use_of

MOST_PERIODS: Final = 400
COST: Final = 10
_EARLIEST: Final = date(2000, 1, 1)
_PARTS_ONLY: Final = "takes direction, country and gateway, with commas between them"
_FIGURES: Final = ("calls", "duration_ms", "billable_ms")


def _parts(value: str) -> tuple[str, ...]:
    found = tuple(value.split(","))
    if len({*found}) != len(found) or not {*found} <= {*PARTS}:
        raise PydanticCustomError(
            "invalid_value", f"takes {', '.join(PARTS)}, with commas between them", {}
        )
    return found


def _thinkable(value: date) -> date:
    if not _EARLIEST <= value <= date(2100, 1, 1):
        raise PydanticCustomError("out_of_range", "takes days from 2000 to 2100", {})
    return value


Day = Annotated[date, AfterValidator(_thinkable)]


class Asked(Query):
    """What the query says."""

    first: Day | None = None
    last: Day | None = None
    interval: Interval = "day"
    group_by: Annotated[tuple[str, ...], BeforeValidator(_parts)] = ()


@attrs.frozen
class Usage:
    """The handler."""

    store: Store

    async def usage(self, call: Call) -> Reply:
        """What one tenant has used.

        Days are those of the tenant's time zone. A call counts on the day that it began, once it
        has ended. An inbound call that is forwarded outside counts once, as inbound, with the
        gateway and the country that it went to.
        """
        tenant_id, asked = call.tenant, read_query(call, Asked)
        zone, today = await self.store.read(lambda pool: tenant_clock(pool, tenant_id))
        last = asked.last or max(today, asked.first or today)
        first = asked.first or last.replace(day=1)
        periods = list(_periods(first, last, asked.interval))
        if not periods or len(periods) > MOST_PERIODS:
            message = f"with `first` before it is 1 to {MOST_PERIODS} {asked.interval}s"
            wrong = [FieldError("last", "out_of_range", message)]
            raise ValidationFailed("wrong parameters: last", errors=wrong)
        parts = [it for it in PARTS if it in asked.group_by]
        found = await self.store.read(
            lambda pool: use_of(
                pool,
                tenant_id,
                first=first,
                last=last,
                zone=zone,
                interval=asked.interval,
                parts=parts,
            )
        )
        shown = [_period(found, start, parts) for start in periods]
        totals = _calls(found.calls, parts)
        totals |= {name: max(it[name] for it in shown) for name in LEVELS}
        document: dict[str, Any] = {
            "tenant_id": tenant_id,
            "time_zone": zone,
            "first": first.isoformat(),
            "last": last.isoformat(),
            "interval": asked.interval,
            "group_by": parts,
            "totals": totals,
            "periods": shown,
        }
        return Reply(document)

    def routes(self) -> list[Route]:
        """The route of this file."""
        day: dict[str, Any] = {"type": "string", "format": "date"}
        return [
            Route(
                method="GET",
                path=f"{TENANT}/usage",
                handler=self.usage,
                summary="What a tenant has used, by day or month.",
                operation="tenant_usage",
                tag="tenants",
                permission="usage:read",
                parameters=(
                    Parameter(
                        name="first",
                        about="The first day; without it, the first of the month of the last one.",
                        schema=day,
                    ),
                    Parameter(name="last", about="The last day; without it, today.", schema=day),
                    Parameter(
                        name="interval",
                        about="What is added up in one period; the first and the last one may be "
                        "parts of a month.",
                        schema={"type": "string", "enum": ["day", "month"], "default": "day"},
                    ),
                    Parameter(
                        name="group_by",
                        about=f"Any of {', '.join(PARTS)}, with commas between them: calls are "
                        "told apart by these in `groups`.",
                    ),
                ),
                response=ref("Usage"),
                cost=COST,
            )
        ]


def _periods(first: date, last: date, interval: Interval) -> Iterator[date]:
    """The first days of the periods, of which the ledger knows each by the day that it begins."""
    start = first if interval == "day" else first.replace(day=1)
    while start <= last:
        yield start
        step = timedelta(days=1 if interval == "day" else 32)
        start += step
        if interval == "month":
            start = start.replace(day=1)


def _period(found: Use, start: date, parts: list[Any]) -> dict[str, Any]:
    calls = [it for it in found.calls if it.start == start]
    levels = {name: found.levels.get((start, name), 0) for name in LEVELS}
    return {"start": start.isoformat(), **_calls(calls, parts), **levels}


def _calls(calls: Iterable[CallUse], parts: list[Any]) -> dict[str, Any]:
    by_direction = {it: dict.fromkeys(_FIGURES, 0) for it in DIRECTIONS}
    groups: dict[tuple[str | None, ...], dict[str, int]] = defaultdict(
        lambda: dict.fromkeys(_FIGURES, 0)
    )
    for it in calls:
        key = tuple(getattr(it, name) for name in parts)
        for figures in (by_direction[it.direction], groups[key]):
            for name in _FIGURES:
                figures[name] += getattr(it, name)
    named = [
        {**dict.fromkeys(PARTS), **dict(zip(parts, key, strict=True)), **figures}
        for key, figures in sorted(
            groups.items(), key=lambda it: [str(part or "") for part in it[0]]
        )
    ]
    return {**by_direction, "groups": named if parts else []}
