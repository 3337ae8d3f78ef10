"""A recording is complete when its file is whole, and nothing is told before, or lost after."""

from __future__ import annotations

import hashlib
import os
import shutil
import struct
from datetime import timedelta

import pytest

from nizam.media.patience import PATIENCE_ATTEMPTS
from nizam.model.audio import recording_below
from nizam.model.identifiers import new_id
from nizam.store.system.event_log import read_log
from tests.event_types import check_event
from tests.media.sounds import wav
from tests.recorded.conftest import STARTED, Studio

SOUND = wav(2.0, 8000, 2)
TOLD = ("recording.completed", "recording.failed")


async def test_completed_is_told_when_the_file_is_whole(studio: Studio) -> None:
    call_id, extension_id = new_id(), new_id()
    whose = {"call_id": call_id, "leg_id": call_id, "extension_id": str(extension_id)}
    await studio.hear(studio.event("recording.started", "a.wav", 0.0, **whose))
    await studio.look()
    assert await studio.rows("state", "bytes") == [("recording", None)]
    studio.put("a.wav", SOUND)
    await studio.hear(studio.event("recording.stopped", "a.wav", 2.0, **whose))
    await studio.look()
    [row] = await studio.rows(
        *("state", "tenant_id", "call_id", "leg_id", "extension_id", "from_number", "to_number"),
        *("started_at", "stopped_at", "duration_ms", "bytes", "sha256", "sample_rate", "channels"),
        *("node", "storage", "next_attempt_at"),
    )
    digest = hashlib.sha256(SOUND).hexdigest()
    assert row == (
        *("available", studio.tenant_id, call_id, call_id, extension_id, "1001", "1002"),
        *(STARTED, STARTED + timedelta(seconds=2), 2000, len(SOUND), digest, 8000, 2),
        *("fs1", "local", None),
    )
    [told] = await studio.events(*TOLD)
    assert (told["duration_ms"], told["size_bytes"], told["sha256"]) == (2000, len(SOUND), digest)
    assert told["extension_id"] == str(extension_id)
    events = [it.event for it in (await read_log(studio.pool, 0)).events]
    assert check_event(events[-1]) == "recording.completed"


async def test_events_out_of_order_and_twice_make_one_recording(studio: Studio) -> None:
    studio.put("a.wav", SOUND)
    started = studio.event("recording.started", "a.wav", 0.0)
    stopped = studio.event("recording.stopped", "a.wav", 2.0)
    await studio.hear(stopped)
    await studio.look()
    await studio.hear(started, stopped)
    await studio.hear(started)
    await studio.look()
    assert await studio.rows("state", "started_at") == [("available", STARTED)]
    assert len(await studio.events("recording.completed")) == 1


async def test_a_file_that_comes_late_is_waited_for(studio: Studio) -> None:
    await studio.hear(studio.event("recording.stopped", "late.wav"))
    await studio.look()
    assert await studio.rows("state", "problem") == [
        ("checking", "the file is not in the media root")
    ]
    studio.put("late.wav", SOUND)
    await studio.later()
    assert await studio.rows("state", "problem") == [("available", None)]


async def test_a_missing_file_is_told_once_and_found_when_it_comes_after_all(
    studio: Studio,
) -> None:
    await studio.hear(studio.event("recording.stopped", "gone.wav"))
    for _ in range(PATIENCE_ATTEMPTS + 2):
        await studio.later()
    assert await studio.rows("state") == [("missing",)]
    [told] = await studio.events(*TOLD)
    assert (told["reason"], told["detail"]) == ("missing", "the file is not in the media root")
    events = [it.event for it in (await read_log(studio.pool, 0)).events]
    assert check_event(events[-1]) == "recording.failed"
    studio.put("gone.wav", SOUND)
    await studio.later()
    assert await studio.rows("state") == [("available",)]
    assert len(await studio.events("recording.completed")) == 1


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (SOUND[:-100], "it breaks off: 100 of 64000 bytes of sound are missing"),
        (b"RIFF", "it is no WAV file"),
        (b"", "it is no WAV file"),
        (b"\x00" * 5000, "it is no WAV file"),
    ],
)
async def test_a_broken_file_is_kept_and_told_of_as_damaged(
    studio: Studio, content: bytes, problem: str
) -> None:
    file = studio.put("broken.wav", content)
    await studio.hear(studio.event("recording.stopped", "broken.wav"))
    for _ in range(PATIENCE_ATTEMPTS):
        await studio.later()
    assert await studio.rows("state", "problem") == [("damaged", problem)]
    assert [(it["reason"], it["detail"]) for it in await studio.events(*TOLD)] == [
        ("damaged", problem)
    ]
    assert file.read_bytes() == content


async def test_the_header_of_a_recording_that_broke_off_is_put_right(studio: Studio) -> None:
    # As libsndfile leaves it when its process is killed: no lengths, all of the sound.
    torn = SOUND[:4] + struct.pack("<I", 36) + SOUND[8:40] + struct.pack("<I", 0) + SOUND[44:]
    file = studio.put("torn.wav", torn)
    await studio.hear(studio.event("recording.stopped", "torn.wav"))
    await studio.later()
    assert await studio.rows("state") == [("checking",)], "somebody may be writing it"
    os.utime(file, (0, 0))
    await studio.later()
    assert await studio.rows("state", "duration_ms") == [("available", 2000)]
    assert file.read_bytes() == SOUND


async def test_nothing_recorded_is_no_recording(studio: Studio) -> None:
    empty = studio.put("empty.wav", wav(0.0))
    await studio.hear(
        studio.event("recording.stopped", "empty.wav", duration_ms=0),
        studio.event("recording.started", "short.wav"),
        studio.event("recording.stopped", "short.wav", 0.5, discarded=True),
    )
    await studio.look()
    assert await studio.rows("path") == []
    assert not empty.exists()
    assert await studio.events(*TOLD) == []


async def test_a_recording_that_may_go_on_is_complete_when_its_leg_ends(studio: Studio) -> None:
    leg = new_id()
    studio.put("demand.wav", SOUND)
    await studio.hear(
        studio.event("recording.started", "demand.wav", 0.0, leg_id=leg),
        studio.event("recording.stopped", "demand.wav", 2.0, leg_id=leg, may_continue=True),
    )
    await studio.later()
    assert await studio.rows("state") == [("stopped",)]
    await studio.hear(studio.event("recording.started", "demand.wav", 5.0, leg_id=leg))
    assert await studio.rows("state") == [("recording",)]
    await leg_ends(studio, leg)
    assert await studio.rows("state", "started_at") == [("available", STARTED)]
    assert len(await studio.events("recording.completed")) == 1


async def test_a_recording_whose_end_was_not_heard_is_complete_when_its_leg_ends(
    studio: Studio,
) -> None:
    leg = new_id()
    studio.put("unheard.wav", SOUND)
    await studio.hear(studio.event("recording.started", "unheard.wav", 0.0, leg_id=leg))
    await leg_ends(studio, leg)
    assert await studio.rows("state", "duration_ms", "stopped_at") == [
        ("available", 2000, STARTED + timedelta(seconds=9))
    ]
    # What comes late says the same again.
    await studio.hear(studio.event("recording.stopped", "unheard.wav", 9.0, leg_id=leg))
    await studio.later()
    assert await studio.rows("state") == [("available",)]


async def test_a_conference_whose_end_was_not_heard_is_looked_at_a_day_later(
    studio: Studio,
) -> None:
    studio.put("room.wav", SOUND)
    await studio.hear(studio.event("recording.started", "room.wav", 0.0, leg_id=None))
    for hours, state in ((23, "recording"), (25, "available")):
        await studio.pool.query(
            "update recordings set started_at = now() - make_interval(hours => %s) returning 1",
            (hours,),
        )
        await leg_ends(studio, new_id())
        assert await studio.rows("state") == [(state,)]


async def leg_ends(studio: Studio, leg: object) -> None:
    await studio.pool.query(
        "insert into cdr_legs (leg_id, started_at, ended_at, call_id, call_known, from_events,"
        " from_cdr, reconciled) values (%s, %s, %s, %s, true, true, false, false) returning 1",
        (leg, STARTED - timedelta(seconds=5), STARTED + timedelta(seconds=9), leg),
    )
    studio.keeper._closed_at = float("-inf")
    await studio.look()


async def test_without_a_media_root_recordings_wait(studio: Studio) -> None:
    file = studio.put("a.wav", SOUND)
    await studio.hear(studio.event("recording.stopped", "a.wav"))
    away = studio.root.rename(studio.root.with_name("away"))
    for _ in range(PATIENCE_ATTEMPTS + 1):
        await studio.later()
    assert await studio.rows("state", "problem") == [
        ("checking", "the media root cannot be read: No such file or directory")
    ]
    assert await studio.events(*TOLD) == []
    shutil.move(away, studio.root)
    await studio.later()
    assert await studio.rows("state") == [("available",)]
    assert file.exists()


@pytest.mark.parametrize(
    "path",
    [
        "/elsewhere/somewhere.wav",
        "/m/{tenant}/voicemail/x.wav",
        "/m/{tenant}/recordings/../../other/x.wav",
        "/m/{tenant}/recordings/",
        "/m/{tenant}/recordings/.hidden.wav",
        "/m/{tenant}/recordings/a//b.wav",
        "/m/{tenant}/recordings/x.wav\n",
        "{tenant}/recordings/x.wav",
    ],
)
def test_files_elsewhere_are_not_ours(path: str) -> None:
    assert recording_below(path.format(tenant=new_id())) is None


async def test_a_file_belongs_to_the_tenant_in_whose_folder_it_is(studio: Studio) -> None:
    other = new_id()
    path = f"/m/{other}/recordings/x.wav"
    await studio.hear(studio.event("recording.stopped", "x", path=path))
    assert await studio.rows("tenant_id") == [(other,)]
