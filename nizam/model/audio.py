"""Sound files that tenants upload: what is known of one, and where it lies under the media root.

Each upload is a file of its own in the folder of its object, named by an id that is never given
twice: no name comes from a client, a file is never changed in place, and one that is removed is
nobody else's.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, Discriminator, Field, StringConstraints, Tag

from nizam.model.base import Value
from nizam.model.resource import RefersTo
from nizam.model.validation import kind_tag
from nizam.model.values import SoundPath

AudioFormat = Literal["wav", "mp3"]
Folder = Literal["prompts", "music-on-hold"]
"""Where the files of a kind of object lie, below the folder of the tenant."""

_RECORDED = re.compile(
    r"(?<=/)([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/recordings/"
    r"(?:[0-9a-z][0-9a-z.-]{0,99}/){0,8}[0-9a-z][0-9a-z.-]{0,99}\Z"
)

Sha256 = Annotated[
    str, StringConstraints(pattern=r"^[0-9a-f]{64}$"), Field(examples=[f"{0xBA5E:064x}"])
]


class AudioFile(Value):
    """The facts of a stored file, which is 16-bit linear WAV with one channel.

    `id` is that of the upload. `sha256` and `bytes` are those of the stored file; `source_format`,
    `source_sample_rate` and `source_channels` say what was uploaded. Sample rates in Hz.
    """

    id: UUID
    """Its id; each upload has its own."""
    format: Literal["wav"] = "wav"
    """The format of the stored file."""
    sample_rate: Annotated[int, Field(ge=8000, le=48000)]
    """In Hz."""
    channels: Literal[1] = 1
    """Always one."""
    seconds: Annotated[float, Field(ge=0)]
    """How long it plays."""
    bytes: Annotated[int, Field(ge=0)]
    """How large the stored file is."""
    sha256: Sha256
    """SHA-256 of the stored file."""
    source_format: AudioFormat
    """What was uploaded."""
    source_sample_rate: int
    """The sample rate of what was uploaded, in Hz."""
    source_channels: int
    """How many channels it had."""


def media_directory(tenant_id: UUID, folder: Folder, identifier: UUID) -> str:
    """The folder of one object below the media root."""
    return f"{tenant_id}/{folder}/{identifier}"


def media_path(tenant_id: UUID, folder: Folder, identifier: UUID, file_id: UUID) -> str:
    """The path of a file below the media root."""
    return f"{media_directory(tenant_id, folder, identifier)}/{file_id}.wav"


def recordings_directory(tenant_id: UUID) -> str:
    """Where FreeSWITCH writes recordings of the tenant, below the media root."""
    return f"{tenant_id}/recordings"


def recording_below(path: str) -> tuple[UUID, str] | None:
    """The tenant of a recorded file and its path below the media root, from the path that
    FreeSWITCH gives; None for what lies in no tenant's folder of recordings."""
    found = _RECORDED.search(path)
    return None if found is None else (UUID(found[1]), found[0])


_PART = r"(?:[a-z0-9]|\{(?:year|month|day|hour)\})"
_FOLDERS = re.compile(rf"({_PART}(?:{_PART}|-)*(/{_PART}(?:{_PART}|-)*){{0,7}})?")


def _folders(value: str) -> str:
    if _FOLDERS.fullmatch(value) is None:
        raise ValueError(
            "must be up to 8 names of small letters, digits and hyphens, divided by slashes;"
            " {year}, {month}, {day} and {hour} stand for the time"
        )
    return value


RecordingFolders = Annotated[
    str,
    StringConstraints(max_length=100, pattern=r"^[a-z0-9{}/-]*$"),
    AfterValidator(_folders),
    Field(examples=["{year}/{month}/{day}"]),
]
"""The folders that recordings are put into, named by the time at which the call asked for it."""


def recordings_folder(tenant_id: UUID, folders: RecordingFolders, now: datetime) -> str:
    """The directory, below the media root, of a recording that begins at `now` in the tenant's
    time zone."""
    directory = recordings_directory(tenant_id)
    if not folders:
        return directory
    return f"{directory}/" + folders.format(
        year=f"{now.year:04}", month=f"{now.month:02}", day=f"{now.day:02}", hour=f"{now.hour:02}"
    )


class PromptSound(Value):
    """The sound of a prompt of the tenant."""

    prompt_id: Annotated[UUID, RefersTo("prompt")]
    """The id of a prompt."""


def _kind(value: object) -> str:
    return kind_tag("prompt" if isinstance(value, dict | PromptSound) else "path")


Sound = Annotated[
    Annotated[SoundPath, Tag(kind_tag("path"))] | Annotated[PromptSound, Tag(kind_tag("prompt"))],
    Discriminator(_kind),
    Field(title="Sound"),
]
"""What to play: a sound as FreeSWITCH reads it, or `{"prompt_id": ...}`."""
