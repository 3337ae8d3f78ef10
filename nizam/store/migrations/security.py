"""Row-level security for a table with a `tenant_id`, used by every migration that makes one."""

from __future__ import annotations

from alembic import op

TENANT = "nullif(current_setting('nizam.tenant', true), '')::uuid"
"""The tenant of the running transaction; NULL, which equals nothing, when there is none."""


def protect(table: str, *, column: str = "tenant_id", rights: str = "all") -> None:
    """Let the role nizam_tenant see and touch only its tenant's rows, with `rights` at most.

    The owner of the tables, under which the system's own paths run, sees all of them, even when
    it is no superuser: security is forced, and a policy of its own lets it through.
    """
    op.execute(f"alter table {table} enable row level security")
    op.execute(f"alter table {table} force row level security")
    op.execute(
        f"create policy tenant_isolation on {table} to nizam_tenant "
        f"using ({column} = {TENANT}) with check ({column} = {TENANT})"
    )
    op.execute(
        f"create policy system_paths on {table} to current_user using (true) with check (true)"
    )
    granted = "select, insert, update, delete" if rights == "all" else rights
    op.execute(f"grant {granted} on {table} to nizam_tenant")
