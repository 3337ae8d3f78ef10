"""Who refers to whom, and which object has which dialable number."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, Table, Text, text
from sqlalchemy.dialects.postgresql import UUID

from nizam.store.tables import METADATA

RESOURCE_REFERENCES = Table(
    "resource_references",
    METADATA,
    Column("tenant_id", UUID, primary_key=True),
    Column("from_type", Text, primary_key=True),
    Column("from_id", UUID, primary_key=True),
    Column("path", Text, primary_key=True),
    Column("to_type", Text, nullable=False),
    Column("to_id", UUID, nullable=False),
    Column("by_itself", Boolean, nullable=False, server_default=text("false")),
)
Index(
    None,
    RESOURCE_REFERENCES.c.tenant_id,
    RESOURCE_REFERENCES.c.to_type,
    RESOURCE_REFERENCES.c.to_id,
)

DIALABLE_NUMBERS = Table(
    "dialable_numbers",
    METADATA,
    Column("tenant_id", UUID, primary_key=True),
    Column("number", Text, primary_key=True),
    Column("resource_type", Text, nullable=False),
    Column("resource_id", UUID, nullable=False),
)
Index(
    None,
    DIALABLE_NUMBERS.c.tenant_id,
    DIALABLE_NUMBERS.c.resource_type,
    DIALABLE_NUMBERS.c.resource_id,
)
