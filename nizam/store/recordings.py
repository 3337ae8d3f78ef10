"""Recordings and the receipts of deleted ones, as the API shows and changes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from nizam.errors import Conflict, LegalHold, NotFound
from nizam.store.listing import Field, Listing, Page
from nizam.store.pages import TenantQueries, tenant_page, tenant_row
from nizam.store.tables.recordings import RECORDING_RECEIPTS, RECORDINGS
from nizam.store.unit_of_work import UnitOfWork

_C = RECORDINGS.c
RECORDING_FIELDS: Mapping[str, Field] = {
    "started_at": Field(_C.started_at, "time"),
    "completed_at": Field(_C.completed_at, "time"),
    "duration_ms": Field(_C.duration_ms, "integer"),
    "size_bytes": Field(_C.bytes, "integer"),
    "call_id": Field(_C.call_id, "uuid", sortable=False),
    "leg_id": Field(_C.leg_id, "uuid", sortable=False),
    "extension_id": Field(_C.extension_id, "uuid", sortable=False),
    "direction": Field(_C.direction, "text", sortable=False),
    "from": Field(_C.from_number, "text"),
    "to": Field(_C.to_number, "text"),
    "node": Field(_C.node, "text", sortable=False),
    "state": Field(_C.state, "text", sortable=False),
    "storage": Field(_C.storage, "text", sortable=False),
    "legal_hold": Field(_C.legal_hold, "boolean", sortable=False),
}
_SHOWN: Final = (
    *("id", "call_id", "leg_id", "extension_id", "node", "direction", "started_at", "stopped_at"),
    *("completed_at", "duration_ms", "sha256", "sample_rate", "channels", "state", "storage"),
    *("problem", "legal_hold", "hold_reason", "held_by", "held_at"),
)
_PLACE: Final = ("path", "is_local", "object_key", "bytes", "from_number", "to_number")
_COLUMNS: Final = [_C[it] for it in (*_SHOWN, *_PLACE)]
_NAMES: Final = tuple(str(it.name) for it in _COLUMNS)

_R = RECORDING_RECEIPTS.c
RECEIPT_FIELDS: Mapping[str, Field] = {
    "deleted_at": Field(_R.deleted_at, "time"),
    "started_at": Field(_R.started_at, "time"),
    "recording_id": Field(_R.recording_id, "uuid", sortable=False),
    "call_id": Field(_R.call_id, "uuid", sortable=False),
    "reason": Field(_R.reason, "text", sortable=False),
}
_RECEIPT_COLUMNS: Final = [it for it in _R if it.name != "tenant_id"]

DELETABLE: Final = ("available", "missing", "damaged", "deleting")
_LOCK: Final = (
    f"select {', '.join(_NAMES)} from recordings where tenant_id = %s and id = %s for update"  # noqa: S608
)
_HOLD: Final = """
update recordings set legal_hold = true, hold_reason = %s, held_by = %s, held_at = now(),
    updated_at = now()
where id = %s returning held_at
"""
_RELEASE: Final = """
update recordings set legal_hold = false, hold_reason = null, held_by = null, held_at = null,
    updated_at = now()
where id = %s returning 1
"""
_MARK: Final = """
update recordings set state = 'deleting', deleted_by = %s, deletion_reason = %s,
    next_attempt_at = now() + interval '30 seconds', attempt_count = 0, updated_at = now()
where id = %s returning 1
"""

_OLD: Final = """
    tenant_id = %(tenant)s and state in ('available', 'missing', 'damaged')
    and started_at < now() - make_interval(days => %(days)s)
"""
_DUE: Final = f"""
select count(*) filter (where not legal_hold),
    coalesce(sum(bytes) filter (where not legal_hold), 0)::bigint,
    count(*) filter (where legal_hold), min(started_at) filter (where not legal_hold)
from recordings where {_OLD}
"""  # noqa: S608 - no values from outside
_MARK_DUE: Final = f"""
update recordings set state = 'deleting', deleted_by = %(who)s, deletion_reason = 'pruned',
    next_attempt_at = now(), attempt_count = 0, updated_at = now()
where {_OLD} and not legal_hold
returning 1
"""  # noqa: S608 - no values from outside


def shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """A recording as the API shows it."""
    return {
        **{name: row[name] for name in _SHOWN},
        "from": row["from_number"],
        "to": row["to_number"],
        "size_bytes": row["bytes"],
    }


async def list_recordings(pool: TenantQueries, tenant_id: UUID, listing: Listing) -> Page:
    """Recordings of a tenant."""
    own = _C.tenant_id == tenant_id
    page = await tenant_page(pool, tenant_id, _COLUMNS, RECORDING_FIELDS, _C.id, listing, own)
    return Page([shown(it) for it in page.rows], page.next_cursor)


async def get_recording(pool: TenantQueries, tenant_id: UUID, recording_id: UUID) -> dict[str, Any]:
    """One recording with where its file is; NotFound."""
    own = _C.tenant_id == tenant_id
    return await tenant_row(pool, tenant_id, _COLUMNS, own, _C.id == recording_id)


async def list_recording_receipts(pool: TenantQueries, tenant_id: UUID, listing: Listing) -> Page:
    """Receipts of recordings that were deleted."""
    own = _R.tenant_id == tenant_id
    page = await tenant_page(pool, tenant_id, _RECEIPT_COLUMNS, RECEIPT_FIELDS, _R.id, listing, own)
    return Page([receipt_shown(it) for it in page.rows], page.next_cursor)


def receipt_shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """A receipt as the API shows it."""
    found = dict(row)
    found["size_bytes"] = found.pop("bytes")
    return found


async def hold(unit: UnitOfWork, recording_id: UUID, reason: str, who: str) -> dict[str, Any]:
    """Put a recording under legal hold; one that is stays under its first. NotFound."""
    row = await _locked(unit, recording_id)
    if row["state"] == "deleting":
        raise Conflict("it is being deleted")
    if not row["legal_hold"]:
        rows = await unit.transaction.query(_HOLD, (reason, who, recording_id))
        row |= {"legal_hold": True, "hold_reason": reason, "held_by": who, "held_at": rows[0][0]}
        unit.note("held", "recording", recording_id, after={"reason": reason})
    return shown(row)


async def release(unit: UnitOfWork, recording_id: UUID) -> dict[str, Any]:
    """End the legal hold of a recording, if it is under one. NotFound."""
    row = await _locked(unit, recording_id)
    if row["legal_hold"]:
        await unit.transaction.query(_RELEASE, (recording_id,))
        unit.note("released", "recording", recording_id, after={"reason": row["hold_reason"]})
        row |= dict.fromkeys(("hold_reason", "held_by", "held_at")) | {"legal_hold": False}
    return shown(row)


async def mark_for_deletion(
    unit: UnitOfWork, recording_id: UUID, who: str, reason: str
) -> dict[str, Any]:
    """Have a recording deleted; the row as it was. Raises NotFound, LegalHold, and Conflict for
    one that is not complete."""
    row = await _locked(unit, recording_id)
    if row["legal_hold"]:
        raise LegalHold(f"held since {row['held_at']:%Y-%m-%d}: {row['hold_reason']}")
    if row["state"] not in DELETABLE:
        raise Conflict("the recording is not complete yet")
    await unit.transaction.query(_MARK, (who, reason, recording_id))
    kept = {name: row[name] for name in ("call_id", "sha256", "bytes", "storage")}
    unit.note("deleted", "recording", recording_id, after=kept | {"reason": reason})
    return row


async def retention_days(unit: UnitOfWork) -> int:
    """For how long the tenant keeps its recordings; 0 is for ever."""
    await unit.lock()
    days: int = unit.tenant_body.get("recording_retention_days", 0)
    return days


async def prune(unit: UnitOfWork, days: int, who: str, *, dry_run: bool) -> dict[str, Any]:
    """Mark the complete recordings for deletion that began `days` ago or earlier, unless it is a
    dry run; how many, how large, and how many legal holds keep."""
    arguments = {"tenant": unit.tenant_id, "days": days}
    [(count, size, held, oldest)] = await unit.transaction.query(_DUE, arguments)
    if count and not dry_run:
        await unit.transaction.query(_MARK_DUE, arguments | {"who": who})
        after = {"recordings": count, "size_bytes": size, "older_than_days": days}
        unit.note("pruned", "recording", None, after=after)
    return {"recordings": count, "size_bytes": size, "held": held, "oldest_at": oldest}


async def _locked(unit: UnitOfWork, recording_id: UUID) -> dict[str, Any]:
    rows = await unit.transaction.query(_LOCK, (unit.tenant_id, recording_id))
    if not rows:
        raise NotFound
    return dict(zip(_NAMES, rows[0], strict=True))
