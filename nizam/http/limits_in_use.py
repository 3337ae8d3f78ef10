"""`GET /tenants/{tenant_id}/limits`: how high the limits on a tenant's calls stand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from math import ceil
from typing import Annotated, Any

import attrs
from pydantic import StringConstraints

from nizam.errors import NotFound, ValidationFailed
from nizam.http.query import Query, read_query
from nizam.http.reply import Reply
from nizam.http.route import TENANT, Call, Parameter, Route
from nizam.http.schemas import ref
from nizam.routing.facts import Limit
from nizam.routing.limits_shown import Shown, limits_of, limits_of_extension
from nizam.routing.snapshot import Snapshot
from nizam.switch.call_limits import CallLimits

NUMBER = "^[0-9]{2,15}$"


class Asked(Query):
    """What the query says."""

    extension: Annotated[str, StringConstraints(pattern=NUMBER)] | None = None


@attrs.frozen
class LimitsInUse:
    """The handler, over the resident routing data and the counters."""

    snapshot: Snapshot
    counts: CallLimits
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    async def limits(self, call: Call) -> Reply:
        """Every limit of the tenant that is set, with its count, and those of the extension that
        `extension` names by its number."""
        view = self.snapshot.tenant(call.tenant)
        if view is None:
            raise NotFound("the tenant is not known here yet")
        shown = list(limits_of(view, self.now()))
        number = read_query(call, Asked).extension
        if number is not None:
            entry = view.by_number(number)
            if entry is None or entry.resource != "extension":
                raise NotFound(f"no extension has the number {number}")
            shown += limits_of_extension(view, entry, self.now())
        counts = await self.counts.count([it.limit for it in shown])
        return Reply({"tenant_id": call.tenant, "limits": list(_rows(shown, counts))})

    def routes(self) -> list[Route]:
        """The route of this file."""
        return [
            Route(
                method="GET",
                path=f"{TENANT}/limits",
                handler=self.limits,
                summary="How high the limits on a tenant's calls stand.",
                operation="tenant_limits",
                tag="tenants",
                permission="stats:read",
                response=ref("LimitsInUse"),
                parameters=(
                    Parameter(
                        name="extension",
                        about="The number of an extension whose limits are shown, too.",
                        schema={"type": "string", "pattern": NUMBER},
                    ),
                ),
                errors=(ValidationFailed,),
            )
        ]


def _rows(shown: list[Shown], counts: dict[str, tuple[int, float]]) -> Iterator[dict[str, Any]]:
    for it in shown:
        limit = it.limit
        count, blocked = counts[limit.key]
        yield {
            "scope": limit.scope,
            "id": limit.id,
            "name": it.name,
            "kind": limit.kind,
            "of": limit.of or None,
            "what": it.what,
            "window_seconds": _window(limit),
            "count": count,
            "limit": limit.most,
            "blocked_seconds": ceil(blocked),
        }


def _window(limit: Limit) -> int | None:
    return None if limit.kind in ("concurrent", "minutes_per_day") else limit.seconds
