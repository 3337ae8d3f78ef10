"""The nodes of a call flow: what each does with a call, and where it leads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import Discriminator, Field, StringConstraints, Tag, model_validator
from pydantic_core import PydanticCustomError

from nizam.model.audio import Sound
from nizam.model.base import Value
from nizam.model.destination import Destination
from nizam.model.ivr import Digits
from nizam.model.resource import RefersTo
from nizam.model.validation import kind_by_type, kind_tag
from nizam.model.values import HangupCause, Language, LongText, Text
from nizam.model.webhook import Url

NodeId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,40}$")]
Variable = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]


class _Node(Value):
    id: NodeId
    label: Text = ""


class PlayNode(_Node):
    """Play a sound to the end."""

    type: Literal["play"]
    sound: Sound
    next: NodeId


class SayNode(_Node):
    """Speak a text."""

    type: Literal["say"]
    text: LongText
    language: Language | None = None
    next: NodeId


class DigitsBranch(Value):
    """Where certain digits lead."""

    digits: Digits
    next: NodeId


class CollectNode(_Node):
    """Take digits from the caller into a variable: `branches` for certain digits, `next` for
    others, `timeout_next` (or `next`) when nothing is pressed in any of the attempts."""

    type: Literal["collect"]
    sound: Sound | None = None
    variable: Variable = "digits"
    min_digits: Annotated[int, Field(ge=1, le=30)] = 1
    max_digits: Annotated[int, Field(ge=1, le=30)] = 1
    terminator: Literal["#", "*", ""] = "#"
    attempts: Annotated[int, Field(ge=1, le=10)] = 3
    timeout_seconds: Annotated[float, Field(ge=1, le=60)] = 10
    digit_timeout_seconds: Annotated[float, Field(ge=0.5, le=20)] = 2
    branches: Annotated[tuple[DigitsBranch, ...], Field(max_length=100)] = ()
    next: NodeId
    timeout_next: NodeId | None = None

    @model_validator(mode="after")
    def _digits(self) -> Self:
        if self.max_digits < self.min_digits:
            raise PydanticCustomError("digit_count", "max_digits is less than min_digits", {})
        digits = [it.digits for it in self.branches]
        if len(set(digits)) != len(digits):
            raise PydanticCustomError("duplicate_digits", "digits stand twice in branches", {})
        return self


class ValueBranch(Value):
    """Where a value leads."""

    value: Text
    next: NodeId


class BranchNode(_Node):
    """Go on by the value of a variable; `next` for every other value."""

    type: Literal["branch"]
    variable: Variable
    branches: Annotated[tuple[ValueBranch, ...], Field(min_length=1, max_length=100)]
    next: NodeId


class SetNode(_Node):
    """Set a variable."""

    type: Literal["set"]
    variable: Variable
    value: Text
    next: NodeId


class HttpNode(_Node):
    """Ask a server of the tenant's own; the answer's JSON object becomes the variable. Goes to
    `error_next` (or `next`) when there is no good answer in time."""

    type: Literal["http"]
    url: Url
    method: Literal["GET", "POST"] = "POST"
    timeout_seconds: Annotated[int, Field(ge=1, le=15)] = 5
    variable: Variable = "response"
    next: NodeId
    error_next: NodeId | None = None


class BridgeNode(_Node):
    """Send the call to a destination; on to `next`, if there is one, when nobody answers."""

    type: Literal["bridge"]
    destination: Destination
    next: NodeId | None = None


class RecordNode(_Node):
    """Record what the caller says."""

    type: Literal["record"]
    max_seconds: Annotated[int, Field(ge=1, le=3600)] = 120
    silence_seconds: Annotated[int, Field(ge=1, le=60)] = 5
    next: NodeId


class VoicemailNode(_Node):
    """Take a message for an extension."""

    type: Literal["voicemail"]
    extension_id: Annotated[UUID, RefersTo("extension")]


class HangupNode(_Node):
    """End the call."""

    type: Literal["hangup"]
    cause: HangupCause = "NORMAL_CLEARING"


FlowNode = Annotated[
    Annotated[PlayNode, Tag(kind_tag("play"))]
    | Annotated[SayNode, Tag(kind_tag("say"))]
    | Annotated[CollectNode, Tag(kind_tag("collect"))]
    | Annotated[BranchNode, Tag(kind_tag("branch"))]
    | Annotated[SetNode, Tag(kind_tag("set"))]
    | Annotated[HttpNode, Tag(kind_tag("http"))]
    | Annotated[BridgeNode, Tag(kind_tag("bridge"))]
    | Annotated[RecordNode, Tag(kind_tag("record"))]
    | Annotated[VoicemailNode, Tag(kind_tag("voicemail"))]
    | Annotated[HangupNode, Tag(kind_tag("hangup"))],
    Discriminator(
        kind_by_type,
        custom_error_type="node_type",
        custom_error_message=(
            "a node has a type, which is one of play, say, collect, branch, set, http, bridge, "
            "record, voicemail, hangup"
        ),
    ),
]

INSTANT = (BranchNode, SetNode, HttpNode)
"""Nodes that a call passes without the caller hearing, saying or pressing anything."""


def exits(node: FlowNode) -> Iterator[tuple[str, str]]:
    """Where a node leads: JSON Pointers within the node, and the ids that stand there."""
    for name in ("next", "timeout_next", "error_next"):
        target = getattr(node, name, None)
        if target is not None:
            yield f"/{name}", target
    for index, branch in enumerate(getattr(node, "branches", ())):
        yield f"/branches/{index}/next", branch.next
