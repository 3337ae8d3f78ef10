"""What every change does, as functions: their plans are made once for a connection.

Reading and planning these statements took PostgreSQL several times as long as running them: with
every change, and the deliveries with every few events of calls.
"""

from __future__ import annotations

from alembic import op

revision = "0030_planned_once"
down_revision = "0029_lists_and_vacuum"
branch_labels = None
depends_on = None

_MATCH = """
create function match_deliveries(stored call_events[]) returns table (id uuid, webhook_id uuid)
language plpgsql volatile as $$
#variable_conflict use_column
begin
    return query
    insert into webhook_deliveries as d
        (event_id, event_occurred_at, event_type, webhook_id, tenant_id, call_id)
    select e.id, e.occurred_at, e.type, w.id, w.tenant_id, e.call_id
    from unnest(stored) e join webhooks w on
        w.tenant_id = e.tenant_id
        and w.enabled
        and w.status <> 'disabled'
        and case e.type
            when 'webhook.test' then w.id::text = e.data ->> 'webhook_id'
            else w.body -> 'event_types' ?| array[e.type, split_part(e.type, '.', 1) || '.*', '*']
        end
        and (
            e.type = 'webhook.test'
            or w.body -> 'filter' ->> 'extension_id' is null
            or e.data ->> 'extension_id' = w.body -> 'filter' ->> 'extension_id'
            or e.data -> 'extension_ids' ? (w.body -> 'filter' ->> 'extension_id')
        )
        and (
            e.type = 'webhook.test'
            or w.body -> 'filter' ->> 'did' is null
            or w.body -> 'filter' ->> 'did'
                in (e.data ->> 'did', e.data ->> 'to', e.data ->> 'from')
        )
    on conflict (event_id, webhook_id) do nothing
    returning d.id, d.webhook_id;
end $$
"""
# `made` is how the revision came about, as it is kept of tenants.
_COUNT = """
create function count_revision(owner uuid, made jsonb) returns void
language plpgsql volatile as $$
declare
    counted bigint;
begin
    if owner is null then
        update platform_state set revision = revision + 1;
        return;
    end if;
    update tenants set revision = revision + 1 where id = owner returning revision into counted;
    if found then
        insert into revisions (tenant_id, revision, created_at, kind, restores, actor_type,
            actor_id, actor_name, request_id, counts)
        select owner, counted, created_at, kind, restores, actor_type,
            actor_id, actor_name, request_id, counts
        from jsonb_to_record(made) as it(
            created_at timestamptz, kind text, restores bigint, actor_type text,
            actor_id uuid, actor_name text, request_id text, counts jsonb);
    end if;
end $$
"""
_RECORD = """
create function record_changes(owner uuid, records jsonb) returns void
language plpgsql volatile as $$
declare
    counted bigint;
begin
    if owner is null then
        select revision into counted from platform_state;
    else
        select revision into counted from tenants where id = owner;
    end if;
    insert into resource_versions as v (tenant_id, resource_type, resource_id, revision, operation,
        version, created_at, body, secrets)
    select owner, resource_type, resource_id, counted, operation,
        version, created_at, body, secrets
    from jsonb_to_recordset(records) as it(
        resource_type text, resource_id uuid, operation text, keep boolean, version bigint,
        created_at timestamptz, body jsonb, secrets jsonb)
    where keep
    on conflict (tenant_id, resource_type, resource_id, revision) do update
    set operation = excluded.operation, version = excluded.version, body = excluded.body,
        secrets = excluded.secrets;
    insert into changes (tenant_id, revision, resource_type, resource_id, operation)
    select owner, counted, resource_type, resource_id, operation
    from jsonb_to_recordset(records) as it(
        resource_type text, resource_id uuid, operation text);
end $$
"""


def upgrade() -> None:
    """Apply."""
    for function in (_MATCH, _COUNT, _RECORD):
        op.execute(function)


def downgrade() -> None:
    """Take back."""
    op.execute("drop function record_changes(uuid, jsonb)")
    op.execute("drop function count_revision(uuid, jsonb)")
    op.execute("drop function match_deliveries(call_events[])")
