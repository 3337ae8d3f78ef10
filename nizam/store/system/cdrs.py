"""CDR legs and summaries into PostgreSQL: set by set, whichever of their sources comes first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import attrs
import orjson

from nizam.events.cdr import Summary, has_first_leg, summarise
from nizam.events.legs import Leg, merge
from nizam.store.pool import Transaction
from nizam.store.system.events import (
    Database,
    WriteResult,
    ids_argument,
    json_argument,
    repair_tenants,
)
from nizam.store.system.usage import BOOK_CALLS
from nizam.store.tables.cdrs import CDR_LEGS, CDRS

_KEY: Final = ("leg_id", "started_at")
_SOURCES: Final = ("from_events", "from_cdr", "reconciled")
_SPECIAL: Final = (*_KEY, *_SOURCES, "call_id", "call_known")
_SUMMARY_OWN: Final = ("created_at", "updated_at")
_LONGEST_CALL: Final = timedelta(days=1)


def _recordset(table: Any, names: Sequence[str]) -> str:
    from sqlalchemy.dialects.postgresql import psycopg2

    dialect = psycopg2.dialect()  # type: ignore[no-untyped-call]
    return ", ".join(f"{name} {table.c[name].type.compile(dialect)}" for name in names)


def _leg_sql() -> str:
    names = [column.name for column in CDR_LEGS.columns]
    facts = [name for name in names if name not in _SPECIAL]
    # FreeSWITCH's own record counts before its event, and either before an assumption of ours.
    stronger = (
        "2 * excluded.from_cdr::int + excluded.from_events::int"
        " >= 2 * l.from_cdr::int + l.from_events::int"
    )
    changes = [
        f"{name} = case when {stronger} then coalesce(excluded.{name}, l.{name})"
        f" else coalesce(l.{name}, excluded.{name}) end"
        for name in facts
    ]
    changes += [f"{name} = l.{name} or excluded.{name}" for name in _SOURCES]
    changes += [
        "call_id = case when excluded.call_known or not l.call_known"
        " then excluded.call_id else l.call_id end",
        "call_known = l.call_known or excluded.call_known",
    ]
    return (
        f"insert into cdr_legs as l ({', '.join(names)})"  # noqa: S608 - no values from outside
        f" select {', '.join(names)} from jsonb_to_recordset(%(legs)s::jsonb)"
        f" as it({_recordset(CDR_LEGS, names)}) order by leg_id"
        f" on conflict (leg_id, started_at) do update set {', '.join(changes)}"
        " returning call_id, started_at"
    )


def _summary_sql() -> str:
    names = [column.name for column in CDRS.columns if column.name not in _SUMMARY_OWN]
    changes = [f"{name} = excluded.{name}" for name in names if name not in ("call_id",)]
    columns = [name for name in names if name != "extension_ids"]
    return (
        "with given as (select * from jsonb_to_recordset(%(cdrs)s::jsonb)"  # noqa: S608
        f" as it({_recordset(CDRS, columns)}, extension_ids jsonb)),"
        " forgotten as (delete from cdrs where call_id = any(%(strangers)s::uuid[])"
        " and started_at between %(first)s and %(last)s),"
        f" booked as ({BOOK_CALLS})"
        f" insert into cdrs as c ({', '.join(columns)}, extension_ids)"
        f" select {', '.join(columns)},"
        " array(select jsonb_array_elements_text(extension_ids)::uuid)"
        " from given order by call_id"
        f" on conflict (call_id, started_at) do update set {', '.join(changes)},"
        " updated_at = now()"
    )


_UPSERT_LEGS: Final = _leg_sql()
_UPSERT_SUMMARIES: Final = _summary_sql()
_LEG_FIELDS: Final = tuple(field.name for field in attrs.fields(Leg))
_LOCK: Final = """
select pg_advisory_xact_lock(hashtextextended(call_id, 0))
from (select call_id from unnest(%(calls)s::text[]) as call_id order by call_id) as locked
"""
_READ: Final = f"""
select {", ".join(f'"{name}"' for name in _LEG_FIELDS)} from cdr_legs
where call_id = any(%(calls)s::uuid[]) and started_at between %(first)s and %(last)s
"""  # noqa: S608 - no values from outside


def lock_calls(transaction: Transaction, call_ids: Iterable[UUID]) -> None:
    """Let nobody else write what these calls have once before the transaction has ended. Two
    instances may tell of one end by different events, and neither sees what the other has not
    committed."""
    calls = set(call_ids)
    if calls:
        transaction.add(_LOCK, {"calls": ids_argument(calls)})


async def write_legs(transaction: Transaction, legs: Iterable[Leg]) -> WriteResult:
    """Merge `legs` into what is stored and bring the summaries of their calls up to date.

    What the calls use is booked in the ledger. Four statements, however many legs there are, of
    which the last may go with the commit; calls are locked one after another in a fixed order, so
    that two instances with legs of the same call each see the other's. A call is summarised from
    the moment that its first leg has ended. Events that were stored before the tenant of their call
    was known get it: the result is about those.
    """
    merged: dict[UUID, Leg] = {}
    for leg in legs:
        known = merged.get(leg.leg_id)
        merged[leg.leg_id] = merge(known, leg) if known else leg
    if not merged:
        return WriteResult()
    rows = [_leg_row(leg) for leg in merged.values()]
    touched = await transaction.query(_UPSERT_LEGS, {"legs": json_argument(rows)})
    calls = {row[0] for row in touched}
    times = [row[1] for row in touched]
    lock_calls(transaction, calls)
    span = {"first": min(times) - _LONGEST_CALL, "last": max(times) + _LONGEST_CALL}
    found = await transaction.query(_READ, {"calls": ids_argument(calls), **span})
    by_call: dict[UUID, list[Leg]] = {}
    for leg in map(_leg, found):
        if leg.call_id is not None:
            by_call.setdefault(leg.call_id, []).append(leg)
    summaries = [
        summarise(call_id, of_call)
        for call_id, of_call in by_call.items()
        if has_first_leg(call_id, of_call)
    ]
    if not summaries:
        return WriteResult()
    # While nothing told otherwise, a leg may have been taken for a call of its own.
    strangers = [
        leg.leg_id for of_call in by_call.values() for leg in of_call if leg.leg_id != leg.call_id
    ]
    transaction.add(
        _UPSERT_SUMMARIES,
        {
            "cdrs": json_argument([attrs.asdict(it) for it in summaries]),
            "strangers": ids_argument(strangers),
            "booked": ids_argument([*strangers, *(it.call_id for it in summaries)]),
            **span,
        },
    )
    return await repair_tenants(transaction, _tenants(summaries, merged.values()))


async def legs_of_calls(database: Database, calls: Sequence[tuple[UUID, datetime]]) -> list[Leg]:
    """What is stored of the legs of these calls, each with the time that it began."""
    if not calls:
        return []
    times = [started_at for _, started_at in calls]
    args = {
        "calls": ids_argument(call_id for call_id, _ in calls),
        "first": min(times) - _LONGEST_CALL,
        "last": max(times) + _LONGEST_CALL,
    }
    return [_leg(row) for row in await database.query(_READ, args)]


def _tenants(summaries: Iterable[Summary], legs: Iterable[Leg]) -> list[tuple[UUID, UUID]]:
    """The calls of which this batch may have been the first to know the tenant."""
    news = {leg.call_id for leg in legs if leg.from_cdr or leg.tenant_id is None}
    return [
        (summary.call_id, summary.tenant_id)
        for summary in summaries
        if summary.tenant_id is not None and summary.call_id in news
    ]


def _leg_row(leg: Leg) -> dict[str, Any]:
    row = {name: getattr(leg, name) for name in _LEG_FIELDS}
    row["call_known"] = leg.call_id is not None
    row["call_id"] = leg.call_id or leg.originator_id or leg.leg_id
    return row


def _leg(row: tuple[Any, ...]) -> Leg:
    return Leg(**dict(zip(_LEG_FIELDS, row, strict=True)))


def leg_bytes(leg: Leg) -> bytes:
    """The leg as JSON bytes, for a buffer outside this process."""
    return orjson.dumps({name: getattr(leg, name) for name in _LEG_FIELDS})


def leg_from_json(document: dict[str, Any]) -> Leg:
    """The leg of `leg_bytes`, decoded."""
    values: dict[str, Any] = {}
    for name in _LEG_FIELDS:
        value = document.get(name)
        if value is not None and name.endswith("_at"):
            value = datetime.fromisoformat(value).astimezone(UTC)
        elif value is not None and name.endswith("_id") and name != "core_id":
            value = UUID(value)
        values[name] = value
    return Leg(**values)
