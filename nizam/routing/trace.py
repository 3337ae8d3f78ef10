"""Why a call goes where it goes: one line for each thing that was looked at."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

import attrs

Result = Literal["matched", "passed", "denied", "chosen", "failed"]


@attrs.frozen
class ResourceName:
    """The object that a step was about."""

    type: str
    id: UUID


@attrs.frozen
class TraceStep:
    """What was looked at, how it ended, in words why, and the object it was about.

    `matched` and `chosen` lead on from here, `passed` means that it did not apply, `denied` that
    the call may not, `failed` that what is configured cannot be followed.
    """

    step: str
    result: Result
    detail: str
    resource: ResourceName | None = None

    def document(self) -> dict[str, object]:
        """The step as JSON data."""
        named = self.resource
        return {
            "step": self.step,
            "result": self.result,
            "detail": self.detail,
            "resource": None if named is None else {"type": named.type, "id": str(named.id)},
        }
