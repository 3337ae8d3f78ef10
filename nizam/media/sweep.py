"""Removes the files that no object has: what a crash, a purge or a replaced sound has left."""

from __future__ import annotations

import re
from collections.abc import Callable

from twisted.logger import Logger

from nizam.media.folder import Found
from nizam.media.library import MediaLibrary
from nizam.metrics import MEDIA_SWEPT_TOTAL
from nizam.store.system.media import Source, media_in_use

GRACE_SECONDS = 3600.0
"""How long a file stays that nobody has: its upload may not be committed yet, or a call under way
may come back to the sound that was replaced."""

_ID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_OURS = re.compile(rf"{_ID}/(?:prompts|music-on-hold)/{_ID}/(?:({_ID})\.wav|\.[0-9a-f]+\.part)")


def _never() -> bool:
    return False


async def sweep(
    library: MediaLibrary, source: Source, now: float, over: Callable[[], bool] = _never
) -> int:
    """Remove the files of prompts and music on hold that no object has and that were written, or
    replaced, more than an hour before `now`, in seconds since the epoch; how many they were. It
    stops early when it is `over`.

    What else lies below the media root stays. Raises MediaUnavailable and DatabaseUnavailable; it
    can be repeated, and be run by several processes at once.
    """
    oldest = now - GRACE_SECONDS
    in_use = await media_in_use(source)

    def is_orphan(it: Found) -> bool:
        found = _OURS.fullmatch(it.path)
        return found is not None and it.written_at < oldest and found.group(1) not in in_use

    removed = 0
    for orphan in await library.files(is_orphan):
        if over():
            break
        removed += await library.remove(orphan.path, written_before=oldest)
    MEDIA_SWEPT_TOTAL.inc(removed)
    if removed:
        Logger().info("{count} media files that nobody had are removed", count=removed)
    return removed
