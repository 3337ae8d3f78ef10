"""How far those have read the log of events who go on from there after a restart."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Table, Text

from nizam.store.tables import METADATA

LOG_READERS = Table(
    "log_readers",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("position", BigInteger, nullable=False),
)
