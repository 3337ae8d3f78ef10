"""A routing policy: calls that fit a condition are let through, refused or sent elsewhere."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Discriminator, Field, StringConstraints, Tag, model_validator
from pydantic_core import PydanticCustomError

from nizam.model.base import Body, Value
from nizam.model.condition import Condition, check_size
from nizam.model.destination import Destination
from nizam.model.resource import Column, Resource, Unique
from nizam.model.validation import kind_by_type, kind_tag
from nizam.model.values import HangupCause, Label, Text


class AllowAction(Value):
    """Let the call through: no further policy is looked at."""

    type: Literal["allow"]
    """The kind of action."""


class RejectAction(Value):
    """Refuse the call."""

    type: Literal["reject"]
    """The kind of action."""
    cause: HangupCause = "CALL_REJECTED"
    """The hangup cause."""


class RedirectAction(Value):
    """Send the call somewhere else."""

    type: Literal["redirect"]
    """The kind of action."""
    destination: Destination
    """Where the call goes."""


class SetCallerIdAction(Value):
    """Show another caller, and look at the next policy."""

    type: Literal["set_caller_id"]
    """The kind of action."""
    name: Text | None = None
    """The name that is shown."""
    number: Annotated[str, StringConstraints(pattern=r"^\+?[0-9]{2,15}$")] | None = None
    """The number that is shown."""

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.name is None and self.number is None:
            raise PydanticCustomError("empty_action", "takes a name, a number or both", {})
        return self


Action = Annotated[
    Annotated[AllowAction, Tag(kind_tag("allow"))]
    | Annotated[RejectAction, Tag(kind_tag("reject"))]
    | Annotated[RedirectAction, Tag(kind_tag("redirect"))]
    | Annotated[SetCallerIdAction, Tag(kind_tag("set_caller_id"))],
    Discriminator(
        kind_by_type,
        custom_error_type="action",
        custom_error_message=(
            "an action has a type, which is one of allow, reject, redirect, set_caller_id"
        ),
    ),
    Field(title="Action"),
]


class RoutingPolicy(Body):
    """Lets calls that fit a condition through, refuses them or sends them elsewhere. Policies are
    asked in the order of `priority`, lowest first. A call that is sent to a policy as a
    destination goes to `otherwise` unless the policy redirects or rejects it."""

    name: Label
    """Its name; no other policy of the tenant has it."""
    priority: Annotated[int, Field(ge=0, le=100_000)] = 100
    """Lower ones are asked first."""
    applies_to: Literal["all", "inbound", "internal", "none"] = "all"
    """The calls that it is asked of; none: only those that are sent to it as a destination."""
    condition: Condition
    """Which of them it is for."""
    action: Action
    """What becomes of those."""
    otherwise: Destination | None = None
    """Where a call goes that was sent to it as a destination and fits no condition."""

    @model_validator(mode="after")
    def _size(self) -> Self:
        check_size(self.condition)
        return self


RESOURCE = Resource(
    name="routing_policy",
    path="routing-policies",
    body=RoutingPolicy,
    columns=(
        Column("name"),
        Column("priority", "integer"),
        Column("applies_to"),
        Column("enabled", "boolean"),
    ),
    unique=(Unique(("name",)),),
    search=("name",),
    destination=True,
    passes=lambda _body, _path: True,
    example={
        "name": "Unknown callers at night",
        "priority": 10,
        "applies_to": "inbound",
        "condition": {
            "all": [
                {"type": "anonymous"},
                {"not": {"type": "time", "rules": [{"from": "08:00", "to": "20:00"}]}},
            ]
        },
        "action": {
            "type": "redirect",
            "destination": {"type": "voicemail", "id": "01937a5e-0000-7000-8000-000000000001"},
        },
    },
)
