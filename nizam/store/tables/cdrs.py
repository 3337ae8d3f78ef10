"""Call detail records: the legs as FreeSWITCH reported them, and one summary of each call.

Both are partitioned by month of their start, which a leg's event and its CDR give alike to the
microsecond, so that the leg's uuid and its start are a key that both sources meet at.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, DateTime, Float, Index, Table, Text, func, text
from sqlalchemy.dialects.postgresql import ARRAY, UUID

from nizam.store.tables import METADATA

CDR_LEGS = Table(
    "cdr_legs",
    METADATA,
    Column("leg_id", UUID, primary_key=True),
    Column("started_at", DateTime(timezone=True), primary_key=True),
    Column("call_id", UUID, nullable=False),
    Column("call_known", Boolean, nullable=False),
    Column("tenant_id", UUID),
    Column("extension_id", UUID),
    Column("node", Text),
    Column("core_id", Text),
    Column("from_events", Boolean, nullable=False),
    Column("from_cdr", Boolean, nullable=False),
    Column("reconciled", Boolean, nullable=False),
    Column("direction", Text),
    Column("context", Text),
    Column("caller_number", Text),
    Column("caller_name", Text),
    Column("number", Text),
    Column("other_leg_id", UUID),
    Column("originator_id", UUID),
    Column("ringing_at", DateTime(timezone=True)),
    Column("answered_at", DateTime(timezone=True)),
    Column("bridged_at", DateTime(timezone=True)),
    Column("ended_at", DateTime(timezone=True)),
    Column("hangup_cause", Text),
    Column("hangup_disposition", Text),
    Column("originate_disposition", Text),
    Column("last_bridge_hangup_cause", Text),
    Column("endpoint_disposition", Text),
    Column("transfer_to", Text),
    Column("application", Text),
    Column("gateway", Text),
    Column("codec", Text),
    Column("mos", Float),
    Column("packet_loss_percent", Float),
    Column("jitter_ms", Float),
    Column("route", Text),
    Column("revision", BigInteger),
    Column("did", Text),
    Column("destination", Text),
    postgresql_partition_by="RANGE (started_at)",
)
"""`call_known` is false while `call_id` is only inferred from who originated the leg."""
Index(None, CDR_LEGS.c.call_id)
Index(None, CDR_LEGS.c.tenant_id, CDR_LEGS.c.started_at)

CDRS = Table(
    "cdrs",
    METADATA,
    Column("call_id", UUID, primary_key=True),
    Column("started_at", DateTime(timezone=True), primary_key=True),
    Column("tenant_id", UUID),
    Column("node", Text),
    Column("direction", Text, nullable=False),
    Column("from_number", Text),
    Column("to_number", Text),
    Column("answered_at", DateTime(timezone=True)),
    Column("ended_at", DateTime(timezone=True)),
    Column("duration_ms", BigInteger, nullable=False),
    Column("billable_ms", BigInteger, nullable=False),
    Column("result", Text, nullable=False),
    Column("hangup_cause", Text),
    Column("hangup_by", Text, nullable=False),
    Column("route", Text),
    Column("revision", BigInteger),
    Column("gateway", Text),
    Column("mos", Float),
    Column("packet_loss_percent", Float),
    Column("jitter_ms", Float),
    Column("source", Text, nullable=False),
    Column("extension_ids", ARRAY(UUID), nullable=False, server_default=text("'{}'")),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("did", Text),
    Column("destination", Text),
    Column("country", Text),
    postgresql_partition_by="RANGE (started_at)",
)
Index(None, CDRS.c.tenant_id, CDRS.c.started_at, CDRS.c.call_id)
Index(None, CDRS.c.tenant_id, CDRS.c.from_number, CDRS.c.started_at)
Index(None, CDRS.c.tenant_id, CDRS.c.to_number, CDRS.c.started_at)
for _sorted in ("answered_at", "ended_at", "duration_ms", "billable_ms"):
    Index(f"ix_cdrs_tenant_id_{_sorted}", *CDRS.c["tenant_id", _sorted, "call_id"])
Index(None, CDRS.c.extension_ids, postgresql_using="gin")
Index(
    "ix_cdrs_tenant_id_did",
    CDRS.c.tenant_id,
    CDRS.c.did,
    CDRS.c.started_at,
    postgresql_where=text("did is not null"),
)
Index(None, CDRS.c.created_at, postgresql_using="brin")
