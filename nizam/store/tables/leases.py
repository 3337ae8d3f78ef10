"""Who does what only one instance at a time may do."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, DateTime, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from nizam.store.tables import METADATA

LEASES = Table(
    "leases",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("note", JSONB),
)
"""`token` rises with every change of the holder: what is done under an older one has no effect.
`note` is what the holder tells the others, and the next holder."""
