"""What a tenant's configuration was at each of its revisions, and who made them."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, DateTime, Index, Table, Text, func, text
from sqlalchemy.dialects.postgresql import JSONB, UUID

from nizam.store.tables import METADATA

REVISIONS = Table(
    "revisions",
    METADATA,
    Column("tenant_id", UUID, primary_key=True),
    Column("revision", BigInteger, primary_key=True, autoincrement=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("kind", Text, nullable=False),
    Column("restores", BigInteger),
    Column("actor_type", Text, nullable=False),
    Column("actor_id", UUID),
    Column("actor_name", Text, nullable=False),
    Column("request_id", Text),
    Column("counts", JSONB, nullable=False),
)
"""One row for each change of a tenant, whether of one object or of all. `kind` is change,
document, import or rollback; `counts` says how many objects of which type were made, changed and
deleted; a rollback names the revision that it `restores`."""
Index(None, REVISIONS.c.tenant_id, REVISIONS.c.created_at)

RESOURCE_VERSIONS = Table(
    "resource_versions",
    METADATA,
    Column("tenant_id", UUID, primary_key=True),
    Column("resource_type", Text, primary_key=True),
    Column("resource_id", UUID, primary_key=True),
    Column("revision", BigInteger, primary_key=True, autoincrement=False),
    Column("operation", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("body", JSONB),
    Column("secrets", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
)
"""What an object was from this revision on, with its secrets, encrypted; no body once it is
deleted. `created_at` is the object's own."""
Index(None, RESOURCE_VERSIONS.c.tenant_id, RESOURCE_VERSIONS.c.revision)
