"""The nodes of a call flow: what each does with a call, and where it leads."""

from __future__ import annotations

import re
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

NodeId = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,40}$"), Field(examples=["welcome"])
]
Variable = Annotated[
    str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$"), Field(examples=["order"])
]


class _Node(Value):
    id: NodeId
    """What other nodes name it by."""
    label: Text = ""
    """What it is for, for people."""


class PlayNode(_Node):
    """Play a sound to the end."""

    type: Literal["play"]
    """The kind of node."""
    sound: Sound
    """What is played."""
    next: NodeId
    """The id of the node that comes then."""


class SayNode(_Node):
    """Speak a text. `{name}` stands for a variable. What is nothing but digits is said with the
    sounds of the language, all else by the text-to-speech engine of the switch."""

    type: Literal["say"]
    """The kind of node."""
    text: LongText
    """What is spoken."""
    language: Language | None = None
    """The language; the tenant's without it."""
    next: NodeId
    """The id of the node that comes then."""


class DigitsBranch(Value):
    """Where certain digits lead."""

    digits: Digits
    """What is pressed."""
    next: NodeId
    """The id of the node that comes then."""


class CollectNode(_Node):
    """Take digits from the caller into a variable: `branches` for certain digits, `next` for
    others, `timeout_next` (or `next`) when nothing is pressed in any of the attempts."""

    type: Literal["collect"]
    """The kind of node."""
    sound: Sound | None = None
    """What is played meanwhile."""
    variable: Variable = "digits"
    """Where the digits go."""
    min_digits: Annotated[int, Field(ge=1, le=30)] = 1
    """Fewer do not count."""
    max_digits: Annotated[int, Field(ge=1, le=30)] = 1
    """No more are waited for."""
    terminator: Literal["#", "*", ""] = "#"
    """The key that ends them early; none when it is empty."""
    attempts: Annotated[int, Field(ge=1, le=10)] = 3
    """How often the caller may try."""
    timeout_seconds: Annotated[float, Field(ge=1, le=60)] = 10
    """How long the first digit is waited for."""
    digit_timeout_seconds: Annotated[float, Field(ge=0.5, le=20)] = 2
    """How long each further one is waited for."""
    branches: Annotated[tuple[DigitsBranch, ...], Field(max_length=100)] = ()
    """Where certain digits lead."""
    next: NodeId
    """Where all others lead."""
    timeout_next: NodeId | None = None
    """Where no digits lead; `next` without it."""

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
    """What the variable holds."""
    next: NodeId
    """The id of the node that comes then."""


class BranchNode(_Node):
    """Go on by the value of a variable; `next` for every other value."""

    type: Literal["branch"]
    """The kind of node."""
    variable: Variable
    """What is looked at."""
    branches: Annotated[tuple[ValueBranch, ...], Field(min_length=1, max_length=100)]
    """Where certain values lead."""
    next: NodeId
    """Where all others lead."""


class SetNode(_Node):
    """Set a variable. `{name}` in the value stands for another one."""

    type: Literal["set"]
    """The kind of node."""
    variable: Variable
    """What is set."""
    value: Text
    """What it holds then."""
    next: NodeId
    """The id of the node that comes then."""


class HttpNode(_Node):
    """Ask a server of the tenant's own. Each member of the JSON object in its answer that is a
    text, a number or a boolean becomes a variable, named after `variable`: `response_vip`. Goes
    to `error_next` (or `next`) when there is no good answer in time."""

    type: Literal["http"]
    """The kind of node."""
    url: Url
    """Which server is asked."""
    method: Literal["GET", "POST"] = "POST"
    """How it is asked."""
    timeout_seconds: Annotated[int, Field(ge=1, le=15)] = 5
    """How long its answer is waited for."""
    variable: Variable = "response"
    """What the names of the variables begin with, before an underscore."""
    webhook_id: Annotated[UUID, RefersTo("webhook")] | None = None
    """The webhook whose secret signs the request, as it does deliveries; not signed without it."""
    next: NodeId
    """Where a good answer leads."""
    error_next: NodeId | None = None
    """Where no good answer leads; `next` without it."""


class BridgeNode(_Node):
    """Send the call to a destination; on to `next`, if there is one, when nobody answers. With it
    an extension is rung without its own voicemail and forwards on no answer, and a ring group
    without its fallback."""

    type: Literal["bridge"]
    """The kind of node."""
    destination: Destination
    """Where the call is sent."""
    next: NodeId | None = None
    """Where it goes when nobody answers; it ends without it."""


class RecordNode(_Node):
    """Record what the caller says, until `#`, silence or the longest time."""

    type: Literal["record"]
    """The kind of node."""
    max_seconds: Annotated[int, Field(ge=1, le=3600)] = 120
    """How long at most."""
    silence_seconds: Annotated[int, Field(ge=1, le=60)] = 5
    """How much silence ends it."""
    next: NodeId
    """The id of the node that comes then."""


class VoicemailNode(_Node):
    """Take a message for an extension."""

    type: Literal["voicemail"]
    """The kind of node."""
    extension_id: Annotated[UUID, RefersTo("extension")]
    """The extension whose mailbox takes the message."""


class HangupNode(_Node):
    """End the call."""

    type: Literal["hangup"]
    """The kind of node."""
    cause: HangupCause = "NORMAL_CLEARING"
    """The hangup cause."""


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
    Field(title="FlowNode"),
]

INSTANT = (BranchNode, SetNode, HttpNode)
"""Nodes that a call passes without the caller hearing, saying or pressing anything."""


_REFERENCE = re.compile(r"\{[a-z][a-z0-9_]{0,39}\}")


def needs_speech(text: str) -> bool:
    """Whether there is anything but digits and variables in a text that is to be said."""
    return re.fullmatch(r"[0-9\s]*", _REFERENCE.sub("", text)) is None


def exits(node: FlowNode) -> Iterator[tuple[str, str]]:
    """Where a node leads: JSON Pointers within the node, and the ids that stand there."""
    for name in ("next", "timeout_next", "error_next"):
        target = getattr(node, name, None)
        if target is not None:
            yield f"/{name}", target
    for index, branch in enumerate(getattr(node, "branches", ())):
        yield f"/branches/{index}/next", branch.next
