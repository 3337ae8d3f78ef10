"""The table of a resource, used by every migration that makes one; its columns stand there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, UUID

_TYPES: Mapping[str, Any] = {
    "text": sa.Text(),
    "integer": sa.Integer(),
    "boolean": sa.Boolean(),
    "uuid": UUID(),
}


def resource_table(
    name: str,
    columns: Mapping[str, str],
    *,
    owned: bool = True,
    extra: Sequence[sa.Column[Any]] = (),
) -> None:
    """Make the table `name` with `columns` (name -> text, integer, boolean or uuid) generated
    from the body, and their indices. `owned` tables belong to tenants; `extra` columns are kept
    beside the body."""
    owner = ["tenant_id"] if owned else []
    generated: list[sa.Column[Any]] = []
    for column, kind in columns.items():
        value = f"body ->> '{column}'"
        expression = value if kind == "text" else f"({value})::{kind}"
        generated.append(
            sa.Column(column, _TYPES[kind], sa.Computed(f"({expression})", persisted=True))
        )
    op.create_table(
        name,
        sa.Column("id", UUID(), nullable=False),
        *(sa.Column(column, UUID(), nullable=False) for column in owner),
        sa.Column("version", sa.BigInteger(), nullable=False, server_default=sa.text("1")),
        *(
            sa.Column(
                column, sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()
            )
            for column in ("created_at", "updated_at")
        ),
        sa.Column("body", JSONB(), nullable=False),
        sa.Column("secrets", JSONB(), nullable=False, server_default=sa.text("'{}'::jsonb")),
        *extra,
        *generated,
        sa.PrimaryKeyConstraint("id", name=f"pk_{name}"),
    )
    indexed = ["created_at", *(column for column, kind in columns.items() if kind != "boolean")]
    for column in indexed:
        parts = [*owner, column, "id"]
        op.create_index(f"ix_{name}_{'_'.join(parts)}", name, parts)
