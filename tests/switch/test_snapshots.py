"""The resident snapshot: loaded from PostgreSQL or Redis, and never more than a moment behind."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import UUID

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from nizam.embedded.postgres import PrivatePostgres
from nizam.kv.single import SingleRedis
from nizam.model.did import Did
from nizam.model.extension import Extension
from nizam.model.feature_code import DEFAULTS
from nizam.model.identifiers import new_id
from nizam.model.registry import resource
from nizam.model.switch_node import SwitchNode
from nizam.routing.snapshot import Snapshot
from nizam.settings import SecretKey
from nizam.store.context import ChangeContext
from nizam.store.hosts import Hosts
from nizam.store.migrate import upgrade
from nizam.store.pool import Pool, Transaction
from nizam.store.secrets import SecretBox
from nizam.store.store import Store
from nizam.store.system import snapshots as stored
from nizam.switch.snapshots import SnapshotService

WHO = ChangeContext(actor_type="system", actor_name="tests")
BOX = SecretBox([SecretKey("k1", bytes(32))])


async def until(condition: Callable[[], Any]) -> None:
    while not condition():
        await deferLater(reactor, 0.005, lambda: None)


@pytest_twisted.async_yield_fixture
async def pool(database: str) -> AsyncIterator[Pool]:
    made = Pool(reactor, database, size=2, name="test")
    await made.start()
    yield made
    await made.stop()


@pytest_twisted.async_yield_fixture
async def key_value(redis_url: str) -> AsyncIterator[SingleRedis]:
    parts = urlsplit(redis_url)
    made = SingleRedis(reactor, str(parts.hostname), parts.port or 0, unquote(str(parts.password)))
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
def store(pool: Pool) -> Store:
    return Store(pool, BOX)


async def create(store: Store, kind: str, tenant_id: UUID | None, /, **fields: Any) -> UUID:
    it = resource(kind)
    body = it.body.model_validate(fields)
    return await store.create(it, tenant_id, body, WHO, lambda made: made.id)


async def tenant(store: Store, slug: str) -> UUID:
    fields = {"name": slug, "slug": slug, "domain": f"{slug}.example.test"}
    return await create(store, "tenant", None, **fields)


async def extension(store: Store, tenant_id: UUID, number: str) -> UUID:
    return await create(store, "extension", tenant_id, number=number, display_name=number)


async def rename(store: Store, tenant_id: UUID, identifier: UUID, name: str) -> None:
    await store.update(
        resource("extension"),
        tenant_id,
        identifier,
        lambda it: Extension.model_validate({**it.body, "display_name": name}),
        WHO,
    )


class Follower:
    """A snapshot with the service that keeps it."""

    def __init__(self, store: Store, key_value: SingleRedis, **options: Any) -> None:
        self.snapshot = Snapshot()
        self.service = SnapshotService(reactor, store.primary, key_value, self.snapshot, **options)
        self.changes: list[Any] = []
        self.service.on_change(self.changes.extend)

    async def start(self) -> Follower:
        self.service.startService()
        await until(lambda: self.service.ready)
        return self

    async def stop(self) -> None:
        await self.service.stopService()

    def name(self, domain: str, number: str) -> str | None:
        view = self.snapshot.tenant_by_domain(domain)
        entry = view.by_number(number) if view else None
        return entry.body.display_name if entry else None


async def test_everything_is_loaded_at_the_start(store: Store, key_value: SingleRedis) -> None:
    acme = await tenant(store, "acme")
    made = await extension(store, acme, "1001")
    await create(
        store,
        "did",
        acme,
        number="+12025550101",
        destination={"type": "extension", "id": str(made)},
    )
    await create(store, "switch_node", None, name="fs1", esl_host="10.0.0.5", xml_username="fs1")
    await create(store, "webhook", acme, url="https://example.com/")
    follower = await Follower(store, key_value).start()
    await until(lambda: follower.service.from_database)
    assert follower.name("acme.example.test", "1001") == "1001"
    found = follower.snapshot.did("+12025550101")
    assert found is not None
    assert found[0].id == acme
    assert found[1].body == Did.model_validate(found[1].body.model_dump())
    (node,) = follower.snapshot.platform(SwitchNode)
    assert BOX.decrypt(node.secrets["xml_password"], "switch_node", node.id, "xml_password")
    # Whoever holds links to nodes hears of them, and need not be asked again.
    assert follower.changes == [("switch_node", None, node.id, "reloaded")]
    assert {row.resource for row in follower.snapshot.rows()} == {
        "tenant",
        "extension",
        "did",
        "feature_code",
        "switch_node",
        "webhook",  # whose secret signs what servers of tenants are asked during a call
    }
    assert follower.snapshot.revisions() == {acme: 4}
    await until(lambda: follower.service.age_seconds < 20)
    await follower.stop()


async def test_of_a_change_that_is_told_of_only_its_tenant_is_read(
    store: Store, key_value: SingleRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme = await tenant(store, "acme")
    follower = await Follower(store, key_value, poll_seconds=60).start()
    await until(lambda: follower.service.from_database and follower.service._listener.listening)
    await extension(store, acme, "1001")
    await until(lambda: follower.name("acme.example.test", "1001"))
    asked: list[object] = []
    monkeypatch.setattr(stored, "revisions", asked.append)
    await extension(store, acme, "1002")
    await until(lambda: follower.name("acme.example.test", "1002"))
    assert asked == []
    monkeypatch.undo()
    # A change of the platform's is looked for everywhere, whatever else is told meanwhile.
    await create(store, "switch_node", None, name="fs1", esl_host="10.0.0.5", xml_username="fs1")
    await extension(store, acme, "1003")
    await until(lambda: follower.snapshot.platform(SwitchNode))
    await follower.stop()


async def test_changes_that_come_together_are_read_together(
    store: Store, key_value: SingleRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme = await tenant(store, "acme")
    follower = await Follower(store, key_value, poll_seconds=60).start()
    await until(lambda: follower.service.from_database and follower.service._listener.listening)
    reads: list[int] = []
    go_on: Deferred[None] = Deferred()
    changes = stored.changes

    async def held_up(pool: Pool, tenant_id: UUID | None, after: int) -> list[stored.Change]:
        reads.append(after)
        if len(reads) == 1:
            await go_on
        return await changes(pool, tenant_id, after)

    monkeypatch.setattr(stored, "changes", held_up)
    await extension(store, acme, "1001")
    await until(lambda: reads)
    for number in range(1002, 1012):
        await extension(store, acme, str(number))
    go_on.callback(None)
    await until(lambda: follower.name("acme.example.test", "1011"))
    assert len(reads) <= 2
    await follower.stop()


async def test_a_change_arrives_at_once(store: Store, key_value: SingleRedis) -> None:
    acme = await tenant(store, "acme")
    follower = await Follower(store, key_value, poll_seconds=60).start()
    await until(lambda: follower.service._listener.listening)
    made = await extension(store, acme, "1001")
    await until(lambda: follower.changes)
    assert follower.name("acme.example.test", "1001") == "1001"
    assert follower.changes[-1] == ("extension", acme, made, "created")
    await rename(store, acme, made, "Ada")
    await until(lambda: follower.name("acme.example.test", "1001") == "Ada")
    await store.delete(resource("extension"), acme, made, WHO)
    await until(lambda: follower.name("acme.example.test", "1001") is None)
    await until(lambda: follower.changes[-1] == ("extension", acme, made, "deleted"))
    rival = await tenant(store, "rival")
    await until(lambda: follower.snapshot.tenant(rival))
    await store.delete(resource("tenant"), None, rival, WHO)
    await until(lambda: follower.snapshot.tenant(rival) is None)
    await follower.stop()


async def test_a_lost_notification_costs_at_most_one_poll(
    store: Store, pool: Pool, key_value: SingleRedis
) -> None:
    acme = await tenant(store, "acme")
    await pool.execute("alter table changes disable trigger notify_change")
    follower = await Follower(store, key_value, poll_seconds=0.05).start()
    made = await extension(store, acme, "1001")
    await until(lambda: follower.name("acme.example.test", "1001"))
    await rename(store, acme, made, "Ada")
    await until(lambda: follower.name("acme.example.test", "1001") == "Ada")
    await create(store, "switch_node", None, name="fs1", esl_host="10.0.0.5", xml_username="fs1")
    await until(lambda: follower.snapshot.platform(SwitchNode))
    await follower.stop()


async def test_whoever_has_made_a_tenant_can_wait_until_it_is_held(
    store: Store, key_value: SingleRedis
) -> None:
    follower = await Follower(store, key_value, poll_seconds=3600.0).start()
    await until(lambda: follower.service._listener.listening)
    # Nobody tells of it: being asked makes it look.
    await store.primary.execute("alter table changes disable trigger notify_change")
    acme = await tenant(store, "acme")
    assert follower.snapshot.tenant(acme) is None
    assert await follower.service.holds(acme)
    assert follower.snapshot.tenant(acme) is not None
    assert not await follower.service.holds(UUID(int=1), seconds=0.05)
    waiting = Deferred.fromCoroutine(follower.service.holds(UUID(int=1), seconds=60.0))
    await follower.stop()
    assert await waiting is False


async def test_a_feed_that_was_cut_is_made_up_for_by_the_whole_tenant(
    store: Store, pool: Pool, key_value: SingleRedis
) -> None:
    acme = await tenant(store, "acme")
    first = await extension(store, acme, "1001")
    follower = await Follower(store, key_value, poll_seconds=0.05).start()
    await until(lambda: follower.service.from_database)
    await pool.execute("alter table changes disable trigger notify_change")
    await pool.execute(
        "with gone as (delete from extensions where id = %s) "
        "update tenants set revision = revision + 5",
        (first,),
    )
    await until(lambda: follower.name("acme.example.test", "1001") is None)
    assert follower.snapshot.revisions() == {acme: 7}
    await follower.stop()


async def test_numbers_that_move_between_objects_are_found_where_they_are(
    store: Store, key_value: SingleRedis
) -> None:
    acme = await tenant(store, "acme")
    first = await extension(store, acme, "1001")
    second = await extension(store, acme, "1002")
    follower = await Follower(store, key_value, poll_seconds=60).start()
    await until(lambda: follower.service._listener.listening)

    async def move(identifier: UUID, number: str) -> None:
        await store.update(
            resource("extension"),
            acme,
            identifier,
            lambda it: Extension.model_validate({**it.body, "number": number}),
            WHO,
        )

    await move(first, "1003")
    await move(second, "1001")
    await until(lambda: follower.name("acme.example.test", "1001") == "1002")
    assert follower.name("acme.example.test", "1003") == "1001"
    assert follower.name("acme.example.test", "1002") is None
    await follower.stop()


# -- without PostgreSQL ---------------------------------------------------------------------------


@pytest_twisted.async_yield_fixture
async def own_postgres(tmp_path: Path) -> AsyncIterator[PrivatePostgres]:
    server = PrivatePostgres(tmp_path / "postgres", durable=False)
    server.start()
    upgrade(server.dsn())
    yield server
    server.stop()


@pytest.mark.time_limit(60)
async def test_without_postgresql_it_starts_from_the_copy_and_catches_up_later(
    own_postgres: PrivatePostgres, key_value: SingleRedis
) -> None:
    pool = Pool(reactor, own_postgres.dsn(), size=2, name="test", wait=0.3)
    await pool.start()
    store = Store(pool, BOX)
    acme = await tenant(store, "acme")
    made = await extension(store, acme, "1001")
    await create(store, "switch_node", None, name="fs1", esl_host="10.0.0.5", xml_username="fs1")
    first = await Follower(store, key_value, poll_seconds=0.05).start()
    await until(lambda: first.service.from_database)
    await rename(store, acme, made, "Ada")
    await until(lambda: first.name("acme.example.test", "1001") == "Ada")
    await until(lambda: first.service.copy.is_whole)

    own_postgres.stop()
    await until(lambda: not pool.available)
    assert first.name("acme.example.test", "1001") == "Ada"
    second = await Follower(store, key_value, poll_seconds=0.05).start()
    assert not second.service.from_database
    assert [it[0] for it in second.changes] == ["switch_node"]
    assert second.name("acme.example.test", "1001") == "Ada"
    assert second.snapshot.revisions() == first.snapshot.revisions()
    (entry,) = second.snapshot.tenant(acme).all(Extension)  # type: ignore[union-attr]
    assert BOX.decrypt(entry.secrets["sip_password"], "extension", made, "sip_password")
    assert 0 < second.service.age_seconds < 60
    await second.stop()
    await first.stop()
    await pool.stop()


async def test_a_feed_that_no_longer_reaches_back_is_made_up_for_by_loading_everything(
    store: Store, key_value: SingleRedis
) -> None:
    follower = await Follower(store, key_value, poll_seconds=0.05).start()
    await until(lambda: follower.service.from_database)

    async def change_without_a_trace(transaction: Transaction) -> None:
        await transaction.execute("update platform_state set revision = revision + 2")
        await transaction.execute(
            "insert into switch_nodes (id, body) values (%s, %s)",
            (new_id(), {"name": "fs9", "esl_host": "10.0.0.9", "xml_username": "fs9"}),
        )

    await store.primary.transaction(change_without_a_trace)
    await until(lambda: [it.body.name for it in follower.snapshot.platform(SwitchNode)] == ["fs9"])
    (node,) = follower.snapshot.platform(SwitchNode)
    await until(lambda: ("switch_node", None, node.id, "reloaded") in follower.changes)
    await follower.stop()


async def test_without_both_it_is_not_ready_until_one_is_back(
    database: str, key_value: SingleRedis
) -> None:
    away = Pool(reactor, "postgresql://x@127.0.0.1:1/x", size=1, name="test", wait=0.05)
    await away.start()
    follower = Follower(Store(away, BOX), key_value, poll_seconds=0.02)
    follower.service.startService()
    await deferLater(reactor, 0.3, lambda: None)
    assert not follower.service.ready
    assert follower.service.age_seconds == float("inf")
    await away.stop()
    away._connections._hosts = Hosts(database)
    await away.start()
    await until(lambda: follower.service.ready)
    await follower.stop()
    await away.stop()


async def test_the_copy_is_mended_after_redis_was_emptied(
    store: Store, key_value: SingleRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nizam.switch.copy_keeper.CHECK_SECONDS", 0.02)
    acme = await tenant(store, "acme")
    follower = await Follower(store, key_value, poll_seconds=0.02).start()
    await key_value.command("FLUSHALL")
    await extension(store, acme, "1001")

    async def copied() -> int:
        return await key_value.hlen(f"nizam:snapshot:{{{acme}}}")

    held = 3 + len(DEFAULTS)  # the tenant, its extension, the revision and its feature codes
    while await copied() != held:
        await deferLater(reactor, 0.01, lambda: None)
    await follower.stop()
