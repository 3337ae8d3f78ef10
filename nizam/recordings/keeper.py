"""Looks after the files of recorded calls, from when the switch has stopped recording.

A file is looked at where the media root is: whether it is there, whether its header counts all of
its sound, and what its checksum is. Only then recording.completed is told, in the transaction
that makes the recording available. What cannot be done now stays in the database as something
that is left to do, and so does its reason.
"""

from __future__ import annotations

import contextlib
from time import time
from typing import Any, Final

from twisted.logger import Logger

from nizam import metrics
from nizam.errors import MediaUnavailable, StorageUnavailable
from nizam.media.library import MediaLibrary
from nizam.media.objects import ObjectStore
from nizam.media.patience import PATIENCE_ATTEMPTS, wait_after, wait_for_missing
from nizam.media.wav import WavFacts
from nizam.model.events import Event
from nizam.ops.looking import Looking
from nizam.recordings.erasing import erase
from nizam.recordings.files import Place, RecordingFiles
from nizam.store.pool import Pool, Transaction
from nizam.store.system import recordings as stored
from nizam.store.system.events import WriteResult, write_events
from nizam.store.system.recordings import RecordingWork
from nizam.store.system.telling import Told, write_and_tell

LOOK_SECONDS: Final = 1.0
CLOSE_SECONDS: Final = 10.0
"""Between looks for recordings whose leg has ended without a word about them."""
AT_ONCE: Final = 4
LEASE_SECONDS: Final = 120.0
"""When another instance takes what this one has not settled."""

MOVE_SECONDS: Final = 3600.0
"""Between looks for recordings that were left in the media root."""
MOVED_AT_ONCE: Final = 500
UPLOAD_SECONDS: Final = 1800.0
"""When another instance tries to store what this one has not."""
QUIET_SECONDS: Final = 2.0
"""For how long nobody has written a file that is removed because it is elsewhere."""
TOLD_ATTEMPT: Final = 5
"""The attempt to store a file after which it is told that it fails."""


class RecordingKeeper(Looking):
    """Does what is left to do with recorded files. Any number of instances may do so.

    `told` gets (delivery id, webhook id) of the webhook deliveries that were committed. With `move`
    complete files are moved on to `objects`.
    """

    _log = Logger(namespace="nizam.recordings")

    def __init__(
        self,
        reactor: Any,
        pool: Pool,
        library: MediaLibrary,
        told: Told,
        objects: ObjectStore | None = None,
        *,
        move: bool = False,
    ) -> None:
        super().__init__(reactor, LOOK_SECONDS, "recordings")
        self._reactor = reactor
        self._pool = pool
        self._library = library
        self._objects = objects
        self._move = objects is not None and move
        self._files = RecordingFiles(library, objects)
        self._told = told
        self._closed_at = self._moved_at = float("-inf")

    async def do_due(self) -> None:
        """Do what is due, once."""
        await self._close()
        await self.settle(
            lambda: stored.take_recordings(self._pool, AT_ONCE, LEASE_SECONDS), self._do
        )

    async def _close(self) -> None:
        now = self._reactor.seconds()
        if now - self._closed_at >= CLOSE_SECONDS:
            self._closed_at = now
            await stored.close_ended(self._pool)
            await self._count()
        # Those that were complete before there was an object storage.
        due = self._move and now - self._moved_at >= MOVE_SECONDS
        if due and await stored.have_moved(self._pool, MOVED_AT_ONCE) < MOVED_AT_ONCE:
            self._moved_at = now

    async def _count(self) -> None:
        metrics.RECORDINGS_WAITING.clear()
        waiting = await stored.waiting_recordings(self._pool)
        for state, count, _ in waiting:
            metrics.RECORDINGS_WAITING.labels(state).set(count)
        metrics.RECORDINGS_OLDEST_SECONDS.set(max((it[2] for it in waiting), default=0.0))

    async def _do(self, it: RecordingWork) -> None:
        if it.state in ("checking", "missing"):
            await self._check(it)
        elif it.state == "deleting":
            await self._erase(it)
        elif it.state in ("available", "damaged") and it.is_local:
            await self._store(it)

    async def _erase(self, it: RecordingWork) -> None:
        place = Place(
            path=it.path, storage=it.storage, is_local=it.is_local, object_key=it.object_key
        )
        try:
            await erase(self._pool, self._files, it.id, place, self._told)
        except (MediaUnavailable, StorageUnavailable) as error:
            await self._wait(it, error.detail)

    # -- moving on -----------------------------------------------------------------------------

    async def _store(self, it: RecordingWork) -> None:
        """Move a complete file on to the object storage. The one in the media root stays until
        the storage has said, or shown, that what it has is the same."""
        if it.storage == "s3":
            await self._leave(it)
            return
        if self._objects is None or not self._move or it.sha256 is None:
            await stored.note_settled(self._pool, it)
            return
        # Nobody else begins while this takes its time.
        await stored.put_off(self._pool, it, it.problem, UPLOAD_SECONDS)
        key = self._objects.key(it.tenant_id, f"{it.id}.wav")
        try:
            with await self._library.open(it.path) as file:
                await self._objects.store(key, file, it.sha256)
        except (MediaUnavailable, StorageUnavailable) as error:
            await self._not_stored(it, error.detail)
            return
        await stored.note_stored(self._pool, it, key)
        metrics.RECORDINGS_TOTAL.labels("stored").inc()

    async def _leave(self, it: RecordingWork) -> None:
        """Remove the file that the object storage has, unless somebody writes it again: another
        leg of the call may be recorded into the same."""
        before = time() - QUIET_SECONDS
        if not await self._library.remove(it.path, written_before=before):
            with contextlib.suppress(MediaUnavailable):
                (await self._library.open(it.path)).close()
                await stored.put_off(self._pool, it, None, 2 * QUIET_SECONDS)
                return
        await stored.note_moved(self._pool, it)

    async def _not_stored(self, it: RecordingWork, problem: str) -> None:
        metrics.RECORDINGS_TOTAL.labels("upload_failed").inc()
        self._log.error("the recording {path} is not stored: {why}", path=it.path, why=problem)
        await self._wait(it, problem)
        if it.attempt_count == TOLD_ATTEMPT:
            event = it.event("recording.upload_failed", detail=problem)
            await write_and_tell(self._pool, self._told, lambda it: write_events(it, [event]))

    # -- checking -----------------------------------------------------------------------------

    async def _check(self, it: RecordingWork) -> None:
        try:
            facts = await self._library.examine(it.path)
        except MediaUnavailable as error:
            await self._wait(it, error.detail)
            return
        patient = it.attempt_count < PATIENCE_ATTEMPTS
        if facts is None:
            await self._missing(it, patient=patient)
        elif facts.problem is not None and patient:
            await self._wait(it, facts.problem)
        elif facts.problem is None and facts.duration_ms == 0:
            # Recorded only while connected, and never connected: no recording.
            await self._library.remove(it.path)
            await stored.forget_empty(self._pool, it)
        else:
            await self._found(it, facts)

    async def _wait(self, it: RecordingWork, problem: str) -> None:
        await stored.put_off(self._pool, it, problem, wait_after(it.attempt_count))
        if it.attempt_count == PATIENCE_ATTEMPTS:
            self._log.error("the recording {path} waits: {problem}", path=it.path, problem=problem)

    async def _missing(self, it: RecordingWork, *, patient: bool) -> None:
        problem = "the file is not in the media root"
        if patient:
            await self._wait(it, problem)
            return
        wait = wait_for_missing(it.attempt_count)
        event = it.event("recording.failed", reason="missing", detail=problem)

        async def work(transaction: Transaction) -> WriteResult:
            if not await stored.note_missing(transaction, it, problem, wait):
                return WriteResult()
            return await write_events(transaction, [event])

        await write_and_tell(self._pool, self._told, work)
        if it.state != "missing":
            metrics.RECORDINGS_TOTAL.labels("missing").inc()
            self._log.error(
                "the recording {path} of node {node} is missing", path=it.path, node=it.node
            )

    async def _found(self, it: RecordingWork, facts: WavFacts) -> None:
        async def work(transaction: Transaction) -> WriteResult:
            now = await stored.note_found(transaction, it, facts, more=self._move)
            return await write_events(transaction, [] if now is None else [_whole(now, facts)])

        written = await write_and_tell(self._pool, self._told, work)
        if written.event_ids:
            outcome = "available" if facts.problem is None else "damaged"
            metrics.RECORDINGS_TOTAL.labels(outcome).inc()
            if facts.problem is not None:
                self._log.error(
                    "the recording {path} is damaged: {problem}",
                    path=it.path,
                    problem=facts.problem,
                )


def _whole(it: RecordingWork, facts: WavFacts) -> Event:
    data = {
        "duration_ms": facts.duration_ms,
        "size_bytes": facts.bytes,
        "sha256": facts.sha256,
    }
    if facts.problem is None:
        return it.event("recording.completed", **data)
    return it.event("recording.failed", reason="damaged", detail=facts.problem, **data)
