"""One call in full: its legs as a tree, who sent it on, and why it went where it went."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select

from nizam.errors import NotFound
from nizam.events.fields import milliseconds
from nizam.model.events import timestamp
from nizam.store.cdr_history import QUALITY, RECORDING_IDS, SUMMARY, shown
from nizam.store.pool import Pool
from nizam.store.statements import compile_statement
from nizam.store.tables.call_decisions import CALL_DECISIONS
from nizam.store.tables.cdrs import CDR_LEGS, CDRS
from nizam.store.tables.events import CALL_EVENTS

_MOST: Final = 500
"""Events and decisions of one call that are looked at."""
_LEG_COLUMNS: Final = (
    "leg_id",
    "extension_id",
    "node",
    "direction",
    "caller_number",
    "caller_name",
    "number",
    "other_leg_id",
    "originator_id",
    "started_at",
    "ringing_at",
    "answered_at",
    "bridged_at",
    "ended_at",
    "hangup_cause",
    "gateway",
    "codec",
    "transfer_to",
    "application",
    "route",
    "revision",
)
_SOURCES: Final = ("from_events", "from_cdr", "reconciled")
_TRANSFER: Final = (
    "kind",
    "to",
    "to_extension_id",
    "to_leg_id",
    "to_call_id",
    "by",
    "by_extension_id",
    "by_leg_id",
)
_LEADING: Final = frozenset({"matched", "chosen", "denied", "failed"})
"""What of a trace says why; the rest says what did not apply."""

Row = dict[str, Any]


async def get_cdr(pool: Pool, tenant_id: UUID, call_id: UUID) -> Row:
    """The summary of one call with its legs, transfers and decisions; NotFound."""
    its = CDRS.c
    statement = (
        select(*SUMMARY, RECORDING_IDS)
        .where(its.tenant_id == tenant_id, its.call_id == call_id)
        .order_by(its.started_at.desc())
        .limit(1)
    )
    rows = await pool.tenant_query(tenant_id, *compile_statement(statement))
    if not rows:
        raise NotFound
    names = [*(str(it.key) for it in SUMMARY), "recording_ids"]
    legs = await _legs(pool, tenant_id, call_id)
    events = await _events(pool, tenant_id, call_id)
    return {
        **shown(dict(zip(names, rows[0], strict=True))),
        "legs": as_tree(call_id, legs),
        "transfers": [
            {"at": timestamp(at), "leg_id": leg_id, **{name: data.get(name) for name in _TRANSFER}}
            for kind, at, leg_id, data in events
            if kind == "call.transferred"
        ],
        "linked_call_ids": _linked(call_id, events),
        "decisions": await _decisions(pool, tenant_id, call_id),
    }


async def _legs(pool: Pool, tenant_id: UUID, call_id: UUID) -> list[Row]:
    its = CDR_LEGS.c
    names = (*_LEG_COLUMNS, *_SOURCES, *QUALITY)
    statement = (
        select(*(its[name] for name in names))
        .where(its.tenant_id == tenant_id, its.call_id == call_id)
        .order_by(its.started_at, its.leg_id)
    )
    rows = await pool.tenant_query(tenant_id, *compile_statement(statement))
    return [_leg(dict(zip(names, row, strict=True))) for row in rows]


def _leg(row: Row) -> Row:
    events, cdr, reconciled = (row.pop(name) for name in _SOURCES)
    quality = {name: row.pop(name) for name in QUALITY}
    both = "both" if events and cdr else "cdr" if cdr else "events" if events else None
    return {
        **row,
        "duration_ms": milliseconds(row["started_at"], row["ended_at"]),
        "billable_ms": milliseconds(row["answered_at"], row["ended_at"]),
        "source": both or ("reconciled" if reconciled else "events"),
        "quality": quality,
    }


def as_tree(call_id: UUID, legs: Sequence[Row]) -> list[Row]:
    """The legs with `parent_leg_id` and `depth`, each before those that were made for it.

    What nothing tells the parent of belongs to the leg that the call began with, if that is there.
    """
    known = {leg["leg_id"] for leg in legs}
    root = call_id if call_id in known else None
    children: dict[UUID | None, list[Row]] = {}
    for leg in legs:
        parent = leg["originator_id"]
        if leg["leg_id"] == root:
            parent = None
        elif parent not in known or parent == leg["leg_id"]:
            parent = root
        children.setdefault(parent, []).append(leg)
    placed: set[UUID] = set()

    def walk(parent: UUID | None, depth: int) -> Iterator[Row]:
        for leg in children.get(parent, ()):
            if leg["leg_id"] not in placed:
                placed.add(leg["leg_id"])
                yield {**leg, "parent_leg_id": parent, "depth": depth}
                yield from walk(leg["leg_id"], depth + 1)

    found = list(walk(None, 0))
    # Two legs that each say they were made for the other, which no switch should.
    lost = [leg for leg in legs if leg["leg_id"] not in placed]
    return found + [{**leg, "parent_leg_id": root, "depth": int(root is not None)} for leg in lost]


async def _events(
    pool: Pool, tenant_id: UUID, call_id: UUID
) -> list[tuple[str, Any, UUID | None, Mapping[str, Any]]]:
    its = CALL_EVENTS.c
    statement = (
        select(its.type, its.occurred_at, its.leg_id, its.data)
        .where(its.tenant_id == tenant_id, its.call_id == call_id)
        .where(its.type.in_(("call.transferred", "call.bridged")))
        .order_by(its.occurred_at, its.sequence)
        .limit(_MOST)
    )
    rows = await pool.tenant_query(tenant_id, *compile_statement(statement))
    return [(row[0], row[1], row[2], row[3]) for row in rows]


def _linked(call_id: UUID, events: Sequence[tuple[str, Any, Any, Mapping[str, Any]]]) -> list[str]:
    """The calls that this one has met, as in an attended transfer: both keep their ids."""
    found: dict[str, None] = {}
    for _, _, _, data in events:
        for name in ("other_call_id", "to_call_id"):
            other = data.get(name)
            if other and other != str(call_id):
                found[str(other)] = None
    return list(found)


async def _decisions(pool: Pool, tenant_id: UUID, call_id: UUID) -> list[Row]:
    its = CALL_DECISIONS.c
    statement = (
        select(its.decided_at, its.channel_id, its.revision, its.document)
        .where(its.tenant_id == tenant_id, its.call_id == call_id)
        .order_by(its.decided_at, its.question)
        .limit(_MOST)
    )
    rows = await pool.tenant_query(tenant_id, *compile_statement(statement))
    return [
        {
            "decided_at": decided_at,
            "leg_id": channel_id,
            "revision": revision,
            "from": document.get("from"),
            "to": document.get("to"),
            "outcome": document.get("outcome"),
            "why": [
                str(it.get("detail"))
                for it in document.get("trace") or ()
                if it.get("result") in _LEADING
            ],
        }
        for decided_at, channel_id, revision, document in rows
    ]
