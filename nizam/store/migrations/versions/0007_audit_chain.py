"""The audit log as a chain of hashes for each tenant, and one for the platform."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSON, JSONB, UUID

from nizam.store.migrations.security import protect

revision = "0007_audit_chain"
down_revision = "0006_people"
branch_labels = None
depends_on = None

# Every column as a netstring, in this order; without a value, `-,`. Whoever changes it begins a new
# format with a new first word. A loop takes half as long as one expression of seventeen parts.
_HASH = """
create function audit_log_hash(it audit_logs) returns text
language plpgsql stable parallel safe as $$
declare
    content text := '';
    value text;
begin
    foreach value in array array[
        'nizam-audit-1',
        it.tenant_id::text,
        it.sequence::text,
        it.previous_hash,
        it.id::text,
        it.revision::text,
        to_char(it.occurred_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        it.actor_type,
        it.actor_id::text,
        it.actor_name,
        it.address,
        it.request_id,
        it.action,
        it.resource_type,
        it.resource_id::text,
        it.before::text,
        it.after::text]
    loop
        content := content || coalesce(octet_length(value) || ':' || value || ',', '-,');
    end loop;
    return encode(sha256(convert_to(content, 'UTF8')), 'hex');
end $$
"""

# The row of the chain's head is the lock: whoever appends waits for whoever does so already.
# Chains are taken in the order of their ids, so that two who append to several cannot block each
# other. The heads are written once for each call, however many rows there are.
_APPEND = """
create procedure append_audit_logs(entries json) language plpgsql as $$
declare
    platform constant uuid := '00000000-0000-0000-0000-000000000000';
    head audit_chains;
    row audit_logs;
    it record;
    counted bigint;
begin
    for head.tenant_id in
        select distinct coalesce(e.tenant_id, platform)
        from json_to_recordset(entries) as e(tenant_id uuid) order by 1
    loop
        insert into audit_chains (tenant_id) values (head.tenant_id) on conflict do nothing;
        select * into head from audit_chains c where c.tenant_id = head.tenant_id for update;
        if head.tenant_id = platform then
            select p.revision into counted from platform_state p;
        else
            select t.revision into counted from tenants t where t.id = head.tenant_id;
        end if;
        for it in
            select e.* from rows from (json_to_recordset(entries) as (
                id uuid, tenant_id uuid, changed boolean, occurred_at timestamptz,
                actor_type text, actor_id uuid, actor_name text, address text, request_id text,
                action text, resource_type text, resource_id uuid, before text, after text
            )) with ordinality as e
            where coalesce(e.tenant_id, platform) = head.tenant_id
            order by e.ordinality
        loop
            row.id := it.id;
            row.tenant_id := it.tenant_id;
            row.revision := case when it.changed then counted end;
            row.occurred_at := it.occurred_at;
            row.actor_type := it.actor_type;
            row.actor_id := it.actor_id;
            row.actor_name := it.actor_name;
            row.address := it.address;
            row.request_id := it.request_id;
            row.action := it.action;
            row.resource_type := it.resource_type;
            row.resource_id := it.resource_id;
            row.before := it.before::json;
            row.after := it.after::json;
            row.sequence := head.sequence + 1;
            row.previous_hash := head.hash;
            row.hash := audit_log_hash(row);
            insert into audit_logs values (row.*);
            head.sequence := row.sequence;
            head.hash := row.hash;
        end loop;
        update audit_chains c set sequence = head.sequence, hash = head.hash
        where c.tenant_id = head.tenant_id;
    end loop;
end $$
"""

# Only whole beginnings of a chain are removed, and the head keeps what they ended with, so that
# the rest can still be verified.
_PRUNE = """
create function prune_audit_chain(chain uuid, older_than timestamptz, most int)
returns int language plpgsql as $$
declare
    platform constant uuid := '00000000-0000-0000-0000-000000000000';
    mine constant uuid := nullif(chain, platform);
    head audit_chains;
    last bigint;
begin
    select * into head from audit_chains c where c.tenant_id = chain for update;
    if not found then
        return 0;
    end if;
    select coalesce(min(a.sequence) - 1, least(head.sequence, head.pruned_sequence + most))
    into last from audit_logs a
    where (a.tenant_id = mine or mine is null and a.tenant_id is null)
      and a.sequence > head.pruned_sequence and a.sequence <= head.pruned_sequence + most
      and a.occurred_at >= older_than;
    if last <= head.pruned_sequence then
        return 0;
    end if;
    update audit_chains c set pruned_sequence = last, pruned_hash = (
        select a.hash from audit_logs a
        where (a.tenant_id = mine or mine is null and a.tenant_id is null) and a.sequence = last)
    where c.tenant_id = chain;
    delete from audit_logs a
    where (a.tenant_id = mine or mine is null and a.tenant_id is null) and a.sequence <= last;
    return last - head.pruned_sequence;
end $$
"""

# What was written before there were chains becomes their beginning.
_CHAIN_FORMER = """
do $$
declare
    it audit_logs;
    head audit_chains;
begin
    for it in select * from audit_logs order by tenant_id nulls last, occurred_at, id loop
        if head.tenant_id is distinct from
            coalesce(it.tenant_id, '00000000-0000-0000-0000-000000000000')
        then
            if head.tenant_id is not null then
                insert into audit_chains values (head.*);
            end if;
            head := (coalesce(it.tenant_id, '00000000-0000-0000-0000-000000000000'),
                0, repeat('0', 64), 0, repeat('0', 64));
        end if;
        it.sequence := head.sequence + 1;
        it.previous_hash := head.hash;
        it.hash := audit_log_hash(it);
        update audit_logs a
        set sequence = it.sequence, previous_hash = it.previous_hash, hash = it.hash
        where a.id = it.id;
        head.sequence := it.sequence;
        head.hash := it.hash;
    end loop;
    if head.tenant_id is not null then
        insert into audit_chains values (head.*);
    end if;
end $$
"""


def _place(sequence: str, digest: str) -> list[sa.Column[Any]]:
    return [
        sa.Column(sequence, sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.Column(digest, sa.Text(), nullable=False, server_default=sa.text("repeat('0', 64)")),
    ]


def upgrade() -> None:
    """Chain the rows that are there, and let no tenant write any."""
    op.create_table(
        "audit_chains",
        sa.Column("tenant_id", UUID(), nullable=False),
        *_place("sequence", "hash"),
        *_place("pruned_sequence", "pruned_hash"),
        sa.PrimaryKeyConstraint("tenant_id", name="pk_audit_chains"),
    )
    protect("audit_chains", rights="select")
    op.execute("revoke insert on audit_logs from nizam_tenant")
    for name in ("before", "after"):
        op.alter_column(
            "audit_logs", name, type_=JSON(), postgresql_using=f"{name}::json", nullable=True
        )
    op.add_column("audit_logs", sa.Column("sequence", sa.BigInteger()))
    op.add_column("audit_logs", sa.Column("previous_hash", sa.Text()))
    op.add_column("audit_logs", sa.Column("hash", sa.Text()))
    for function in (_HASH, _CHAIN_FORMER, _APPEND, _PRUNE):
        op.execute(function)
    for name in ("sequence", "previous_hash", "hash"):
        op.alter_column("audit_logs", name, nullable=False)
    op.execute("revoke execute on procedure append_audit_logs(json) from public")
    op.execute("revoke execute on function prune_audit_chain(uuid, timestamptz, int) from public")
    op.drop_index("ix_audit_logs_tenant_id_occurred_at", "audit_logs")
    _index("uq", "tenant_id", "sequence")
    _index("uq", "sequence", where=sa.text("tenant_id is null"))
    _index("ix", "tenant_id", "occurred_at", "id")
    _index("ix", "occurred_at", "id")
    _index("ix", "resource_id", "occurred_at")


def _index(kind: str, *columns: str, where: sa.TextClause | None = None) -> None:
    op.create_index(
        f"{kind}_audit_logs_{'_'.join(columns)}",
        "audit_logs",
        list(columns),
        unique=kind == "uq",
        postgresql_where=where,
    )


def downgrade() -> None:
    """Take the chains away; the rows stay."""
    op.execute("drop procedure append_audit_logs(json)")
    op.execute("drop function prune_audit_chain(uuid, timestamptz, int)")
    op.execute("drop function audit_log_hash(audit_logs)")
    for name in ("tenant_id_occurred_at_id", "occurred_at_id", "resource_id_occurred_at"):
        op.drop_index(f"ix_audit_logs_{name}", "audit_logs")
    for name in ("sequence", "previous_hash", "hash"):
        op.drop_column("audit_logs", name)
    for name in ("before", "after"):
        op.alter_column("audit_logs", name, type_=JSONB(), postgresql_using=f"{name}::jsonb")
    op.create_index(
        "ix_audit_logs_tenant_id_occurred_at", "audit_logs", ["tenant_id", "occurred_at"]
    )
    op.execute("grant insert on audit_logs to nizam_tenant")
    op.drop_table("audit_chains")
