"""Idempotency keys with the answers that were given, encrypted: they can hold a secret."""

from __future__ import annotations

from sqlalchemy import Column, DateTime, Index, LargeBinary, Table, Text, func
from sqlalchemy.dialects.postgresql import UUID

from nizam.store.tables import METADATA

IDEMPOTENCY_KEYS = Table(
    "idempotency_keys",
    METADATA,
    Column("owner", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("tenant_id", UUID),
    Column("request_hash", LargeBinary, nullable=False),
    Column("answer", Text),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)
Index(None, IDEMPOTENCY_KEYS.c.created_at)
