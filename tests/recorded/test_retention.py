"""Recordings are kept for as long as their tenant says, unless they are held."""

from __future__ import annotations

from typing import Any

import pytest

from nizam.model.identifiers import new_id
from nizam.store.system.event_log import read_log
from nizam.store.system.recordings import mark_old_recordings
from tests.event_types import check_event
from tests.media.sounds import wav
from tests.recorded.conftest import Studio

SOUND = wav(0.5)


async def aged(studio: Studio, days: float, **more: Any) -> str:
    """The name of a recording that began so many days ago."""
    name = f"{new_id()}.wav"
    identifier = await studio.recorded(name, SOUND)
    await studio.pool.query(
        "update recordings set started_at = now() - make_interval(secs => %s) where id = %s"
        " returning 1",
        (days * 86400, identifier),
    )
    for column, value in more.items():
        await studio.pool.query(
            f"update recordings set {column} = %s where id = %s returning 1",  # noqa: S608
            (value, identifier),
        )
    return name


async def keep_for(studio: Studio, days: int) -> None:
    await studio.pool.query(
        "insert into tenants (id, body, secrets, version, created_at, updated_at)"
        " values (%s, jsonb_build_object('name', 'A', 'slug', 'a', 'domain', 'a.example.test',"
        " 'recording_retention_days', %s::int), '{}', 1, now(), now()) returning 1",
        (studio.tenant_id, days),
    )


@pytest.mark.parametrize(("days", "gone"), [(90, 2), (0, 0), (3650, 0)])
async def test_what_is_older_than_it_is_kept_goes_with_a_receipt(
    studio: Studio, days: int, gone: int
) -> None:
    await keep_for(studio, days)
    old = [await aged(studio, 90.01), await aged(studio, 400)]
    kept = [
        await aged(studio, 89.99),
        await aged(studio, 400, legal_hold=True),
        await aged(studio, 400, state="recording"),
    ]
    assert await mark_old_recordings(studio.pool, 1000) == gone
    await studio.look()
    there = {it.name for it in studio.root.rglob("*.wav")}
    assert there == set(kept if gone else [*kept, *old])
    receipts = await studio.pool.query("select reason, deleted_by, bytes from recording_receipts")
    assert receipts == [("retention", "system", len(SOUND))] * gone
    assert len(await studio.events("recording.deleted")) == gone
    assert await mark_old_recordings(studio.pool, 1000) == 0


async def test_it_goes_in_slices(studio: Studio) -> None:
    await keep_for(studio, 1)
    for _ in range(3):
        await aged(studio, 2)
    assert [await mark_old_recordings(studio.pool, 2) for _ in range(3)] == [2, 1, 0]


async def test_a_file_that_cannot_be_removed_is_tried_again(studio: Studio) -> None:
    await keep_for(studio, 1)
    name = await aged(studio, 2)
    await mark_old_recordings(studio.pool, 10)
    away = studio.root.rename(studio.root.with_name("away"))
    await studio.look()
    [(state, problem)] = await studio.rows("state", "problem")
    assert (state, problem) == (
        "deleting",
        "the media root cannot be read: No such file or directory",
    )
    away.rename(studio.root)
    await studio.later()
    assert await studio.rows("state") == []
    assert not list(studio.root.rglob(name))
    events = [it.event for it in (await read_log(studio.pool, 0)).events]
    assert check_event(events[-1]) == "recording.deleted"
