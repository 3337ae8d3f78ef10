"""The key that encrypts secrets where the operator has given none in the settings."""

from __future__ import annotations

from sqlalchemy import Column, DateTime, LargeBinary, Table, Text, func

from nizam.store.tables import METADATA

SECRET_KEYS = Table(
    "secret_keys",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("key", LargeBinary, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)
