"""When each scheduled task was run, how that ended, and when it is due again."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, DateTime, Integer, Table, Text, func

from nizam.store.tables import METADATA

SCHEDULED_TASKS = Table(
    "scheduled_tasks",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("interval_seconds", Integer, nullable=False),
    Column("known_since", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("next_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("requested_at", DateTime(timezone=True)),
    Column("started_at", DateTime(timezone=True)),
    Column("ended_at", DateTime(timezone=True)),
    Column("succeeded_at", DateTime(timezone=True)),
    Column("duration_ms", Integer),
    Column("removed", BigInteger),
    Column("error", Text),
)
"""`requested_at` is when somebody asked for a run that has not ended yet; `duration_ms`, `removed`
and `error` are those of the last turn."""
