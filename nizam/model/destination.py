"""Destinations: one closed set of places a call can be sent to, used wherever a call is sent.

A destination names its type and what that type needs: a resource by id, a number, a hangup cause
or a sound. Which resources can be destinations is written in their declarations.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field, GetJsonSchemaHandler, StringConstraints, model_validator
from pydantic_core import CoreSchema, PydanticCustomError

from nizam.model.base import Value
from nizam.model.values import DialString, HangupCause, SoundPath

BUILT_IN: dict[str, frozenset[str]] = {
    "external": frozenset({"number"}),
    "hangup": frozenset({"cause"}),
    "play": frozenset({"sound", "prompt_id", "then"}),
    "voicemail": frozenset({"id"}),
}
"""Types that are no resource of their own, with the fields each takes."""

REQUIRED: dict[str, frozenset[str]] = BUILT_IN | {
    "hangup": frozenset(),
    "play": frozenset(),
}


EITHER: dict[str, tuple[str, str]] = {"play": ("sound", "prompt_id")}
"""Types that take exactly one of two fields."""

_NAMED_BY: dict[str, str] = {"external": "number", "hangup": "cause", "play": "sound"}
"""The field that a destination is written with, where it is not the id."""

FIELDS = ("id", "number", "cause", "sound", "prompt_id", "then")

PROMPT = "prompt:"
"""Stands before the name of a prompt, where people write a sound."""


def destination_of(words: str) -> dict[str, Any]:
    """A destination as people write it: `extension:1001`, `external:+12025550100`, `hangup`,
    `play:prompt:Welcome`. What has an id is named by its number or name. Raises ValueError for
    what is written otherwise."""
    kind, colon, who = words.partition(":")
    if kind == "play" and who.startswith(PROMPT):
        return {"type": kind, "prompt_id": who.removeprefix(PROMPT)}
    if not colon and kind != "hangup":
        raise ValueError("is no destination such as extension:1001 or external:+12025550100")
    return {"type": kind, _NAMED_BY.get(kind, "id"): who} if who else {"type": kind}


def destination_words(destination: Mapping[str, Any]) -> str | None:
    """What `destination_of` reads as this destination; None for one that has no such form."""
    kind = str(destination["type"])
    field = _NAMED_BY.get(kind, "id")
    given = {name for name in FIELDS if destination.get(name) is not None}
    if given == {"prompt_id"}:
        return f"{kind}:{PROMPT}{destination['prompt_id']}"
    if given == {field}:
        return f"{kind}:{destination[field]}"
    return kind if kind == "hangup" and not given else None


def destination_types() -> dict[str, frozenset[str]]:
    """Every type that a call can be sent to, with the fields it takes."""
    from nizam.model import registry

    return BUILT_IN | {
        it.destination_type: frozenset({"id"})
        for it in registry.resources().values()
        if it.destination_type is not None
    }


class Destination(Value):
    """Where a call goes: `{"type": "extension", "id": ...}`, `{"type": "external", "number": ...}`,
    `{"type": "play", "sound": ..., "then": {...}}`, the same with a `prompt_id`, or
    `{"type": "hangup", "cause": ...}`."""

    type: Annotated[str, StringConstraints(pattern=r"^[a-z_]{2,40}$")]
    """What it is."""
    id: UUID | None = None
    """The id of the resource."""
    number: DialString | None = None
    """The number to dial, through the tenant's outbound routes."""
    cause: HangupCause | None = None
    """The hangup cause, NORMAL_CLEARING without it."""
    sound: SoundPath | None = None
    """What is played: a path below FreeSWITCH's folder of sounds, or a tone_stream."""
    prompt_id: UUID | None = None
    """The prompt that is played, in the place of a sound."""
    then: Destination | None = Field(default=None)
    """Where the call goes when the sound has been played; it ends without it."""

    @property
    def resource(self) -> str:
        """The type of the resource that `id` names: voicemail boxes belong to extensions."""
        from nizam.model import registry

        if self.type == "voicemail":
            return "extension"
        found = registry.resources().values()
        return next((it.name for it in found if it.destination_type == self.type), self.type)

    @model_validator(mode="after")
    def _shape(self) -> Destination:
        types = destination_types()
        if self.type not in types:
            raise PydanticCustomError(
                "destination_type",
                "'{given}' is not a destination; known are {known}",
                {"given": self.type, "known": ", ".join(sorted(types))},
            )
        given = {name for name in FIELDS if getattr(self, name) is not None}
        missing = REQUIRED.get(self.type, types[self.type]) - given
        surplus = given - types[self.type]
        if missing or surplus:
            raise PydanticCustomError(
                "destination_shape",
                "a destination of type {given} takes {takes}{missing}{surplus}",
                {
                    "given": self.type,
                    "takes": ", ".join(sorted(types[self.type])) or "nothing",
                    "missing": f"; missing: {', '.join(sorted(missing))}" if missing else "",
                    "surplus": f"; not {', '.join(sorted(surplus))}" if surplus else "",
                },
            )
        either = EITHER.get(self.type)
        if either is not None and len(given.intersection(either)) != 1:
            raise PydanticCustomError(
                "destination_shape",
                "a destination of type {given} takes either {either}",
                {"given": self.type, "either": " or ".join(either)},
            )
        depth, inner = 0, self.then
        while inner is not None:
            depth, inner = depth + 1, inner.then
        if depth > 5:
            raise PydanticCustomError(
                "destination_depth", "more than 5 steps follow each other", {}
            )
        return self

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        schema = handler.resolve_ref_schema(handler(core_schema))
        schema["properties"]["type"]["enum"] = sorted(destination_types())
        return schema
