"""The audit log: what is written, and that nobody can change it without it showing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import psycopg2
import pytest
from alembic import command
from click.testing import CliRunner, Result
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.threads import deferToThread

from nizam.cli.root import commands
from nizam.model.identifiers import new_id
from nizam.model.registry import resource
from nizam.store import migrate
from nizam.store.audit import AuditEntry
from nizam.store.pool import Pool
from nizam.store.store import Store
from nizam.store.system.api_keys import create_platform_key
from nizam.store.system.audit import forget_chain, prune_chains
from nizam.webhooks.disabling import disable_webhook
from tests.database_settings import database_settings
from tests.store.conftest import WHO, Workshop

ROWS = "select * from audit_logs where tenant_id = %s order by sequence"


async def verify(database: str, *arguments: str) -> Result:
    """What `nizam audit verify` does; in a thread, since it is no part of the daemon."""
    environment = database_settings(database)
    call = ["audit", "verify", *arguments]
    return await deferToThread(CliRunner().invoke, commands, call, env=environment)


async def fill(tenant: Workshop) -> None:
    made = await tenant.create("extension", number="1001", display_name="Ünal \\ 'quoted' \"")
    await tenant.change("extension", made.id, display_name="Ada")
    await tenant.delete("extension", made.id)


# -- what is written ------------------------------------------------------------------------------


async def test_every_change_of_a_tenant_is_the_next_row_of_its_chain(
    acme: Workshop, rival: Workshop, pool: Pool
) -> None:
    await fill(acme)
    rows = await pool.query(
        "select sequence, action, hash, previous_hash, revision from audit_logs "
        "where tenant_id = %s order by sequence",
        (acme.tenant_id,),
    )
    assert [row[:2] for row in rows] == [
        (1, "created"),
        (2, "created"),
        (3, "updated"),
        (4, "deleted"),
    ]
    assert [row[3] for row in rows] == ["0" * 64, *(row[2] for row in rows[:-1])]
    assert [row[4] for row in rows] == [1, 2, 3, 4]
    assert await pool.query(
        "select sequence, hash from audit_chains where tenant_id = %s", (acme.tenant_id,)
    ) == [(4, rows[-1][2])]
    assert await pool.query(
        "select sequence from audit_chains where tenant_id = %s", (rival.tenant_id,)
    ) == [(1,)]


async def test_an_outsider_gets_the_same_hash_from_the_description(
    acme: Workshop, pool: Pool
) -> None:
    await fill(acme)
    columns = (
        "tenant_id::text, sequence::text, previous_hash, id::text, revision::text, "
        "to_char(occurred_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), "
        "actor_type, actor_id::text, actor_name, address, request_id, action, resource_type, "
        "resource_id::text, before::text, after::text"
    )
    for row in await pool.query(f"select hash, {columns} from audit_logs"):  # noqa: S608
        content = b""
        for value in ("nizam-audit-1", *row[1:]):
            raw = None if value is None else value.encode()
            content += b"-," if raw is None else str(len(raw)).encode() + b":" + raw + b","
        assert hashlib.sha256(content).hexdigest() == row[0]


async def test_transitions_rotations_and_reveals_are_called_by_their_names(
    acme: Workshop, store: Store, pool: Pool
) -> None:
    hook = await acme.create("webhook", url="https://example.com/")
    for step in ("activate", "suspend"):
        await store.transition(acme.tenant_id, step, WHO, lambda it: it)
    it = resource("webhook")
    later = hook.created_at.replace(year=2100)
    await store.rotate(it, acme.tenant_id, hook.id, "secret", later, WHO, lambda it: it)
    secret = (await store.reveal(it, acme.tenant_id, hook.id, WHO))["secret"]
    rows = await pool.query(ROWS.replace("*", "action, after::text"), (acme.tenant_id,))
    assert [row[0] for row in rows[2:]] == ["activated", "suspended", "rotated", "revealed"]
    assert json.loads(rows[-1][1]) == {"fields": ["secret"]}
    assert secret not in str(rows)


async def test_what_changes_no_resource_can_be_recorded_too(
    acme: Workshop, store: Store, pool: Pool
) -> None:
    user = new_id()
    entry = AuditEntry(action="logged_in", resource_type="user", resource_id=user)
    await store.record(WHO, entry, entry)
    other = AuditEntry(
        action="logged_in",
        resource_type="user",
        tenant_id=acme.tenant_id,
        after={"password": "hunter2-hunter2", "agent": "curl\x00"},
    )
    await store.record(WHO, other)
    found = await pool.query(
        "select tenant_id, sequence, actor_name, address, revision from audit_logs "
        "where action = 'logged_in' order by tenant_id, sequence"
    )
    assert found == [
        (acme.tenant_id, 2, "tests", "192.0.2.1", None),
        (None, 1, "tests", "192.0.2.1", None),
        (None, 2, "tests", "192.0.2.1", None),
    ]
    assert "hunter2" not in str(await pool.query("select after::text from audit_logs"))


async def test_what_nizam_does_by_itself_is_recorded_too(acme: Workshop, pool: Pool) -> None:
    hook = await acme.create("webhook", url="https://example.com/")
    await disable_webhook(pool, hook.id, acme.tenant_id, "410 Gone", hook.created_at)
    await disable_webhook(pool, hook.id, acme.tenant_id, "410 Gone", hook.created_at)
    key = await create_platform_key(pool, "first")
    found = await pool.query(
        "select action, resource_type, tenant_id, after ->> 'reason', after::text from audit_logs "
        "where actor_type = 'system' order by tenant_id"
    )
    assert [row[:4] for row in found] == [
        ("disabled", "webhook", acme.tenant_id, "410 Gone"),
        ("created", "api_key", None, None),
    ]
    assert key not in str(found)


async def test_rows_of_the_same_moment_each_have_their_place(
    acme: Workshop, rival: Workshop, store: Store, database: str
) -> None:
    tenants = (acme.tenant_id, rival.tenant_id, None)
    entries = [AuditEntry(action="x", resource_type="y", tenant_id=it) for it in tenants]

    def written(*order: int) -> Deferred[None]:
        return Deferred.fromCoroutine(store.record(WHO, *(entries[it] for it in order)))

    orders = [(0, 1, 2), (2, 1, 0), (1, 0)] * 5
    await gatherResults([written(*order) for order in orders])
    result = await verify(database)
    assert (result.exit_code, result.output) == (0, "42 rows: whole\n")


@pytest.mark.parametrize(
    "statement",
    [
        "update audit_logs set action = 'x'",
        "delete from audit_logs",
        "insert into audit_logs select * from audit_logs",
        "update audit_chains set sequence = 0",
        "call append_audit_logs('[]')",
        "select prune_audit_chain(tenant_id, now(), 1) from audit_chains",
    ],
)
async def test_the_role_of_the_tenants_can_only_read_it(
    statement: str, acme: Workshop, pool: Pool
) -> None:
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        await pool.tenant_query(acme.tenant_id, statement)


async def test_a_tenant_reads_its_own_rows_only(
    acme: Workshop, rival: Workshop, pool: Pool
) -> None:
    for table in ("audit_logs", "audit_chains"):
        seen = await pool.tenant_query(acme.tenant_id, f"select tenant_id from {table}")  # noqa: S608
        assert seen == [(acme.tenant_id,)]


# -- nizam audit verify ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tampering", "row", "reason"),
    [
        ("update audit_logs set action = 'created' where OURS and sequence = 3", 3, "was changed"),
        (
            """update audit_logs set after = '{"number": "6666"}' where OURS and sequence = 3""",
            3,
            "was changed",
        ),
        (
            "update audit_logs set occurred_at = occurred_at + interval '1 microsecond' "
            "where OURS and sequence = 3",
            3,
            "was changed",
        ),
        (
            "update audit_logs set actor_id = gen_random_uuid() where OURS and sequence = 3",
            3,
            "was changed",
        ),
        (
            "update audit_logs set action = 'x' where OURS and sequence = 3; "
            "update audit_logs a set hash = audit_log_hash(a) where OURS and sequence = 3",
            4,
            "does not follow the row before it",
        ),
        ("delete from audit_logs where OURS and sequence = 3", 4, "row 3 is missing before it"),
        (
            "delete from audit_logs where OURS and sequence = 1",
            2,
            "row 1 is missing before it",
        ),
        (
            "delete from audit_logs where OURS and sequence > 2",
            4,
            "rows 3 to 4 are missing at the end",
        ),
        ("delete from audit_logs where OURS", 4, "rows 1 to 4 are missing"),
        (
            "update audit_logs set sequence = 9 where OURS and sequence = 3; "
            "update audit_logs set sequence = 3 where OURS and sequence = 2; "
            "update audit_logs set sequence = 2 where OURS and sequence = 9",
            2,
            "does not follow the row before it",
        ),
        ("delete from audit_chains where OURS", 4, "the head"),
        (
            "delete from audit_logs where OURS; delete from audit_chains where OURS",
            0,
            "the head of the chain is missing",
        ),
        (
            "update audit_chains set sequence = 3 where OURS",
            3,
            "the head of the chain is not its last row",
        ),
        (
            "update audit_logs set tenant_id = null where OURS and sequence = 4",
            4,
            "row 4 is missing at the end",
        ),
    ],
)
async def test_tampering_shows_with_the_row_and_the_reason(
    tampering: str,
    row: int,
    reason: str,
    acme: Workshop,
    rival: Workshop,
    pool: Pool,
    database: str,
) -> None:
    await fill(acme)
    await fill(rival)
    assert (await verify(database)).exit_code == 0
    ours = tampering.replace("OURS", "tenant_id = %(tenant)s")
    await pool.execute(ours, {"tenant": acme.tenant_id})
    result = await verify(database, "--json")
    assert result.exit_code == 1, result.output
    found = json.loads(result.output)
    assert found["intact"] is False
    (chain,) = [it for it in found["chains"] if it["slug"] == "acme"]
    assert chain["breaks"][0]["sequence"] == row
    assert reason in chain["breaks"][0]["reason"]
    assert (await verify(database, "--tenant", "rival")).exit_code == 0
    plain = await verify(database, "--tenant", "acme")
    assert plain.exit_code == 1
    assert f"row {row}" in plain.output
    assert reason in plain.output


async def test_a_log_made_anew_shows_against_heads_that_were_kept(
    acme: Workshop, pool: Pool, database: str, tmp_path: Any
) -> None:
    await fill(acme)
    kept = tmp_path / "heads.json"
    kept.write_text((await verify(database, "--json")).output)
    assert (await verify(database, "--known", str(kept))).exit_code == 0
    await acme.create("extension", number="1002", display_name="Later")
    assert (await verify(database, "--known", str(kept))).exit_code == 0
    await pool.execute(
        """
        do $$ declare former json; begin
            select json_agg(to_jsonb(a) - 'before' - 'after' order by sequence) into former
            from audit_logs a where sequence <> 3;
            delete from audit_logs; delete from audit_chains;
            call append_audit_logs(former);
        end $$
        """
    )
    assert (await verify(database)).exit_code == 0
    result = await verify(database, "--known", str(kept))
    assert result.exit_code == 1
    (kept.with_name("not-heads.json")).write_text("[]")
    wrong = await verify(database, "--known", str(kept.with_name("not-heads.json")))
    assert wrong.exit_code == 2


async def test_more_rows_than_one_batch_are_gone_along(
    acme: Workshop, store: Store, pool: Pool, database: str
) -> None:
    entry = AuditEntry(action="x", resource_type="y", tenant_id=acme.tenant_id)
    await store.record(WHO, *[entry] * 1500)
    assert (await verify(database, "--tenant", str(acme.tenant_id))).exit_code == 0
    await pool.execute("delete from audit_logs where sequence % 3 = 0")
    result = await verify(database)
    assert result.exit_code == 1
    assert "500 breaks" in result.output
    assert "and 480 more" in result.output


async def test_without_a_database_or_tables_it_says_so(
    acme: Workshop, database: str, empty_database: str
) -> None:
    assert (await verify("postgresql://nobody@127.0.0.1:1/none")).exit_code == 3
    result = await verify(empty_database)
    assert result.exit_code == 3
    assert "nizam migrate" in result.output
    assert (await verify(database, "--tenant", "nobody")).exit_code == 2


# -- the end of rows ------------------------------------------------------------------------------


async def test_old_rows_are_removed_from_the_beginning_and_the_rest_still_verifies(
    acme: Workshop, rival: Workshop, pool: Pool, database: str
) -> None:
    await fill(acme)
    await pool.execute(
        """
        do $$ declare former json; begin
            select json_agg(to_jsonb(a) - 'before' - 'after' || jsonb_build_object('occurred_at',
                case when tenant_id = %(tenant)s and sequence in (1, 2, 4)
                then '2020-01-01' else occurred_at::text end) order by sequence) into former
            from audit_logs a;
            delete from audit_logs; delete from audit_chains;
            call append_audit_logs(former);
        end $$
        """,
        {"tenant": acme.tenant_id},
    )
    year_ago = await pool.query("select now() - interval '1 year'")
    assert await prune_chains(pool, year_ago[0][0], limit=1) == 1
    assert await prune_chains(pool, year_ago[0][0], limit=50) == 1
    assert await prune_chains(pool, year_ago[0][0]) == 0
    left = await pool.query("select tenant_id, sequence from audit_logs order by sequence")
    assert left == [(rival.tenant_id, 1), (acme.tenant_id, 3), (acme.tenant_id, 4)]
    assert (await verify(database)).exit_code == 0
    tomorrow = await pool.query("select now() + interval '1 day'")
    assert await prune_chains(pool, tomorrow[0][0]) == 3
    await acme.create("extension", number="1002", display_name="Later")
    assert (await verify(database)).output == "1 rows: whole\n"


async def test_the_chain_of_a_purged_tenant_goes_with_it(
    acme: Workshop, pool: Pool, database: str
) -> None:
    await fill(acme)
    ((sequence, digest),) = await pool.query(
        "select sequence, hash from audit_chains where tenant_id = %s", (acme.tenant_id,)
    )
    await acme.delete("tenant", acme.tenant_id)
    head = await forget_chain(pool, acme.tenant_id)
    assert (head.sequence, head.hash) == (sequence, digest)
    assert await pool.query("select distinct tenant_id from audit_logs") == [(None,)]
    assert (await verify(database)).exit_code == 0
    assert (await forget_chain(pool, UUID(int=7))).sequence == 0


# -- logs from before -----------------------------------------------------------------------------


LATER = {
    "id": str(new_id()),
    "occurred_at": "2100-01-01T00:00:00Z",
    "actor_type": "system",
    "actor_name": "nizam",
    "action": "x",
    "resource_type": "y",
}


def run(database: str, step: Callable[..., None], revision: str) -> None:
    with migrate._connection(database) as connection:
        step(migrate._config(connection), revision)


async def test_rows_from_before_there_were_chains_become_their_beginning(
    empty_database: str,
) -> None:
    run(empty_database, command.upgrade, "0006_people")
    old = Pool(reactor, empty_database, 1, "old")
    await old.start()
    for tenant_id in (None, new_id(), None, new_id()):
        await old.execute(
            "insert into audit_logs (id, tenant_id, actor_type, actor_name, action, resource_type, "
            "before) values (%s, %s, 'api_key', 'old', 'updated', 'gateway', %s)",
            (new_id(), tenant_id, {"b": [1.50, None], "a": "ü"}),
        )
    run(empty_database, command.upgrade, "0007_audit_chain")
    await old.execute("call append_audit_logs(%s)", (json.dumps([LATER]),))
    run(empty_database, command.downgrade, "0006_people")
    assert await old.query("select count(*), count(before) from audit_logs") == [(5, 4)]
    migrate.upgrade(empty_database)
    assert await old.query("select count(*), max(sequence) from audit_logs") == [(5, 3)]
    await old.stop()
    assert (await verify(empty_database)).output == "5 rows: whole\n"
