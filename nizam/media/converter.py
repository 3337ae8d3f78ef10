"""Runs the converting program beside the reactor, with an end to its time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs

from nizam import child
from nizam.errors import FieldError, TimeoutExceeded, ValidationFailed
from nizam.media.folder import media_error

WALL_SECONDS = 24.0
_CPU_SECONDS = 20
_PROGRAM = str(Path(__file__).with_name("convert.py"))


@attrs.frozen
class Limits:
    """The largest upload in bytes, and the longest sound in seconds."""

    max_bytes: int
    max_seconds: float


async def convert(reactor: Any, source: int, target: int, limits: Limits) -> dict[str, Any]:
    """Write what is in the descriptor `source` to `target` as FreeSWITCH plays it; its facts.

    Raises ValidationFailed for what is no audio or over a limit, StorageFull, MediaUnavailable,
    and TimeoutExceeded when it takes longer than 24 s.
    """
    ended = await child.run(
        reactor,
        _PROGRAM,
        (str(limits.max_bytes), str(limits.max_seconds), str(_CPU_SECONDS)),
        seconds=WALL_SECONDS,
        descriptors={0: source, 3: target},
    )
    if ended.late:
        raise TimeoutExceeded(f"the sound was not converted within {WALL_SECONDS:g} s")
    return _facts(ended)


def _facts(ended: child.Ended) -> dict[str, Any]:
    answer = ended.answer("an upload")
    if answer is None:
        raise not_taken("not_audio", "the file cannot be decoded")
    if "facts" in answer:
        facts: dict[str, Any] = answer["facts"]
        return facts
    if "refused" in answer:
        raise not_taken(answer["refused"]["code"], answer["refused"]["message"])
    it = answer["errno"]
    raise media_error(OSError(it["errno"], it["message"]), "the file cannot be written")


def not_taken(code: str, message: str) -> ValidationFailed:
    """The problem of an upload that is not taken; the whole body is what is wrong."""
    return ValidationFailed(message, errors=[FieldError("", code, message)])
