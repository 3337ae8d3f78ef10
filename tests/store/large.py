"""Many rows of everything that happens, made by PostgreSQL itself: a year of it, of 50 tenants of
which the first has about a quarter."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg2

from tests.store.list_plans import OBJECT, SPACE, TENANT, WEBHOOK

_TENANT = (
    f"case when i % 4 = 0 then '{TENANT}'::uuid "
    f"else md5('{SPACE}' || (random() * random() * 50)::int)::uuid end"
)
_WEBHOOK = f"case when i % 8 = 0 then '{WEBHOOK}'::uuid else md5('webhook' || i % 300)::uuid end"
_AT = "'2025-12-01T00:00:00Z'::timestamptz + (i::float8 / {rows}) * interval '360 days'"
_ID = "md5('{table}' || i)::uuid"
_NUMBER = "'+90555' || lpad(((random() ^ 3) * 1e7)::int::text, 7, '0')"
_NODE = "'fs' || 1 + i % 3"

# The columns that are not as their defaults have them. {at} is the time of row i, {id} its id.
_CDRS = {
    "call_id": "{id}",
    "started_at": "{at}",
    "tenant_id": _TENANT,
    "node": _NODE,
    "direction": "(array['inbound','outbound','internal'])[1 + j % 3]",
    "from_number": _NUMBER,
    "to_number": f"nullif({_NUMBER}, '+905550000000')",
    "answered_at": "case when j % 3 > 0 then {at} + interval '8 seconds' end",
    "ended_at": "{at} + make_interval(secs => 10 + (j * 7919) % 600)",
    "duration_ms": "(10 + (j * 7919) % 600) * 1000 + j % 1000",
    "billable_ms": "case when j % 3 > 0 then ((j * 7919) % 600) * 1000 else 0 end",
    "result": "(array['answered','missed','busy','failed'])[1 + j % 4]",
    "hangup_cause": "case when j % 50000 = 0 then 'USER_BUSY' else 'NORMAL_CLEARING' end",
    "hangup_by": "'caller'",
    "gateway": "case when j % 3 = 1 then 'gw-' || j % 5 end",
    "source": "'events'",
    "extension_ids": f"array[md5('extension' || j % 5000)::uuid, case when i % 100000 = 8 then "
    f"'{OBJECT}'::uuid end]",
    "did": "case when j % 3 = 0 then '+902121' || lpad((j % 1000)::text, 6, '0') end",
    "country": "(array['TR','DE','US'])[1 + j % 3]",
}
_EVENTS = {
    "occurred_at": "{at}",
    "core_id": "'core'",
    "sequence": "i",
    "type": "case when j % 100 = 1 then 'registration.created'"
    " when j % 5000 = 2 then 'gateway.down'"
    " else (array['call.ringing','call.answered','call.bridged','call.ended'])[1 + j % 4] end",
    "id": "'evt_' || lpad(to_hex(i), 32, '0')",
    "tenant_id": _TENANT,
    "node": _NODE,
    "call_id": "md5('cdrs' || j / 8)::uuid",
    "leg_id": "md5('leg' || j / 4)::uuid",
    "data": "jsonb_build_object('user', '10' || j / 100 % 100, 'cause', 'NORMAL_CLEARING')",
    "position": "i",
}
_DELIVERIES = {
    "id": "{id}",
    "event_id": "'evt_' || i",
    "event_occurred_at": "{at}",
    "event_type": "(array['call.ended','call.answered'])[1 + j % 2]",
    "webhook_id": _WEBHOOK,
    "tenant_id": _TENANT,
    "call_id": "md5('cdrs' || i / 8)::uuid",
    "status": "case when j % 1000 = 0 then 'dead' else 'succeeded' end",
    "created_at": "{at}",
}
_ATTEMPTS = {
    "delivery_id": "md5('webhook_deliveries' || i)::uuid",
    "webhook_id": _WEBHOOK,
    "tenant_id": _TENANT,
    "number": "1",
    "started_at": "{at}",
    "duration_ms": "j % 300",
    "response_status": "200",
}
_RECORDINGS = {
    "id": "{id}",
    "tenant_id": _TENANT,
    "path": "'/media/' || i",
    "state": "'available'",
    "storage": "'local'",
    "is_local": "true",
    "call_id": "md5('cdrs' || i * 10)::uuid",
    "from_number": _NUMBER,
    "to_number": _NUMBER,
    "started_at": "{at}",
    "completed_at": "{at} + interval '1 minute'",
    "duration_ms": "(j * 7919) % 600000",
    "bytes": "(j * 7919) % 6000000",
    "legal_hold": "false",
    "told_at": "{at}",
    "core_id": "'core'",
    "sequence": "i",
    "attempt_count": "0",
    "created_at": "{at}",
    "updated_at": "{at}",
}
_AUDIT = {
    "id": "{id}",
    "tenant_id": _TENANT,
    "occurred_at": "{at}",
    "actor_type": "'api_key'",
    "actor_name": "'key ' || j % 20",
    "action": "(array['created','updated'])[1 + j % 2]",
    "resource_type": "'extension'",
    "resource_id": "md5('extension' || j % 5000)::uuid",
    "sequence": "i",
    "previous_hash": "'0'",
    "hash": "'0'",
}
TABLES: Mapping[str, tuple[Mapping[str, str], float]] = {
    "cdrs": (_CDRS, 1.0),
    "call_events": (_EVENTS, 1.0),
    "webhook_deliveries": (_DELIVERIES, 0.1),
    "webhook_attempts": (_ATTEMPTS, 0.1),
    "recordings": (_RECORDINGS, 0.1),
    "audit_logs": (_AUDIT, 0.1),
}
"""The columns of each, and how many of its rows there are for one call."""
_SLICE = 250_000


def fill(dsn: str, rows: int) -> None:
    """Make so many calls, as many events, and what goes with them; two tables at a time."""
    with psycopg2.connect(dsn) as connection, connection.cursor() as cursor:
        for table, key in (("cdrs", "started_at"), ("call_events", "occurred_at")):
            cursor.execute(
                "select make_month_partitions(%s, %s, '2025-12-01', 13), settle_partitions(%s)",
                (table, key, table),
            )
    connection.close()
    halves = (["cdrs"], [it for it in TABLES if it != "cdrs"])
    with ThreadPoolExecutor() as workers:
        for done in [workers.submit(_fill_all, dsn, it, rows) for it in halves]:
            done.result()


def _fill_all(dsn: str, tables: list[str], rows: int) -> None:
    connection = psycopg2.connect(dsn)
    connection.autocommit = True
    with connection.cursor() as cursor:
        # Neither triggers nor foreign keys.
        cursor.execute("set session_replication_role = replica; set synchronous_commit = off")
        for table in tables:
            _fill(cursor, table, rows)
            cursor.execute(f"vacuum (analyze) {table}")
    connection.close()


def _fill(cursor: Any, table: str, rows: int) -> None:
    columns, share = TABLES[table]
    most = max(1, int(rows * share))
    place = {"at": _AT.format(rows=most), "id": _ID.format(table=table)}
    values = ", ".join(it.format(**place) for it in columns.values())
    for first in range(1, most + 1, _SLICE):
        last = min(most, first + _SLICE - 1)
        cursor.execute(
            f"insert into {table} ({', '.join(columns)}) "  # noqa: S608 - all of it is above
            f"select {values} from generate_series({first}::bigint, {last}) i, "
            "lateral (select i / 4 as j) _"
        )
