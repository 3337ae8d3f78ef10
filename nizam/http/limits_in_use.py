"""`GET /tenants/{tenant_id}/limits`: how high the limits on a tenant's calls stand."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from math import ceil
from typing import Any

import attrs

from nizam.errors import FieldError, NotFound, ValidationFailed
from nizam.http.reply import Reply
from nizam.http.route import TENANT, Call, Parameter, Route
from nizam.http.schemas import ref
from nizam.routing.facts import Limit
from nizam.routing.limits_shown import Shown, limits_of, limits_of_extension
from nizam.routing.snapshot import Snapshot
from nizam.switch.call_limits import CallLimits

_NUMBER = re.compile(r"[0-9]{2,15}", re.ASCII)


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
        number = _extension(call.query)
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
                        schema={"type": "string", "pattern": "^[0-9]{2,15}$"},
                    ),
                ),
                errors=(ValidationFailed,),
            )
        ]


def _extension(query: Sequence[tuple[str, str]]) -> str | None:
    """What `extension` says. Raises ValidationFailed for anything but one number."""
    wrong = [
        FieldError(name, "unknown_parameter", "there is no such parameter")
        for name, _ in query
        if name != "extension"
    ]
    numbers = [value for name, value in query if name == "extension"]
    if len(numbers) > 1:
        wrong.append(FieldError("extension", "repeated", "stands more than once"))
    if numbers and not _NUMBER.fullmatch(numbers[0]):
        wrong.append(FieldError("extension", "pattern", "is 2 to 15 digits"))
    if wrong:
        raise ValidationFailed("the query is not valid", errors=wrong)
    return numbers[0] if numbers else None


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
