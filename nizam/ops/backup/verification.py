"""What became of verifying a backup: kept beside its manifest, for those who look at it later."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Final

import pydantic

from nizam.ops.backup.errors import BackupError
from nizam.ops.backup.verify import Verified
from nizam.ops.backup.writing import FILE_MODE, said

FILE: Final = "verified.json"
"""No file of the backup itself: the manifest does not name it, and it is written anew each time."""
_MOST_BYTES: Final = 1 << 20


class Verification(pydantic.BaseModel):
    """When a backup was verified the last time, and the first of what was wrong with it."""

    model_config = pydantic.ConfigDict(frozen=True, extra="ignore")

    verified_at: datetime
    good: bool
    problem: str = ""


def keep(verified: Verified, now: datetime) -> None:
    """Note the result beside the manifest; BackupError where that cannot be written."""
    problems = (f"{it.name}: {problem}" for it in verified.checks for problem in it.problems)
    found = Verification(verified_at=now, good=verified.good, problem=next(problems, ""))
    path = verified.path / FILE
    passing = path.with_name(f".{FILE}")
    with said(path):
        passing.touch(FILE_MODE)
        passing.write_text(found.model_dump_json() + "\n")
        os.replace(passing, path)


def last(backup: Path) -> Verification | None:
    """What was noted of the backup in this folder; None if it was never verified.

    Raises BackupError when the note cannot be read.
    """
    path = backup / FILE
    try:
        with said(path, "read"), path.open() as file:
            return Verification.model_validate_json(file.read(_MOST_BYTES))
    except BackupError as error:
        if not path.exists():
            return None
        raise error from None
    except ValueError:
        raise BackupError(f"{path} is no note of a verification: verify it again") from None
