"""What happened: one row for each event, partitioned by month.

The primary key is what makes an event the same event, whichever instance saw it. Rows without a
tenant are the platform's (nodes, gateways), or of calls whose tenant was not known in time: those
are given their tenant when it becomes known.

`position` is the order of the log, by which readers go on where they were: see
nizam/store/system/event_log.py.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, DateTime, Index, Table, Text, func, text
from sqlalchemy.dialects.postgresql import JSONB, UUID

from nizam.store.tables import METADATA

CALL_EVENTS = Table(
    "call_events",
    METADATA,
    Column("occurred_at", DateTime(timezone=True), primary_key=True),
    Column("core_id", Text, primary_key=True),
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("type", Text, primary_key=True),
    Column("id", Text, nullable=False),
    Column("tenant_id", UUID),
    Column("node", Text),
    Column("call_id", UUID),
    Column("leg_id", UUID),
    Column("data", JSONB, nullable=False),
    Column("stored_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("position", BigInteger, nullable=False),
    postgresql_partition_by="RANGE (occurred_at)",
)
Index(None, CALL_EVENTS.c.tenant_id, CALL_EVENTS.c.occurred_at)
Index(None, CALL_EVENTS.c.call_id)
Index(None, CALL_EVENTS.c.position)
Index(None, CALL_EVENTS.c.tenant_id, CALL_EVENTS.c.position)
Index(
    "ix_call_events_without_tenant",
    CALL_EVENTS.c.call_id,
    postgresql_where=text("tenant_id is null and call_id is not null"),
)
Index(
    "ix_call_events_registration",
    CALL_EVENTS.c.tenant_id,
    CALL_EVENTS.c.occurred_at,
    CALL_EVENTS.c.id,
    postgresql_where=text("type like 'registration.%'"),
)
Index(
    "ix_call_events_gateway",
    CALL_EVENTS.c.tenant_id,
    CALL_EVENTS.c.data["gateway_id"].astext,
    CALL_EVENTS.c.occurred_at,
    CALL_EVENTS.c.id,
    postgresql_where=text("type in ('gateway.up', 'gateway.down')"),
)
