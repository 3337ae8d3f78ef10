"""What is in a backup: `manifest.json`, the last file that is written and the first that is read.

The format has a number. Fields may be added to it without a new one; a reader refuses a number
that it does not know. The manifest names every other file with its size and SHA-256, and ends with
the SHA-256 of itself, so that no byte of a backup can change unnoticed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pydantic

from nizam.ops.backup.errors import BackupError, Damaged

FORMAT: Final = 1
PRODUCT: Final = "nizam"
FILE: Final = "manifest.json"
_MOST_BYTES = 64 << 20


class _Part(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(frozen=True, extra="ignore")


class FileFacts(_Part):
    """A file of the backup."""

    bytes: int
    sha256: str


class DatabaseFacts(_Part):
    """PostgreSQL as it was when it was read: one snapshot, of which `tables` has the rows of each
    table. `owner` is the role that read it, `roles` are those that rights or policies name."""

    file: str
    database: str
    server_version: str
    dump_version: str
    revision: str
    wal_position: str
    snapshot_at: datetime
    owner: str
    roles: tuple[str, ...]
    tables: Mapping[str, int]

    @property
    def server_major(self) -> int:
        """The first part of the server's version."""
        return int(self.server_version.split(".")[0])


class RedisFacts(_Part):
    """One Redis server: a dump of all of it. `keys` counts those of the database in use when the
    dump was begun, so about as many are in it."""

    file: str
    server: str
    version: str
    database: int
    keys: int


class TreeFacts(_Part):
    """A folder: `root` is where it was. `file` is the archive, or the list of the files that lie
    beside it; `linked` of them are the same as in the backup before and take no room."""

    root: str
    file: str
    files: int
    bytes: int
    linked: int = 0


class ObjectFacts(_Part):
    """Recordings in object storage, which are listed and not copied."""

    bucket: str
    endpoint: str | None
    prefix: str
    file: str
    recordings: int
    bytes: int


class SecretFacts(_Part):
    """How many secrets each key encrypted. No key is in the manifest; the one that the database
    may hold itself, `stored`, is in its dump."""

    keys: Mapping[str, int]
    stored_key: bool


class Manifest(_Part):
    """The manifest. A part that is None is not in the backup; `left_out` says why."""

    format: int
    product: str
    name: str
    nizam_version: str
    host: str
    started_at: datetime
    finished_at: datetime
    database: DatabaseFacts
    redis: tuple[RedisFacts, ...] = ()
    freeswitch: TreeFacts | None = None
    media: TreeFacts | None = None
    objects: ObjectFacts | None = None
    secrets: SecretFacts
    left_out: Mapping[str, str]
    files: Mapping[str, FileFacts]

    @property
    def bytes(self) -> int:
        """What the backup holds, in bytes; what is linked counts too."""
        media = 0 if self.media is None else self.media.bytes
        return sum(it.bytes for it in self.files.values()) + media


def write(manifest: Manifest) -> bytes:
    """The manifest as the bytes of its file."""
    document = manifest.model_dump(mode="json")
    document["sha256"] = _digest(document)
    return json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n"


def read(folder: Path) -> Manifest:
    """The manifest of the backup in `folder`.

    Raises BackupError when there is none or it is of a newer NIZAM, Damaged when it was changed.
    """
    path = folder / FILE
    try:
        with path.open("rb") as file:
            raw = file.read(_MOST_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise BackupError(f"{folder} is no backup: it has no {FILE}") from None
    except OSError as error:
        raise BackupError(f"{path} cannot be read: {error.strerror}") from None
    if len(raw) > _MOST_BYTES:
        raise Damaged(f"{path} is larger than any manifest")
    try:
        document = json.loads(raw)
        if document["product"] != PRODUCT or not isinstance(document["format"], int):
            raise ValueError("it does not say that it is of NIZAM")
        known = document.pop("sha256")
    except (ValueError, KeyError, TypeError) as error:
        raise Damaged(f"{path} is no manifest of a backup: {error}") from None
    if known != _digest(document):
        raise Damaged(f"{path} was changed after it was written: its SHA-256 is another")
    if document["format"] != FORMAT:
        version = document.get("nizam_version")
        raise BackupError(
            f"{folder} has the format {document['format']}, and this NIZAM reads {FORMAT}: "
            f"it was made by NIZAM {version}; restore it with that version or a newer one"
        )
    try:
        return Manifest.model_validate(document)
    except pydantic.ValidationError as error:
        raise Damaged(f"{path} lacks what it must have: {error.errors()[0]['loc']}") from None


def _digest(document: Mapping[str, Any]) -> str:
    plain = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(plain.encode()).hexdigest()
