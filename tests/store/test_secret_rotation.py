"""A new key: everything is encrypted with it, and the old one is needed by nothing any more."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import attrs
import pytest
from click.testing import CliRunner, Result
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from nizam.cli.root import commands
from nizam.model.registry import resource
from nizam.settings import SecretKey
from nizam.store import secret_rotation
from nizam.store.context import ChangeContext, Idempotency
from nizam.store.pool import Pool
from nizam.store.secret_rotation import counts, rotate
from nizam.store.secrets import SecretBox
from nizam.store.store import Store
from tests.database_settings import database_settings
from tests.store.conftest import WHO, Workshop, make_tenant

OLD = SecretKey("k1", bytes(range(32)))
NEW = SecretKey("k2", bytes(range(1, 33)))
ONLY_NEW = SecretBox([NEW])


def now() -> datetime:
    return datetime(2026, 3, 1, tzinfo=UTC)


async def turn(database: str) -> secret_rotation.Outcome:
    outcome: secret_rotation.Outcome = await deferToThread(rotate, database, (NEW, OLD), now)
    return outcome


async def nizam(database: str, *arguments: str, keys: tuple[SecretKey, ...]) -> Result:
    environment = {
        **database_settings(database),
        "NIZAM_SECRET_KEYS": ",".join(
            f"{key.id}:{base64.b64encode(key.key).decode()}" for key in keys
        ),
    }
    result: Result = await deferToThread(CliRunner().invoke, commands, arguments, env=environment)
    return result


@attrs.frozen
class Filled:
    """A tenant with a secret in every place, and what they are."""

    workshop: Workshop
    ids: dict[str, Any]
    secrets: dict[str, str]


async def fill(store: Store, slug: str = "acme", extensions: int = 1) -> Filled:
    tenant = await make_tenant(store, slug)
    made = await tenant.create(
        "extension",
        number="1001",
        display_name="Ada",
        sip_password="canary-sip-password",
        voicemail={"pin": "4711"},
    )
    for number in range(2000, 2000 + extensions - 1):
        await tenant.create("extension", number=str(number), display_name="X")
    gateway = await tenant.create(
        "gateway", name="Carrier", host="sip.example.com", password="canary-gateway"
    )
    hook = await tenant.create("webhook", url="https://example.com/")
    it = resource("webhook")
    turned = await store.rotate(
        it, tenant.tenant_id, hook.id, "secret", now(), WHO, lambda stored: stored
    )
    node = resource("switch_node")
    body = node.body.model_validate(
        {"name": f"fs-{slug}", "esl_host": "10.0.0.1", "esl_password": "c-e", "xml_username": slug}
    )
    await store.create(node, None, body, WHO, lambda made: made)
    user = resource("user")
    person = user.body.model_validate(
        {"email": f"ada@{slug}.example", "name": "Ada", "password": "as hashed elsewhere 93"}
    )
    await store.create(user, None, person, WHO, lambda made: made)
    return Filled(
        tenant,
        {"extension": made.id, "gateway": gateway.id, "webhook": hook.id},
        {"former": hook.revealed["secret"], "secret": turned.revealed["secret"]},
    )


async def tables_with(pool: Pool, text: str) -> list[str]:
    names = await pool.query(
        "select relname from pg_class where relkind in ('r', 'p') and not relispartition "
        "and relnamespace = 'public'::regnamespace order by 1"
    )
    found = []
    for (name,) in names:
        sql = f"select count(*) from {name} t where position(%s in t::text) > 0"  # noqa: S608
        ((count,),) = await pool.query(sql, (text,))
        found += [name] if count else []
    return found


def once(key: str) -> ChangeContext:
    idempotency = Idempotency("owner", key, b"request", str.encode, bytes.decode)
    return ChangeContext(actor_type="api_key", actor_name="tests", idempotency=idempotency)


async def create_once(workshop: Workshop) -> str:
    it = resource("extension")
    body = it.body.model_validate({"number": "1009", "display_name": "X"})
    return await workshop.store.create(
        it, workshop.tenant_id, body, once("k"), lambda made: made.revealed["sip_password"]
    )


async def test_every_secret_can_be_read_with_the_new_key_alone(
    store: Store, pool: Pool, database: str
) -> None:
    filled = await fill(store)
    answer = await create_once(filled.workshop)
    before = await deferToThread(counts, database)
    assert all(set(it) <= {"k1"} for it in before.values())
    assert {name for name, it in before.items() if it} == {
        "extensions",
        "gateways",
        "webhooks",
        "switch_nodes",
        "users",
        "former configurations",
        "former webhook secrets",
        "kept answers",
    }
    outcome = await turn(database)
    # What an object still is goes along with it.
    assert 0 < outcome.rotated <= sum(it.total() for it in before.values())
    assert outcome.failed == 0
    after = await deferToThread(counts, database)
    assert {name: it.total() for name, it in after.items()} == {
        name: it.total() for name, it in before.items()
    }
    assert all(set(it) <= {"k2"} for it in after.values())
    assert await tables_with(pool, "v1:k1:") == []
    assert len(await tables_with(pool, "v1:k2:")) == len([it for it in after.values() if it])
    fresh = attrs.evolve(filled.workshop, store=Store(pool, ONLY_NEW, environment="test"))
    tenant_id, reveal = fresh.tenant_id, fresh.store.reveal
    secrets = await reveal(resource("extension"), tenant_id, filled.ids["extension"], WHO)
    assert secrets == {"sip_password": "canary-sip-password", "voicemail.pin": "4711"}
    secrets = await reveal(resource("gateway"), tenant_id, filled.ids["gateway"], WHO)
    assert secrets == {"password": "canary-gateway"}
    secrets = await reveal(resource("webhook"), tenant_id, filled.ids["webhook"], WHO)
    assert secrets == {"secret": filled.secrets["secret"]}
    ((former,),) = await pool.query("select previous_secret from webhook_states")
    found = ONLY_NEW.decrypt(former, "webhook", filled.ids["webhook"], "secret")
    assert found == filled.secrets["former"]
    assert await create_once(fresh) == answer


async def test_what_an_object_still_is_differs_from_it_in_no_text(
    store: Store, pool: Pool, database: str
) -> None:
    filled = await fill(store)
    same = (
        "select v.resource_type from resource_versions v join extensions e "
        "on e.id = v.resource_id where v.secrets = e.secrets and e.id = %s"
    )
    identifier = filled.ids["extension"]
    await filled.workshop.change("extension", identifier, ring_seconds=11)
    before = await pool.query(same, (identifier,))
    assert len(before) == 2
    await turn(database)
    assert await pool.query(same, (identifier,)) == before


async def test_it_is_audited_and_a_second_run_does_nothing(
    store: Store, pool: Pool, database: str
) -> None:
    await fill(store)
    outcome = await turn(database)
    rows = await pool.query("select after from audit_logs where resource_type = 'secret_key'")
    assert [row[0]["key_id"] for row in rows] == ["k2"]
    assert sum(rows[0][0]["texts"].values()) == outcome.rotated
    assert (await turn(database)).rotated == 0
    assert await pool.query(
        "select count(*) from audit_logs where resource_type = 'secret_key'"
    ) == [(1,)]


async def test_snapshots_hear_of_the_objects_that_they_hold(
    store: Store, pool: Pool, database: str
) -> None:
    filled = await fill(store)
    ((revision,),) = await pool.query("select revision from tenants")
    await turn(database)
    changes = await pool.query(
        "select resource_type, revision > %s from changes where operation = 'updated' "
        "and tenant_id = %s and revision > %s order by 1",
        (revision, filled.workshop.tenant_id, revision),
    )
    assert changes == [("extension", True), ("gateway", True), ("webhook", True)]
    platform = await pool.query(
        "select c.revision = p.revision from changes c, platform_state p "
        "where c.resource_type = 'switch_node' and c.operation = 'updated'"
    )
    assert platform == [(True,)]


async def test_it_goes_on_where_it_was_ended(
    store: Store, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secret_rotation, "BATCH_ROWS", 2)
    await fill(store, extensions=7)

    class EndedError(Exception):
        pass

    def end(place: str, texts: int) -> None:
        if texts >= 4:
            raise EndedError

    with pytest.raises(EndedError):
        await deferToThread(rotate, database, (NEW, OLD), now, end)
    half = (await deferToThread(counts, database))["extensions"]
    assert half["k2"] >= 4
    assert half["k1"] > 0
    await turn(database)
    assert set((await deferToThread(counts, database))["extensions"]) == {"k2"}


async def test_changes_go_on_meanwhile_and_nothing_is_lost(
    store: Store, pool: Pool, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secret_rotation, "BATCH_ROWS", 3)
    filled = await fill(store, extensions=20)
    both = attrs.evolve(filled.workshop, store=Store(pool, SecretBox([NEW, OLD])))
    done: Deferred[secret_rotation.Outcome] = Deferred.fromCoroutine(turn(database))
    passwords = {}
    for number in range(30):
        passwords[number] = f"changed-password-{number}"
        await both.change(
            "extension", filled.ids["extension"], sip_password=passwords[number], ring_seconds=20
        )
    assert (await done).failed == 0
    fresh = Store(pool, ONLY_NEW)
    secrets = await fresh.reveal(
        resource("extension"), both.tenant_id, filled.ids["extension"], WHO
    )
    assert secrets["sip_password"] == passwords[29]


async def test_what_cannot_be_read_is_named_and_left_alone(
    store: Store, pool: Pool, database: str
) -> None:
    filled = await fill(store)
    await pool.execute('update gateways set secrets = \'{"password": "v1:lost:AAAA"}\'')
    result = await nizam(database, "secrets", "rotate", keys=(NEW, OLD))
    assert result.exit_code == 1
    assert f"gateways {filled.ids['gateway']} password" in result.output
    assert "'lost'" in result.output
    status = await nizam(database, "secrets", "status", "--json", keys=(NEW,))
    assert status.exit_code == 1
    found = json.loads(status.output)
    assert found["places"]["gateways"] == {"lost": 1}
    assert set(found["secrets"]) == {"k2", "lost"}
    assert "UNKNOWN KEY" in (await nizam(database, "secrets", "status", keys=(NEW,))).output


async def test_the_key_in_the_database_gives_way_to_keys_in_the_settings(
    pool: Pool, database: str
) -> None:
    stored = SecretKey("stored", bytes(range(2, 34)))
    await pool.execute("insert into secret_keys (id, key) values ('stored', %s)", (stored.key,))
    await fill(Store(pool, SecretBox([stored])))
    assert (await nizam(database, "secrets", "status", keys=())).exit_code == 0
    assert (await nizam(database, "secrets", "rotate", keys=())).exit_code == 2
    assert (await nizam(database, "secrets", "status", keys=(NEW,))).exit_code == 1
    result = await nizam(database, "secrets", "rotate", "--forget-stored-key", keys=(NEW,))
    assert result.exit_code == 0, result.output
    assert await pool.query("select count(*) from secret_keys") == [(0,)]
    status = await nizam(database, "secrets", "status", keys=(NEW,))
    assert (status.exit_code, status.output.split()[:2]) == (0, ["k2", "encrypts"])


async def test_the_key_in_the_database_is_kept_while_anything_needs_it(
    pool: Pool, database: str
) -> None:
    await pool.execute(
        "insert into secret_keys (id, key) values ('stored', %s)", (bytes(range(2, 34)),)
    )
    other = SecretBox([SecretKey("stored", bytes(32))])
    await fill(Store(pool, other))
    assert not await deferToThread(secret_rotation.forget_stored_key, database)
    assert await pool.query("select count(*) from secret_keys") == [(1,)]


async def test_without_a_database_it_says_so() -> None:
    nowhere = "postgresql://nobody:x@127.0.0.1:1/none"
    for command in ("status", "rotate"):
        assert (await nizam(nowhere, "secrets", command, keys=(NEW,))).exit_code == 3
