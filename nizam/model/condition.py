"""Conditions on a call, as a tree of all, any and not over what is known when it arrives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import Discriminator, Field, StringConstraints, Tag, model_validator
from pydantic_core import PydanticCustomError

from nizam.model.base import Value
from nizam.model.patterns import Pattern
from nizam.model.resource import RefersTo
from nizam.model.time_condition import Rule
from nizam.model.validation import kind_by_type, kind_tag
from nizam.model.values import Country, TimeZone

MAX_DEPTH = 6
MAX_LEAVES = 100


class TimeLeaf(Value):
    """It is a time that the time condition matches, one of `rules` holds, or it is a day of the
    calendar."""

    type: Literal["time"]
    """The kind of condition."""
    time_condition_id: Annotated[UUID, RefersTo("time_condition")] | None = None
    """A time condition that must match."""
    calendar_id: Annotated[UUID, RefersTo("calendar")] | None = None
    """A calendar of which it must be a day."""
    rules: Annotated[tuple[Rule, ...], Field(max_length=50)] = ()
    """Rules of which one must hold."""
    time_zone: TimeZone | None = None
    """The time zone of the rules or the calendar; without it, that of the DID that the call came in
    by, of the extension that makes it, or of the tenant."""

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        given = (self.time_condition_id is not None, self.calendar_id is not None, bool(self.rules))
        if sum(given) != 1:
            raise PydanticCustomError(
                "time", "takes one of time_condition_id, calendar_id and rules", {}
            )
        return self


class CallerPatternLeaf(Value):
    """The caller's number fits a dial pattern."""

    type: Literal["caller_pattern"]
    """The kind of condition."""
    pattern: Pattern
    """A dial pattern: digits, X (0-9), Z (1-9), N (2-9) and a final dot for any rest."""


class CallerPrefixLeaf(Value):
    """The caller's number, in E.164, begins with one of the prefixes."""

    type: Literal["caller_prefix"]
    """The kind of condition."""
    prefixes: Annotated[
        tuple[Annotated[str, StringConstraints(pattern=r"^\+?[0-9]{1,15}$")], ...],
        Field(min_length=1, max_length=200),
    ]
    """Prefixes in E.164."""


class CallerCountryLeaf(Value):
    """The caller's number belongs to one of the countries."""

    type: Literal["caller_country"]
    """The kind of condition."""
    countries: Annotated[tuple[Country, ...], Field(min_length=1, max_length=250)]
    """Countries, ISO 3166-1 alpha-2."""


class AnonymousLeaf(Value):
    """The caller shows no number."""

    type: Literal["anonymous"]
    """The kind of condition."""


class BlockedListLeaf(Value):
    """The caller's number is among the tenant's blocked numbers, whatever their direction."""

    type: Literal["blocked_list"]
    """The kind of condition."""


class DidLeaf(Value):
    """The call came in for this DID."""

    type: Literal["did"]
    """The kind of condition."""
    did_id: Annotated[UUID, RefersTo("did")]
    """The id of a DID."""


class DestinationLeaf(Value):
    """What was dialled fits a dial pattern."""

    type: Literal["destination"]
    """The kind of condition."""
    pattern: Pattern
    """A dial pattern for what was dialled."""


class AllOf(Value):
    """Every one of the conditions holds."""

    all: Annotated[tuple[Condition, ...], Field(min_length=1, max_length=50)]
    """Conditions that must all hold."""


class AnyOf(Value):
    """At least one of the conditions holds."""

    any: Annotated[tuple[Condition, ...], Field(min_length=1, max_length=50)]
    """Conditions of which one must hold."""


class NotOf(Value):
    """The condition does not hold."""

    not_: Annotated[Condition, Field(alias="not")]
    """A condition that must not hold."""


LEAVES = (
    "time",
    "caller_pattern",
    "caller_prefix",
    "caller_country",
    "anonymous",
    "blocked_list",
    "did",
    "destination",
)


def _kind(value: Any) -> str | None:
    """The tag of a condition: the word of a branch, or the type of a leaf."""
    if isinstance(value, dict):
        branches = [it for it in ("all", "any", "not") if it in value]
        if len(branches) == 1 and "type" not in value:
            return kind_tag(branches[0])
        return None if branches else kind_by_type(value)
    for model, branch in ((AllOf, "all"), (AnyOf, "any"), (NotOf, "not")):
        if isinstance(value, model):
            return kind_tag(branch)
    return kind_by_type(value)


Condition = Annotated[
    Annotated[AllOf, Tag(kind_tag("all"))]
    | Annotated[AnyOf, Tag(kind_tag("any"))]
    | Annotated[NotOf, Tag(kind_tag("not"))]
    | Annotated[TimeLeaf, Tag(kind_tag("time"))]
    | Annotated[CallerPatternLeaf, Tag(kind_tag("caller_pattern"))]
    | Annotated[CallerPrefixLeaf, Tag(kind_tag("caller_prefix"))]
    | Annotated[CallerCountryLeaf, Tag(kind_tag("caller_country"))]
    | Annotated[AnonymousLeaf, Tag(kind_tag("anonymous"))]
    | Annotated[BlockedListLeaf, Tag(kind_tag("blocked_list"))]
    | Annotated[DidLeaf, Tag(kind_tag("did"))]
    | Annotated[DestinationLeaf, Tag(kind_tag("destination"))],
    Discriminator(
        _kind,
        custom_error_type="condition",
        custom_error_message=(
            "a condition has one of all, any and not, or a type, which is one of "
            + ", ".join(LEAVES)
        ),
    ),
    Field(title="Condition"),
]

for _model in (AllOf, AnyOf, NotOf):
    _model.model_rebuild()


def children(condition: Condition) -> tuple[Condition, ...]:
    """The conditions that a branch holds; none for a leaf."""
    if isinstance(condition, AllOf):
        return condition.all
    if isinstance(condition, AnyOf):
        return condition.any
    return (condition.not_,) if isinstance(condition, NotOf) else ()


def check_size(condition: Condition) -> None:
    """Raise for a tree deeper than MAX_DEPTH or with more than MAX_LEAVES leaves."""
    depths = list(_depths(condition, 1))
    if max(depths) > MAX_DEPTH:
        raise PydanticCustomError(
            "condition_depth", "a condition is at most {most} deep", {"most": MAX_DEPTH}
        )
    if len(depths) > MAX_LEAVES:
        raise PydanticCustomError(
            "condition_size", "a condition has at most {most} leaves", {"most": MAX_LEAVES}
        )


def _depths(condition: Condition, depth: int) -> Iterator[int]:
    """The depth of each leaf."""
    inside = children(condition)
    if not inside:
        yield depth
    for it in inside:
        yield from _depths(it, depth + 1)
