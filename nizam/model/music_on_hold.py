"""Music on hold: what callers hear while they wait, one file after the other."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from nizam.model.audio import AudioFile
from nizam.model.base import Body
from nizam.model.resource import Column, Resource, Unique
from nizam.model.values import Label

MAX_FILES = 20


class MusicFile(AudioFile):
    """One of the files; `name` is for people."""

    name: Label
    """Its name, for people."""


class MusicOnHold(Body):
    """What callers hear while they wait, one file after the other. The one that `is_default` is
    heard in every call of the tenant."""

    name: Label
    """Its name; no other music of the tenant has it."""
    is_default: bool = False
    """Whether it is heard in every call of the tenant."""
    files: Annotated[tuple[MusicFile, ...], Field(max_length=MAX_FILES)] = ()
    """The files, in the order in which they are played."""


RESOURCE = Resource(
    name="music_on_hold",
    path="music-on-hold",
    body=MusicOnHold,
    columns=(Column("name"), Column("is_default", "boolean"), Column("enabled", "boolean")),
    unique=(Unique(("name",)), Unique(("is_default",), only_true=True)),
    search=("name",),
    read_only=("files",),
    example={"name": "Piano", "is_default": True},
)
