"""A prompt: a recording that callers hear, such as a greeting or an announcement."""

from __future__ import annotations

from nizam.model.audio import AudioFile
from nizam.model.base import Body
from nizam.model.resource import Column, Resource, Unique
from nizam.model.values import Label, Language, LongText


class Prompt(Body):
    """A recording that callers hear, such as a greeting or an announcement. `audio` is there once
    a file was uploaded."""

    name: Label
    """Its name; no other prompt of the tenant has it."""
    description: LongText | None = None
    """What it says, for people."""
    language: Language | None = None
    """The language that it is in."""
    audio: AudioFile | None = None
    """The file; null until one was uploaded."""


RESOURCE = Resource(
    name="prompt",
    path="prompts",
    body=Prompt,
    columns=(Column("name"), Column("language"), Column("enabled", "boolean")),
    unique=(Unique(("name",)),),
    search=("name", "description"),
    read_only=("audio",),
    example={"name": "Welcome", "language": "en"},
)
