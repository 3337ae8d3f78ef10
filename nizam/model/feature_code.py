"""A feature code: a star code that does something instead of ringing somebody."""

from __future__ import annotations

from typing import Annotated, Literal, Self, get_args
from uuid import UUID

from pydantic import Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from nizam.model.base import Body, Value
from nizam.model.destination import Destination
from nizam.model.resource import Column, RefersTo, Resource, Unique

Feature = Literal[
    "voicemail",
    "voicemail_any",
    "voicemail_direct",
    "park",
    "retrieve",
    "pickup",
    "group_pickup",
    "dnd",
    "forward_always",
    "forward_busy",
    "forward_no_answer",
    "forward_off",
    "night_mode",
    "record",
    "echo",
    "speed_dial",
    "hide_caller_id",
    "show_caller_id",
    "intercom",
    "page",
]
FEATURES: tuple[Feature, ...] = get_args(Feature)

ARGUMENT: dict[Feature, str] = {
    "voicemail_direct": "the extension whose voicemail is meant",
    "retrieve": "the slot to fetch a call from",
    "pickup": "the extension that is ringing",
    "forward_always": "the number to forward to; none switches it off",
    "forward_busy": "the number to forward to; none switches it off",
    "forward_no_answer": "the number to forward to; none switches it off",
    "hide_caller_id": "the number to call without showing one's own",
    "intercom": "the extension whose phone is to answer by itself",
    "show_caller_id": "the number to call, showing one's own even if it is withheld otherwise",
}
"""The features that take further digits after their code, and what those say."""

DEFAULTS: tuple[tuple[str, Feature], ...] = (
    ("*97", "voicemail"),
    ("*98", "voicemail_any"),
    ("*99", "voicemail_direct"),
    ("*68", "park"),
    ("*69", "retrieve"),
    ("**", "pickup"),
    ("*8", "group_pickup"),
    ("*78", "dnd"),
    ("*72", "forward_always"),
    ("*90", "forward_busy"),
    ("*92", "forward_no_answer"),
    ("*73", "forward_off"),
    ("*2", "record"),
    ("*9196", "echo"),
    ("*67", "hide_caller_id"),
    ("*82", "show_caller_id"),
    ("*80", "intercom"),
)
"""What a new tenant is given; night mode, speed dials and pages need something of its own."""

_NEEDS: dict[Feature, str] = {
    "night_mode": "time_condition_id",
    "speed_dial": "destination",
    "page": "members",
}
_TAKES: dict[Feature, frozenset[str]] = {
    "night_mode": frozenset({"time_condition_id"}),
    "speed_dial": frozenset({"destination"}),
    "page": frozenset({"members"}),
    "park": frozenset({"parking_lot_id"}),
    "retrieve": frozenset({"parking_lot_id"}),
}
_OWN_FIELDS = ("destination", "time_condition_id", "parking_lot_id", "members")
MOST_PAGED = 50


class Paged(Value):
    """Whose loudspeaker a page comes from."""

    extension_id: Annotated[UUID, RefersTo("extension")]
    """An extension of the tenant."""


class FeatureCode(Body):
    """A star code that does something instead of ringing somebody. `night_mode` switches the
    override of a time condition, `speed_dial` leads to a destination, `park` and `retrieve` use
    the tenant's first parking lot unless they name one, `page` speaks to its members."""

    code: Annotated[str, StringConstraints(pattern=r"^[*#][0-9*#]{1,9}$")]
    """What is dialled."""
    feature: Feature
    """What it does."""
    destination: Destination | None = None
    """Where a speed dial leads."""
    time_condition_id: Annotated[UUID, RefersTo("time_condition")] | None = None
    """What night mode switches."""
    parking_lot_id: Annotated[UUID, RefersTo("parking_lot")] | None = None
    """Where calls are parked; the tenant's first lot without it."""
    members: Annotated[tuple[Paged, ...], Field(max_length=MOST_PAGED)] = ()
    """Whom a page reaches."""

    @model_validator(mode="after")
    def _fields_of_feature(self) -> Self:
        needed = _NEEDS.get(self.feature)
        if needed is not None and not getattr(self, needed):
            raise PydanticCustomError(
                "feature_shape",
                "{feature} needs {needed}",
                {"feature": self.feature, "needed": needed},
            )
        takes = _TAKES.get(self.feature, frozenset())
        surplus = [it for it in _OWN_FIELDS if getattr(self, it) and it not in takes]
        if surplus:
            raise PydanticCustomError(
                "feature_shape",
                "{feature} does not take {surplus}",
                {"feature": self.feature, "surplus": ", ".join(surplus)},
            )
        return self


RESOURCE = Resource(
    name="feature_code",
    path="feature-codes",
    body=FeatureCode,
    columns=(Column("code"), Column("feature"), Column("enabled", "boolean")),
    unique=(Unique(("code",)),),
    search=("code", "feature"),
    defaults=tuple(FeatureCode(code=code, feature=feature) for code, feature in DEFAULTS),
    example={"code": "*9197", "feature": "echo"},
)
