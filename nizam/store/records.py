"""What a transaction leaves behind beside the changed rows: in the change feed, the history, the
audit log and the events.

It takes a fixed number of statements for each slice of records, so that one change costs hardly
more than its row, and ten thousand neither hold the thread nor make statements of their own each.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

import attrs

from nizam.model.events import Event
from nizam.model.resource import with_fields
from nizam.store.audit import AuditEntry, append
from nizam.store.connection import Statement
from nizam.store.context import ChangeContext
from nizam.store.pool import Transaction
from nizam.store.stored import REDACTED, Stored
from nizam.store.system.events import (
    WriteResult,
    json_argument,
    write_events,
    write_events_and_commit,
)

Operation = Literal["created", "updated", "deleted"]
RevisionKind = Literal["change", "document", "import", "rollback"]

SLICE = 40
"""Records that are written in one round trip: making their rows holds the thread."""

# Functions of migration 0030: what they do is planned once for a connection.
_COUNT: Final = "select count_revision(%(tenant_id)s, %(made)s)"
_RECORD: Final = "select record_changes(%(tenant_id)s, %(records)s)"


@attrs.frozen(kw_only=True)
class Record:
    """One change: `owner` is the tenant whose revision counts it, None is the platform; `action`
    is the audit log's word for it. What comes with another change is not `told` apart from it, in
    audit log and events."""

    operation: Operation
    action: str
    owner: UUID | None
    before: Stored | None
    after: Stored | None
    told: bool = True

    @property
    def it(self) -> Stored:
        """The object as it is, or as it was before it was deleted."""
        found = self.after or self.before
        assert found is not None  # noqa: S101 - every record has one of them
        return found


@attrs.frozen(kw_only=True)
class Revision:
    """How a revision came about; a rollback `restores` an earlier one."""

    kind: RevisionKind = "change"
    restores: int | None = None


@attrs.frozen(kw_only=True)
class Writing:
    """By whom, when and as whose events records are written."""

    context: ChangeContext
    now: datetime
    core_id: str
    next_sequence: Callable[[], int]
    revision: Revision = Revision()


async def write_records(
    transaction: Transaction,
    writing: Writing,
    records: Sequence[Record],
    notes: Sequence[AuditEntry],
    last: Iterable[Statement],
) -> WriteResult:
    """Count the revisions on and write all that `records` leave behind, and `notes` into the
    audit log; `last` runs beside them; then commit. The transaction must have the system's
    rights."""
    by_owner: defaultdict[UUID | None, list[Record]] = defaultdict(list)
    for it in records:
        by_owner[it.owner].append(it)
    for owner, own in by_owner.items():
        transaction.add(*_next_revision(owner, own, writing))
    slices = list(_slices(by_owner)) or [(None, [])]
    results: list[WriteResult] = []
    for number, (owner, own) in enumerate(slices, 1):
        if own:
            transaction.add(
                _RECORD, {"tenant_id": owner, "records": json_argument([_row(it) for it in own])}
            )
        is_last = number == len(slices)
        told = [it for it in own if it.told]
        entries = [*map(_entry, told), *(notes if is_last else ())]
        if entries:
            transaction.add(*append(writing.context, writing.now, entries))
        for sql, args in last if is_last else ():
            transaction.add(sql, args)
        events = [_event(it, writing) for it in told]
        write = write_events_and_commit if is_last else write_events
        results.append(await write(transaction, events))
    return WriteResult(
        tuple(it for result in results for it in result.event_ids),
        tuple(it for result in results for it in result.deliveries),
    )


def _slices(
    by_owner: dict[UUID | None, list[Record]],
) -> Iterator[tuple[UUID | None, list[Record]]]:
    for owner, own in by_owner.items():
        for start in range(0, len(own), SLICE):
            yield owner, own[start : start + SLICE]


def _next_revision(owner: UUID | None, records: Sequence[Record], writing: Writing) -> Statement:
    counts: dict[str, dict[str, int]] = {}
    for (name, operation), count in Counter(
        (it.it.resource.name, it.operation) for it in records
    ).items():
        counts.setdefault(name, {})[operation] = count
    made = {
        "created_at": writing.now,
        "kind": writing.revision.kind,
        "restores": writing.revision.restores,
        "actor_type": writing.context.actor_type,
        "actor_id": writing.context.actor_id,
        "actor_name": writing.context.actor_name,
        "request_id": writing.context.request_id,
        "counts": counts,
    }
    return _COUNT, {"tenant_id": owner, "made": json_argument(made)}


def _row(record: Record) -> dict[str, Any]:
    it = record.it
    is_there = record.after is not None
    configures = it.resource.scope == "tenant" or it.resource.name == "tenant"
    return {
        "resource_type": it.resource.name,
        "resource_id": it.id,
        "operation": record.operation,
        # Keys and users are not part of what can be rolled back.
        "keep": configures and record.owner is not None,
        "version": it.version,
        "created_at": it.created_at,
        "body": it.body if is_there and configures else None,
        "secrets": it.secrets if is_there and configures else {},
    }


def _entry(record: Record) -> AuditEntry:
    return AuditEntry(
        action=record.action,
        resource_type=record.it.resource.name,
        resource_id=record.it.id,
        tenant_id=record.owner,
        before=_with_secrets(record.before),
        after=_with_secrets(record.after),
        changed=True,
    )


def _event(record: Record, writing: Writing) -> Event:
    data: dict[str, Any] = {"object": record.it.recorded()}
    if record.before is not None and record.after is not None:
        before = record.before.body
        data["changed"] = sorted(
            name for name, value in record.after.body.items() if before.get(name) != value
        )
    return Event(
        type=f"{record.it.resource.name}.{record.operation}",
        occurred_at=writing.now,
        core_id=writing.core_id,
        sequence=writing.next_sequence(),
        tenant_id=record.owner,
        data=data,
    )


def _with_secrets(it: Stored | None) -> dict[str, Any] | None:
    """As the audit log keeps it: that there is a secret, and not which."""
    if it is None:
        return None
    return with_fields(it.recorded(), dict.fromkeys(it.secrets, REDACTED))
