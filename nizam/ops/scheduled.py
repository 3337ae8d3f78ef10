"""The table of what is done on schedule: the name, every how many seconds, and the function."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from time import time
from uuid import UUID

import attrs
from twisted.logger import Logger

from nizam.errors import MediaUnavailable
from nizam.media.library import MediaLibrary
from nizam.media.sweep import sweep
from nizam.ops import usage
from nizam.ops.header_credentials import HeaderCredentials
from nizam.ops.purge import Purge, remove_strays
from nizam.ops.scheduler import Outcome, Task, Turn, Work
from nizam.ops.unheard import LATE_HOURS, UnheardCalls
from nizam.settings import RetentionSettings
from nizam.store.revisions import prune_revisions
from nizam.store.system import partitions, retention
from nizam.store.system.audit import prune_chains
from nizam.store.system.mails import prune_mails
from nizam.store.system.recordings import mark_old_recordings
from nizam.store.system.voicemail_changes import mark_old_messages
from nizam.switch.live import LiveState

MINUTE, HOUR = 60, 3600


def scheduled_tasks(keep: RetentionSettings, purge: Purge, live: LiveState) -> Sequence[Task]:
    """Every task; what `keep` says to keep for ever has none. `live` shows what the switch nodes
    have now."""

    def is_live(call_id: UUID) -> bool:
        return live.call(call_id) is not None

    unheard = UnheardCalls(live.links, is_live)
    found = [
        Task("purge", MINUTE, purge),
        Task("strays", HOUR, remove_strays),
        Task("partitions", 6 * HOUR, _make_partitions),
        Task("change-feed", HOUR, _days(retention.prune_changes, keep.change_days)),
        Task("idempotency-keys", HOUR, _idempotency_keys),
        Task("media-files", HOUR, partial(_sweep, purge.media)),
        Task("cdrs-of-tenants", HOUR, _cdrs_of_tenants),
        Task("usage-calls-at-once", HOUR, usage.Peaks()),
        Task("usage-storage", HOUR, usage.storage),
        Task("usage-phones", 10 * MINUTE, usage.Devices(lambda: usage.registered(live))),
        Task("unheard-calls", MINUTE, unheard),
        Task("unheard-calls-late", HOUR, attrs.evolve(unheard, seconds=LATE_HOURS * HOUR)),
        Task("webhook-credentials", HOUR, HeaderCredentials(purge.store)),
        Task("recordings", HOUR, _old_recordings),
        Task("voicemail", HOUR, _old_messages),
    ]
    if keep.event_days:
        found.append(Task("events", HOUR, _months(keep.event_days, "call_events")))
    if keep.cdr_days:
        found.append(Task("cdrs", HOUR, _months(keep.cdr_days, "cdr_legs", "cdrs")))
    if keep.explanation_days:
        months = _months(keep.explanation_days, "call_decisions")
        found.append(Task("explanations", HOUR, months))
    if keep.delivery_days:
        work = _days(retention.prune_deliveries, keep.delivery_days)
        found.append(Task("webhook-deliveries", HOUR, work))
        work = _days(retention.prune_replays, keep.delivery_days)
        found.append(Task("webhook-replays", HOUR, work))
        found.append(Task("mails", HOUR, _mails(keep.delivery_days)))
    if keep.revision_days:
        found.append(Task("revisions", HOUR, _revisions(keep.revision_days)))
    if keep.audit_days:
        found.append(Task("audit-log", HOUR, _audit_log(keep.audit_days)))
    return found


def _days(prune: Callable[[Turn, int], Awaitable[int]], days: int) -> Work:
    return lambda turn: turn.repeat(lambda: prune(turn, days))


def _mails(days: int) -> Work:
    return lambda turn: turn.repeat(lambda: prune_mails(turn, days, retention.SLICE))


async def _cdrs_of_tenants(turn: Turn) -> Outcome:
    return await turn.repeat(lambda: retention.prune_cdrs_of_tenants(turn))


async def _idempotency_keys(turn: Turn) -> Outcome:
    return await turn.repeat(lambda: retention.prune_idempotency_keys(turn))


async def _old_recordings(turn: Turn) -> Outcome:
    # Their files are removed, each with a receipt, by the keeper of recordings.
    return await turn.repeat(lambda: mark_old_recordings(turn, retention.SLICE))


async def _old_messages(turn: Turn) -> Outcome:
    # The switches remove them, each with a receipt, when the instances that listen tell them to.
    return await turn.repeat(lambda: mark_old_messages(turn, retention.SLICE))


async def _sweep(media: MediaLibrary, turn: Turn) -> Outcome:
    try:
        # The time of day, which files have too; the clock of the turns may be another.
        removed = await sweep(media, turn, time(), lambda: turn.over)
    except MediaUnavailable as error:
        # Without a media root, which not everybody has, there is nothing to remove.
        Logger().info("media files are not swept: {error}", error=error.detail)
        return Outcome()
    return Outcome(removed, more=turn.over)


async def _make_partitions(turn: Turn) -> Outcome:
    await turn.transaction(partitions.make_partitions)
    return Outcome()


def _months(days: int, *tables: str) -> Work:
    async def work(turn: Turn) -> Outcome:
        removed = 0
        for table in tables:
            drop = partial(partitions.drop_oldest_partition, table=table, days=days)
            while not turn.over:
                rows = await turn.transaction(drop)
                if rows is None:
                    break
                removed += rows
            prune = partial(partitions.prune_default_partition, turn, table, days, retention.SLICE)
            removed += (await turn.repeat(prune)).removed
        return Outcome(removed, more=turn.over)

    return work


def _revisions(days: int) -> Work:
    async def work(turn: Turn) -> Outcome:
        before = await retention.days_ago(turn, days)

        async def slice_() -> int:
            return sum(await prune_revisions(turn, before))

        return await turn.repeat(slice_)

    return work


def _audit_log(days: int) -> Work:
    async def work(turn: Turn) -> Outcome:
        before = await retention.days_ago(turn, days)
        return await turn.repeat(lambda: prune_chains(turn, before))

    return work
