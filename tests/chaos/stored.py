"""What PostgreSQL has of calls, events and deliveries, as plain rows that fit into JSON lines."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import attrs
import psycopg2

Row = dict[str, Any]

QUERIES: Final[Mapping[str, str]] = {
    "events": "select id, type, call_id, tenant_id, occurred_at, sequence, data from call_events"
    " order by occurred_at, sequence",
    "summaries": "select * from cdrs",
    "legs": "select * from cdr_legs",
    "deliveries": "select d.event_id, d.webhook_id, d.tenant_id, d.status, d.attempt_count,"
    " d.last_error, d.created_at, w.url"
    " from webhook_deliveries d left join webhooks w on w.id = d.webhook_id",
}
_RECORDS: Final[Mapping[str, str]] = {
    "events": "select id, type, call_id, tenant_id, occurred_at, sequence, data from call_events"
    " where type in ('call.started', 'call.answered', 'call.ended', 'call.missed')",
    "summaries": QUERIES["summaries"],
    "legs": QUERIES["legs"],
}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@attrs.frozen
class Stored:
    """Rows by call id, where that is what they are of; `others` are events of no call.

    Times are microseconds since the epoch.
    """

    events: Mapping[str, list[Row]] = attrs.field(factory=dict)
    others: tuple[Row, ...] = ()
    summaries: Mapping[str, list[Row]] = attrs.field(factory=dict)
    legs: Mapping[str, list[Row]] = attrs.field(factory=dict)
    deliveries: tuple[Row, ...] = ()

    @property
    def all_events(self) -> list[Row]:
        """Every event."""
        return [*(it for rows in self.events.values() for it in rows), *self.others]

    @property
    def event_ids(self) -> frozenset[str]:
        """The ids of all events."""
        return frozenset(it["id"] for it in self.all_events)

    @property
    def node_events(self) -> tuple[Row, ...]:
        """The events of switch nodes."""
        return tuple(it for it in self.others if it["type"].startswith("node."))

    @property
    def promised(self) -> dict[str, str]:
        """The status of each delivery, by its event's id."""
        return {it["event_id"]: it["status"] for it in self.deliveries}

    def only(self, call_ids: Collection[str]) -> Stored:
        """The same without any other calls."""

        def kept(rows: Mapping[str, list[Row]]) -> dict[str, list[Row]]:
            return {call_id: row for call_id, row in rows.items() if call_id in call_ids}

        return attrs.evolve(
            self, events=kept(self.events), summaries=kept(self.summaries), legs=kept(self.legs)
        )


def read(dsn: str) -> Stored:
    """Everything about calls that is in the database."""
    return stored(read_tables(dsn))


def read_records(dsn: str) -> Stored:
    """Summaries, legs, and the events that a call has once: quick, however much else there is."""
    return stored(read_tables(dsn, _RECORDS))


def read_tables(dsn: str, queries: Mapping[str, str] = QUERIES) -> dict[str, list[Row]]:
    """The rows of each of `queries`."""
    connection = psycopg2.connect(dsn, connect_timeout=5)
    try:
        with connection.cursor() as cursor:
            return {name: _rows(cursor, sql) for name, sql in queries.items()}
    finally:
        connection.close()


def stored(tables: Mapping[str, Iterable[Row]]) -> Stored:
    """The rows of read_tables(), by call."""
    events = list(tables.get("events", ()))
    return Stored(
        _by_call(it for it in events if it["call_id"] is not None),
        tuple(it for it in events if it["call_id"] is None),
        _by_call(tables.get("summaries", ())),
        _by_call(tables.get("legs", ())),
        tuple(tables.get("deliveries", ())),
    )


def _rows(cursor: Any, sql: str) -> list[Row]:
    cursor.execute(sql)
    names = [it.name for it in cursor.description or ()]
    return [dict(zip(names, (_plain(it) for it in row), strict=True)) for row in cursor.fetchall()]


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        since = value - _EPOCH
        return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, list):
        return [_plain(it) for it in value]
    return value


def _by_call(rows: Iterable[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[row["call_id"]].append(row)
    return dict(found)
