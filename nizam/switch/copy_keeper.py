"""Keeps the copy of the snapshot in Redis as new as the snapshot, beside everything else.

A small change is patched into the copy at once; what was not, because it is large or Redis was
away, is written whole at the next check.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from nizam.errors import KeyValueUnavailable
from nizam.routing.rows import Row
from nizam.routing.snapshot import Snapshot
from nizam.switch.snapshot_copy import SnapshotCopy

CHECK_SECONDS = 10.0


class CopyKeeper:
    """Writes what is in `snapshot` to `copy`.

    `revisions` says up to where the changes of each owner are in the snapshot; None is the
    platform.
    """

    _log = Logger()

    def __init__(
        self,
        clock: Any,
        copy: SnapshotCopy,
        snapshot: Snapshot,
        revisions: Callable[[], Mapping[UUID | None, int]],
    ) -> None:
        self._clock = clock
        self._copy = copy
        self._snapshot = snapshot
        self._revisions = revisions
        self._running = False
        self._dirty = True
        self._checked_at: float | None = None
        self._writing: Deferred[None] | None = None

    @property
    def is_whole(self) -> bool:
        """Whether nothing is known that the copy lacks."""
        return not self._dirty

    def start(self) -> None:
        """Write from now on."""
        self._running = True

    async def stop(self) -> None:
        """Write no more; what is under way ends at the next owner."""
        self._running = False
        if self._writing is not None:
            await self._writing

    async def load(self) -> tuple[Sequence[tuple[UUID | None, int, list[Row]]], float | None]:
        """What the copy has, (owner, revision, rows) each, and until when it was current.

        Raises KeyValueUnavailable.
        """
        return await self._copy.load(), await self._copy.current_at()

    def lacks_something(self, *, at_once: bool = False) -> None:
        """Write at the next check what the copy lacks; `at_once` brings that check forward."""
        self._dirty = True
        if at_once:
            self._checked_at = None

    async def patch(
        self,
        owner: UUID | None,
        before: int,
        after: int,
        rows: list[Row],
        removed: list[tuple[str, UUID]],
    ) -> None:
        """Write one change of an owner, from one of its revisions to another."""
        try:
            if not await self._copy.patch(owner, before, after, rows, removed):
                self.lacks_something(at_once=True)
        except KeyValueUnavailable:
            self.lacks_something()

    def check(self, current_at: float) -> None:
        """Every few seconds, see to the copy; `current_at` is when the snapshot was current."""
        now = self._clock.seconds()
        if self._writing is not None or (
            self._checked_at is not None and now - self._checked_at < CHECK_SECONDS
        ):
            return
        self._checked_at = now

        async def write() -> None:
            try:
                await self._mend(current_at)
            except KeyValueUnavailable as error:
                self._dirty = True
                self._log.warn("writing the copy in Redis: {error}", error=str(error))
            except Exception:
                self._dirty = True
                self._log.failure("while writing the copy in Redis")
            finally:
                self._writing = None

        writing: Deferred[None] = Deferred()
        self._writing = writing
        Deferred.fromCoroutine(write()).addCallback(writing.callback)

    async def _mend(self, current_at: float) -> None:
        """Write what the copy lacks, and note until when it is current."""
        if self._dirty:
            self._dirty = False
            await self._write_stale()
        if not self._dirty:
            await self._copy.note_current(current_at)

    async def _write_stale(self) -> None:
        wanted = self._revisions()
        for owner, revision in wanted.items():
            if not self._running:
                self._dirty = True
                return
            if await self._copy.revision(owner) != revision and not await self._copy.replace(
                owner, revision, self._snapshot.rows_of(owner)
            ):
                self._dirty = True
        for owner in await self._copy.owners() - wanted.keys():
            # One that came after the list was made is not stale.
            if owner is not None and owner not in self._revisions():
                await self._copy.remove(owner)
