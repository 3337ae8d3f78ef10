"""The tasks as they stand in the table, each run on a real database."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from twisted.internet.task import Clock

from nizam.model.identifiers import new_id
from nizam.ops.scheduled import scheduled_tasks
from nizam.settings import RetentionSettings, load
from nizam.store.pool import Pool
from nizam.store.system.partitions import make_partitions
from nizam.store.system.scheduled_tasks import task_states
from nizam.switch.live import LiveState
from tests.ops.conftest import Instance
from tests.ops.test_purge import Yard, key_value, library, media_root, yard
from tests.store.conftest import Workshop

__all__ = ["key_value", "library", "media_root", "yard"]

KEEP = load(None, {"APP_ENV": "testing"}).settings.retention


def tasks(yard: Yard, keep: RetentionSettings) -> list[Any]:
    return list(scheduled_tasks(keep, yard.purge, LiveState(Clock())))


async def test_what_is_kept_for_ever_has_no_task(yard: Yard) -> None:
    names = {it.name for it in tasks(yard, attrs.evolve(KEEP, audit_days=1))}
    days = ("event", "cdr", "explanation", "delivery", "revision", "audit")
    for_ever = {
        it.name for it in tasks(yard, attrs.evolve(KEEP, **{f"{it}_days": 0 for it in days}))
    }
    assert names - for_ever == {
        "events",
        "cdrs",
        "explanations",
        "webhook-deliveries",
        "webhook-replays",
        "mails",
        "revisions",
        "audit-log",
    }
    assert {"purge", "partitions"} <= for_ever


@pytest.mark.time_limit(45)
async def test_every_task_does_its_work_in_its_first_turn(
    instances: Callable[..., Instance],
    yard: Yard,
    pool: Pool,
    acme: Workshop,
    rival: Workshop,
    media_root: Path,
) -> None:
    orphan = media_root / f"{new_id()}/prompts/{new_id()}/{new_id()}.wav"
    orphan.parent.mkdir(parents=True)
    orphan.touch()
    os.utime(orphan, (0, 0))
    made = await rival.create("extension", number="1001", display_name="A")
    await rival.change("extension", made.id, display_name="B")
    ((month,),) = await pool.query("select (now() - interval '3 years')::date")
    await make_partitions(pool, 1, month)
    await pool.execute(
        "insert into call_events (occurred_at, core_id, sequence, type, id, data, position)"
        " values (now() - interval '3 years', 'c', 1, 'call.ended', 'evt', '{}', 1)"
    )
    await pool.execute("update revisions set created_at = now() - interval '2 years'")
    await pool.execute("update changes set changed_at = now() - interval '2 years'")
    await yard.terminate(acme)

    keep = RetentionSettings(30, *[1] * (len(attrs.fields(RetentionSettings)) - 1))
    one = instances("one", *tasks(yard, keep))
    await one.start()
    await one.pass_time(2)
    found = {it.name: it for it in await task_states(pool)}
    assert {name: it.error for name, it in found.items() if it.error} == {}
    assert all(it.succeeded_at for it in found.values())
    assert await yard.receipt(acme) is not None
    assert not orphan.exists()
    old_month = "select to_regclass('call_events_' || to_char(%s::date, 'YYYY_MM'))"
    assert await pool.query(old_month, (month,)) == [(None,)]
    assert found["revisions"].removed
    assert found["change-feed"].removed
