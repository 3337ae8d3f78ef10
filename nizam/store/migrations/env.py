"""Alembic's entry: runs the migrations on the connection that nizam/store/migrate.py gives."""

from __future__ import annotations

from alembic import context

from nizam.store.tables import all_tables

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=all_tables(),
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
