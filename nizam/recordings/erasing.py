"""Deleting the file of a recording, with a receipt in its place."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from nizam import metrics
from nizam.recordings.files import Place, RecordingFiles
from nizam.store.pool import Pool, Transaction
from nizam.store.system.events import WriteResult, write_events
from nizam.store.system.recordings import note_erased
from nizam.store.system.telling import Told, write_and_tell


async def erase(
    pool: Pool,
    files: RecordingFiles,
    recording_id: UUID,
    place: Place,
    told: Told,
) -> dict[str, Any] | None:
    """Remove the file of a recording that is marked for deletion, then the recording; its receipt.

    None if another instance was quicker. Raises MediaUnavailable and StorageUnavailable: the
    recording stays marked then. A file is removed before its row, so that none is forgotten.
    """
    await files.remove(place)
    receipts: list[dict[str, Any]] = []

    async def work(transaction: Transaction) -> WriteResult:
        found = await note_erased(transaction, recording_id)
        if found is None:
            return WriteResult()
        receipts.append(found[0])
        return await write_events(transaction, [found[1]])

    await write_and_tell(pool, told, work)
    if receipts:
        metrics.RECORDINGS_TOTAL.labels("deleted").inc()
    return receipts[0] if receipts else None
