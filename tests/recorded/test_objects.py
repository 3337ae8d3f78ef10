"""Recordings in object storage: moved there once complete, and not removed before they are seen."""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import attrs
import pytest
import pytest_twisted

from nizam.errors import MediaUnavailable, StorageUnavailable
from nizam.media.objects import ObjectStore
from nizam.recordings.files import Place, RecordingFiles
from nizam.recordings.keeper import TOLD_ATTEMPT, RecordingKeeper
from nizam.settings import RecordingSettings, Secret
from nizam.store.system.event_log import read_log
from tests.event_types import check_event
from tests.media.sounds import wav
from tests.recorded.conftest import Studio
from tests.recorded.s3 import ACCESS_KEY, BUCKET, REGION, SECRET, ObjectServer

SOUND = wav(1.0, 8000, 2)
SETTINGS = RecordingSettings(
    storage="s3",
    s3_bucket=BUCKET,
    s3_endpoint="",
    s3_region=REGION,
    s3_prefix="nizam/",
    s3_addressing="path",
    s3_access_key_id=ACCESS_KEY,
    s3_secret_access_key=Secret(SECRET),
)


@attrs.frozen
class Depot:
    """A studio whose recordings are moved on."""

    studio: Studio
    server: ObjectServer
    store: ObjectStore

    async def rows(self) -> list[tuple[Any, ...]]:
        return await self.studio.rows("state", "storage", "is_local", "problem", "next_attempt_at")

    def key(self, identifier: UUID) -> str:
        return f"nizam/{self.studio.tenant_id}/{identifier}.wav"

    async def place(self) -> Place:
        [(path, storage, is_local, key)] = await self.studio.rows(
            "path", "storage", "is_local", "object_key"
        )
        return Place(path=path, storage=storage, is_local=is_local, object_key=key)


@pytest_twisted.async_yield_fixture
async def depot(studio: Studio) -> AsyncIterator[Depot]:
    from twisted.internet import reactor

    server = ObjectServer(reactor)
    store = ObjectStore(reactor, attrs.evolve(SETTINGS, s3_endpoint=server.url))
    studio.keeper = RecordingKeeper(
        reactor, studio.pool, studio.library, studio.told.extend, store, move=True
    )
    studio.keeper.running = True
    yield Depot(studio, server, store)
    store.close()
    await server.stop()


async def test_a_complete_recording_is_moved_on_and_read_from_there(depot: Depot) -> None:
    studio = depot.studio
    identifier = await studio.recorded("a.wav", SOUND)
    assert depot.server.objects == {depot.key(identifier): SOUND}
    assert await depot.rows() == [("available", "s3", False, None, None)]
    assert not list(studio.root.rglob("*.wav"))
    files, place = RecordingFiles(studio.library, depot.store), await depot.place()
    file = await files.open(place)
    assert file.size == len(SOUND)
    for first, length in ((0, len(SOUND)), (44, 1000), (len(SOUND) - 1, 1)):
        read = b"".join([it async for it in file.pieces(first, length)])
        assert read == SOUND[first : first + length]
    await files.remove(place)
    await files.remove(place)
    assert depot.server.objects == {}
    with pytest.raises(MediaUnavailable):
        await files.open(place)
    with pytest.raises(StorageUnavailable, match="do not name"):
        await RecordingFiles(studio.library).open(place)


@pytest.mark.parametrize("broken", ["down", "lossy", "corrupt"])
async def test_the_local_file_stays_until_the_storage_has_the_same(
    depot: Depot, broken: str
) -> None:
    studio = depot.studio
    depot.server.broken = broken
    identifier = await studio.recorded("a.wav", SOUND)
    [(state, storage, is_local, problem, due)] = await depot.rows()
    assert (state, storage, is_local) == ("available", "local", True)
    assert problem
    assert due is not None
    [file] = studio.root.rglob("*.wav")
    assert file.read_bytes() == SOUND
    # It can be listened to meanwhile, and completion was told.
    assert (await RecordingFiles(studio.library, depot.store).open(await depot.place())).size
    assert len(await studio.events("recording.completed")) == 1
    depot.server.broken = None
    await studio.later()
    assert await depot.rows() == [("available", "s3", False, None, None)]
    digest = hashlib.sha256(depot.server.objects[depot.key(identifier)]).hexdigest()
    assert digest == hashlib.sha256(SOUND).hexdigest()


async def test_a_storage_that_stays_away_is_told_of_once(depot: Depot) -> None:
    depot.server.broken = "down"
    await depot.studio.recorded("a.wav", SOUND)
    for _ in range(TOLD_ATTEMPT + 1):
        await depot.studio.later()
    [told] = await depot.studio.events("recording.upload_failed")
    assert "ServiceUnavailable" in told["detail"]
    events = [it.event for it in (await read_log(depot.studio.pool, 0)).events]
    assert check_event(events[-1]) == "recording.upload_failed"
    assert SECRET not in str(told)


async def test_a_file_that_was_changed_since_is_not_moved(depot: Depot) -> None:
    studio = depot.studio
    depot.server.broken = "down"
    await studio.recorded("a.wav", SOUND)
    studio.put("a.wav", SOUND[:-2] + b"xx")
    depot.server.broken = None
    await studio.later()
    [(_, storage, is_local, problem, _)] = await depot.rows()
    assert (storage, is_local) == ("local", True)
    assert "not as it was" in problem


async def test_wrong_credentials_are_told_plainly(depot: Depot) -> None:
    from twisted.internet import reactor

    wrong = attrs.evolve(SETTINGS, s3_endpoint=depot.server.url, s3_secret_access_key=Secret("no"))
    store = ObjectStore(reactor, wrong)
    with pytest.raises(StorageUnavailable, match="SignatureDoesNotMatch"):
        await store.remove("x")
    store.close()


async def test_what_was_complete_before_is_moved_too_and_a_tenant_leaves_nothing(
    depot: Depot,
) -> None:
    studio = depot.studio
    await studio.recorded("a.wav", SOUND)
    await studio.pool.query(
        "update recordings set storage = 'local', is_local = true, object_key = null returning 1"
    )
    file = studio.put("a.wav", SOUND)
    depot.server.objects.clear()
    studio.keeper._closed_at = studio.keeper._moved_at = float("-inf")
    await studio.look()
    assert len(depot.server.objects) == 1
    # Somebody may be writing it again.
    assert await studio.rows("storage", "is_local") == [("s3", True)]
    assert file.exists()
    os.utime(file, (0, 0))
    await studio.later()
    assert await studio.rows("storage", "is_local") == [("s3", False)]
    assert not file.exists()
    depot.server.objects["nizam/other/x.wav"] = b"x"
    assert await depot.store.remove_below(depot.store.key(studio.tenant_id, ""), 100) == 1
    assert list(depot.server.objects) == ["nizam/other/x.wav"]
