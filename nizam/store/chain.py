"""The chain of hashes of the audit log: what is hashed, and what a chain must look like.

Pure. The procedure of migration 0007 makes the same hashes in PostgreSQL; docs/audit.md says how
to make them elsewhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime
from uuid import UUID

import attrs

from nizam.model.events import timestamp
from nizam.store.system.audit import Head

FORMAT = "nizam-audit-1"


@attrs.frozen(kw_only=True)
class AuditRow:
    """One row of audit_logs; `before` and `after` are the JSON as it is stored."""

    tenant_id: UUID | None
    sequence: int
    previous_hash: str
    id: UUID
    revision: int | None
    occurred_at: datetime
    actor_type: str
    actor_id: UUID | None
    actor_name: str
    address: str | None
    request_id: str | None
    action: str
    resource_type: str
    resource_id: UUID | None
    before: str | None
    after: str | None
    hash: str


@attrs.frozen
class Break:
    """Where a chain is not whole: the row, if it is there, and why."""

    sequence: int
    id: UUID | None
    reason: str


def row_hash(row: AuditRow) -> str:
    """What `row.hash` must be: SHA-256, in hexadecimal digits, over each value as a netstring."""
    fields = (
        FORMAT,
        row.tenant_id,
        row.sequence,
        row.previous_hash,
        row.id,
        row.revision,
        timestamp(row.occurred_at),
        row.actor_type,
        row.actor_id,
        row.actor_name,
        row.address,
        row.request_id,
        row.action,
        row.resource_type,
        row.resource_id,
        row.before,
        row.after,
    )
    return hashlib.sha256(b"".join(map(_netstring, fields))).hexdigest()


def _netstring(value: object) -> bytes:
    if value is None:
        return b"-,"
    content = str(value).encode()
    return b"%d:%s," % (len(content), content)


@attrs.define
class ChainCheck:
    """Goes along one chain, row by row in the order of their sequence.

    `last` is the place before the first row that is expected: the beginning, or where what is old
    was removed. `known` is a place that was noted elsewhere and must still be in the chain.
    """

    last: Head
    known: Head | None = None
    rows: int = 0

    def take(self, row: AuditRow) -> Iterator[Break]:
        """What is wrong with the next row, and with what should be before it."""
        self.rows += 1
        if row.sequence != self.last.sequence + 1:
            yield Break(row.sequence, row.id, f"{_gap(self.last.sequence, row.sequence)} before it")
        elif row.previous_hash != self.last.hash:
            yield Break(
                row.sequence, row.id, "does not follow the row before it, which was replaced"
            )
        if row.hash != row_hash(row):
            yield Break(row.sequence, row.id, "was changed: its content gives another hash")
        elif self._was_replaced(row):
            yield Break(row.sequence, row.id, "is not the row whose hash was noted")
        self.last = Head(row.sequence, row.hash)

    def _was_replaced(self, row: AuditRow) -> bool:
        known = self.known
        return known is not None and row.sequence == known.sequence and row.hash != known.hash

    def end(self, head: Head | None) -> Iterator[Break]:
        """What is wrong after the last row, given the place that the chain's head says."""
        last = self.last
        if head is None:
            yield Break(last.sequence, None, "the head of the chain is missing")
        elif head.sequence > last.sequence:
            yield Break(head.sequence, None, f"{_gap(last.sequence, head.sequence + 1)} at the end")
        elif head != last:
            yield Break(head.sequence, None, "the head of the chain is not its last row")
        if self.known is not None and self.known.sequence > last.sequence:
            yield Break(self.known.sequence, None, "the row whose hash was noted is missing")


def _gap(last: int, following: int) -> str:
    first, final = last + 1, following - 1
    if first > final:
        return "rows are out of order"
    return f"row {first} is missing" if first == final else f"rows {first} to {final} are missing"
