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
from nizam.http.deciding import ROUNDS
from nizam.http.openapi import model_schema
from nizam.http.reply import Reply
from nizam.http.route import TENANT, Call, Route
from nizam.http.schemas import ref
from nizam.model.base import Value
from nizam.model.flow_nodes import NodeId
from nizam.model.values import HangupCause, safe_text
from nizam.routing.explain import Explanation, explain
from nizam.routing.facts import NOTHING_LIVE, Facts, Live
from nizam.routing.rehearsal import Acts
from nizam.routing.snapshot import Snapshot
from nizam.switch.call_limits import CallLimits

Pressed = Annotated[str, StringConstraints(pattern=r"^[0-9*#]{0,30}$")]
Scalar = Annotated[str, StringConstraints(max_length=1000)] | bool | int | float
Dialled = Annotated[str, StringConstraints(min_length=1, max_length=64), AfterValidator(safe_text)]


class Question(Value):
    """A call that might be made; `at` is now unless given. Now means: with the phones that are
    registered, the calls that are up and the limits that are reached."""

    from_: Annotated[Dialled, Field(alias="from")]
    """The number of the extension that calls, or the caller's number as the carrier gives it."""
    to: Dialled
    """What is dialled."""
    context: Literal["internal", "public"] = "internal"
    """internal for a call of an extension, public for one that comes in."""
    at: AwareDatetime | None = None
    """When; now without it."""
    digits: Annotated[tuple[Pressed, ...], Field(max_length=25)] | None = None
    """What the caller presses, for one collecting of a call flow after the other; an empty text
    presses nothing. With any of the following three the answer has `then`."""
    dispositions: Annotated[tuple[HangupCause, ...], Field(max_length=25)] | None = None
    """How one ringing after the other ends, such as USER_BUSY; it is answered without."""
    answers: Annotated[dict[NodeId, dict[str, Scalar] | None], Field(max_length=25)] | None = None
    """What servers say, by the ids of the nodes of a call flow that ask them; no good answer
    without."""


@attrs.frozen
class Explain:
    """The handler, over the resident routing data."""

    snapshot: Snapshot
    counts: CallLimits | None = None
    live: Live = NOTHING_LIVE
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    async def explain(self, call: Call) -> Reply:
        """Decide the call that the body describes."""
        question = validate(Question, call.json())
        try:
            at = (question.at or self.now()).astimezone(UTC)
        except OverflowError:
            raise ValidationFailed("/at is out of range") from None

        def explained(facts: Facts) -> Explanation:
            return explain(
                self.snapshot,
                call.tenant,
                question.from_,
                question.to,
                question.context,
                at,
                Random(),  # noqa: S311 - shuffles members as for a real call
                facts,
                acts=_acts(question),
            )

        # Which phones and calls there are, and how high limits stand, nobody knows of another time.
        live = self.live if question.at is None else NOTHING_LIVE
        found, full = explained(Facts(live)), dict[str, int]()
        rounds = ROUNDS if self.counts is not None and question.at is None else 0
        for _ in range(rounds):
            reached = await self._reached(found)
            if not reached:
                break
            full |= reached
            found = explained(Facts(live, full))
        return Reply(found.document())

    async def _reached(self, found: Explanation) -> dict[str, int]:
        """The limits that a real call would find reached."""
        if self.counts is None or not found.limits:
            return {}
        return await self.counts.reached(found.limits)

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


def _acts(question: Question) -> Acts | None:
    """What is done in the call; None when nothing is said of it."""
    given = (question.digits, question.dispositions, question.answers)
    if all(it is None for it in given):
        return None
    return Acts(question.digits or (), question.dispositions or (), question.answers or {})
