"""The last backup of each part, for those who watch that there is one."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, DateTime, Table, Text

from nizam.store.tables import METADATA

BACKUPS = Table(
    "backups",
    METADATA,
    Column("part", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("finished_at", DateTime(timezone=True), nullable=False),
    Column("bytes", BigInteger, nullable=False),
)
"""`part` is postgresql, redis, freeswitch or media; `name` is that of the backup."""
