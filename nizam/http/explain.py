"""POST routing/explain: where a call would go, and why, without a call."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from random import Random
from typing import Annotated, Literal

import attrs
from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints

from nizam.errors import ValidationFailed
from nizam.http.body import validate
from nizam.http.openapi import model_schema
from nizam.http.reply import Reply
from nizam.http.route import TENANT, Call, Route
from nizam.http.schemas import ref
from nizam.model.base import Value
from nizam.model.values import safe_text
from nizam.routing.explain import explain
from nizam.routing.snapshot import Snapshot

Dialled = Annotated[str, StringConstraints(min_length=1, max_length=64), AfterValidator(safe_text)]


class Question(Value):
    """A call that might be made; `at` is now unless given."""

    from_: Annotated[Dialled, Field(alias="from")]
    """The number of the extension that calls, or the caller's number as the carrier gives it."""
    to: Dialled
    """What is dialled."""
    context: Literal["internal", "public"] = "internal"
    """internal for a call of an extension, public for one that comes in."""
    at: AwareDatetime | None = None
    """When; now without it."""


@attrs.frozen
class Explain:
    """The handler, over the resident routing data."""

    snapshot: Snapshot
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    async def explain(self, call: Call) -> Reply:
        """Decide the call that the body describes."""
        question = validate(Question, call.json())
        try:
            at = (question.at or self.now()).astimezone(UTC)
        except OverflowError:
            raise ValidationFailed("/at is out of range") from None
        found = explain(
            self.snapshot,
            call.tenant,
            question.from_,
            question.to,
            question.context,
            at,
            Random(),  # noqa: S311 - shuffles members as for a real call
        )
        return Reply(found.document())

    def routes(self) -> list[Route]:
        """The route of this file."""
        return [
            Route(
                method="POST",
                path=f"{TENANT}/routing/explain",
                handler=self.explain,
                summary="Where a call would go, and why.",
                operation="explain_routing",
                tag="routing",
                permission="routing:explain",
                request=model_schema(Question),
                request_example={"from": "1001", "to": "1002", "context": "internal"},
                response=ref("Explanation"),
            )
        ]
