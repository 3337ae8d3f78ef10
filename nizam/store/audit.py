"""Writing the audit log: who did what, from where, by which request.

A row is appended to the chain of its tenant, or of the platform, by the procedure
append_audit_logs of migration 0007: it locks the head of the chain, counts on from it and
computes the hashes, so that appending needs no round trip of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import attrs
import orjson

from nizam.model.events import timestamp
from nizam.model.identifiers import new_id
from nizam.store.connection import Statement
from nizam.store.context import ChangeContext
from nizam.store.stored import redacted
from nizam.store.system.events import json_argument

_APPEND = "call append_audit_logs(%(entries)s::json)"


class Database(Protocol):
    """A pool, or a transaction with the system's rights: what runs one statement."""

    async def execute(self, sql: str, args: Any = ()) -> int:
        """Run the statement; how many rows it touched."""


@attrs.frozen(kw_only=True)
class AuditEntry:
    """What was done.

    `action` is a participle: created, updated, deleted, revealed, logged_in ... `tenant_id` names
    the chain; None is the platform's. `before` and `after` are JSON objects; what passwords and
    other sensitive fields in them say is blanked out. With `changed` the row carries the revision
    that the change has made.
    """

    action: str
    resource_type: str
    resource_id: UUID | None = None
    tenant_id: UUID | None = None
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    changed: bool = False


async def record(
    database: Database, context: ChangeContext, now: datetime, *entries: AuditEntry
) -> None:
    """Write `entries`, in one round trip, as done at `now` by whom `context` names.

    Raises DatabaseUnavailable; whether the rows are there is not known then.
    """
    if entries:
        await database.execute(*append(context, now, entries))


def append(context: ChangeContext, now: datetime, entries: Iterable[AuditEntry]) -> Statement:
    """The statement that writes `entries`; the role of the tenants may not run it."""
    rows = [
        {
            "id": new_id(),
            "tenant_id": it.tenant_id,
            "changed": it.changed,
            "occurred_at": timestamp(now),
            "actor_type": context.actor_type,
            "actor_id": context.actor_id,
            "actor_name": context.actor_name,
            "address": context.address,
            "request_id": context.request_id,
            "action": it.action,
            "resource_type": it.resource_type,
            "resource_id": it.resource_id,
            "before": _document(it.before),
            "after": _document(it.after),
        }
        for it in entries
    ]
    return _APPEND, {"entries": json_argument(rows)}


def _document(value: Mapping[str, Any] | None) -> str | None:
    if value is None:
        return None
    return orjson.dumps(redacted(value), option=orjson.OPT_SORT_KEYS).decode()
