"""What a change does, all at once, and what it refuses."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import attrs
import psycopg2
import pytest
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import LoopingCall

from nizam.errors import (
    Conflict,
    IdempotencyMismatch,
    InUse,
    InvalidTransition,
    NotFound,
    QuotaExceeded,
    ValidationFailed,
    VersionMismatch,
)
from nizam.model.identifiers import new_id
from nizam.model.key_text import is_well_formed, key_hash
from nizam.model.registry import resource
from nizam.store.context import ChangeContext, Idempotency
from nizam.store.pool import Pool
from nizam.store.store import Store
from nizam.store.system.api_keys import create_platform_key
from nizam.store.system.retention import prune_idempotency_keys
from tests.store.conftest import BOX, WHO, Workshop, make_tenant


def to(kind: str, identifier: UUID) -> dict[str, str]:
    return {"type": kind, "id": str(identifier)}


async def test_what_was_made_is_found_with_its_defaults(acme: Workshop) -> None:
    made = await acme.create("extension", number="1001", display_name="Ada")
    found = await acme.get("extension", made.id)
    assert found.body["ring_seconds"] == 25
    assert found.version == 1
    assert found.tenant_id == acme.tenant_id
    assert "sip_password" not in found.shown()
    assert found.shown()["enabled"] is True


async def test_a_change_raises_the_version_and_keeps_what_it_does_not_name(acme: Workshop) -> None:
    made = await acme.create("extension", number="1001", display_name="Ada")
    changed = await acme.change("extension", made.id, display_name="Lovelace")
    assert (changed.version, changed.body["number"]) == (2, "1001")
    assert changed.updated_at > made.updated_at
    assert changed.created_at == made.created_at
    assert changed.secrets == made.secrets


async def test_a_change_that_changes_nothing_is_none(acme: Workshop, pool: Pool) -> None:
    made = await acme.create("extension", number="1001", display_name="Ada")
    before = await pool.query("select revision from tenants")
    assert (await acme.change("extension", made.id, display_name="Ada")).version == 1
    assert await pool.query("select revision from tenants") == before


async def test_a_change_writes_revision_feed_audit_and_event(acme: Workshop, pool: Pool) -> None:
    made = await acme.create(
        "extension", number="1001", display_name="Ada", voicemail={"pin": "4711"}
    )
    await acme.change("extension", made.id, display_name="Lovelace")
    await acme.delete("extension", made.id)
    assert await pool.query(
        "select revision, operation from changes where resource_id = %s order by id", (made.id,)
    ) == [(2, "created"), (3, "updated"), (4, "deleted")]
    assert await pool.query("select revision from tenants") == [(4,)]
    audit = await pool.query(
        "select action, actor_name, address, request_id, before, after from audit_logs "
        "where resource_id = %s order by revision",
        (made.id,),
    )
    assert [row[:4] for row in audit] == [
        (action, "tests", "192.0.2.1", "r1") for action in ("created", "updated", "deleted")
    ]
    assert audit[1][4]["display_name"] == "Ada"
    assert audit[1][5]["display_name"] == "Lovelace"
    assert audit[0][5]["voicemail"]["pin"] == "***"
    assert audit[0][5]["sip_password"] == "***"
    events = await pool.query(
        "select type, data from call_events where tenant_id = %s order by sequence",
        (acme.tenant_id,),
    )
    assert [row[0] for row in events] == [
        "tenant.created",
        "extension.created",
        "extension.updated",
        "extension.deleted",
    ]
    assert events[2][1]["changed"] == ["display_name"]
    assert made.revealed["sip_password"] not in str(events)
    assert "4711" not in str(events)


async def test_a_change_makes_the_deliveries_of_its_event(acme: Workshop, store: Store) -> None:
    told: list[Any] = []
    store.on_deliveries(told.extend)
    hook = await acme.create("webhook", url="https://example.com/", event_types=["extension.*"])
    await acme.create("extension", number="1001", display_name="Ada")
    assert [webhook_id for _, webhook_id in told] == [hook.id]


# -- secrets ------------------------------------------------------------------------------------


async def test_a_missing_password_is_generated_shown_once_and_stored_encrypted(
    acme: Workshop, store: Store, pool: Pool
) -> None:
    made = await acme.create("extension", number="1001", display_name="Ada")
    password = made.revealed["sip_password"]
    assert len(password) == 24
    assert (await acme.get("extension", made.id)).revealed == {}
    assert password not in str(await pool.query("select body, secrets from extensions"))
    it = resource("extension")
    assert await store.reveal(it, acme.tenant_id, made.id, WHO) == {"sip_password": password}
    assert await pool.query("select count(*) from audit_logs where action = 'revealed'") == [(1,)]


async def test_a_password_can_be_changed_and_is_kept_when_not_named(
    acme: Workshop, store: Store
) -> None:
    made = await acme.create("extension", number="1001", display_name="Ada")
    changed = await acme.change("extension", made.id, sip_password="another-password")
    kept = await acme.change("extension", made.id, display_name="X")
    assert changed.version == 2
    assert kept.secrets == changed.secrets
    revealed = await store.reveal(resource("extension"), acme.tenant_id, made.id, WHO)
    assert revealed == {"sip_password": "another-password"}


async def test_a_rotated_webhook_secret_leaves_the_former_one_signing(
    acme: Workshop, store: Store, pool: Pool
) -> None:
    it = resource("webhook")
    made = await acme.create("webhook", url="https://example.com/")
    until = made.created_at.replace(year=2100)
    turned = await store.rotate(
        it, acme.tenant_id, made.id, "secret", until, WHO, lambda stored: stored
    )
    assert turned.revealed["secret"] != made.revealed["secret"]
    rows = await pool.query("select previous_secret, previous_secret_until from webhook_states")
    former, kept_until = rows[0]
    assert BOX.decrypt(former, "webhook", made.id, "secret") == made.revealed["secret"]
    assert kept_until == until


# -- references, numbers, uniqueness --------------------------------------------------------------


async def test_references_must_exist_and_be_the_tenants_own(
    acme: Workshop, rival: Workshop
) -> None:
    foreign = await rival.create("extension", number="1001", display_name="Mallory")
    for identifier in (foreign.id, new_id()):
        with pytest.raises(ValidationFailed) as caught:
            await acme.create(
                "ring_group",
                number="2000",
                name="Sales",
                members=[{"number": "+4930123456"}, {"extension_id": str(identifier)}],
            )
        assert [it.path for it in caught.value.errors] == ["/members/1/extension_id"]


async def test_what_is_referred_to_cannot_be_deleted(acme: Workshop) -> None:
    extension = await acme.create("extension", number="1001", display_name="Ada")
    group = await acme.create(
        "ring_group", number="2000", name="All", members=[{"extension_id": str(extension.id)}]
    )
    with pytest.raises(InUse) as caught:
        await acme.delete("extension", extension.id)
    assert caught.value.extra["referrers"] == [
        {"type": "ring_group", "id": str(group.id), "path": "/members/0/extension_id"}
    ]
    await acme.delete("ring_group", group.id)
    await acme.delete("extension", extension.id)


async def test_a_loop_without_a_person_is_refused(acme: Workshop) -> None:
    extension = await acme.create("extension", number="1001", display_name="Ada")
    day = {"weekdays": ["mon"]}
    first = await acme.create(
        "time_condition",
        name="A",
        rules=[day],
        match_destination=to("extension", extension.id),
        otherwise_destination=to("voicemail", extension.id),
    )
    second = await acme.create(
        "time_condition",
        name="B",
        rules=[day],
        match_destination=to("time_condition", first.id),
        otherwise_destination=to("extension", extension.id),
    )
    with pytest.raises(ValidationFailed, match="go round"):
        await acme.change(
            "time_condition", first.id, match_destination=to("time_condition", second.id)
        )
    # A phone that rings in between is a person.
    await acme.change(
        "extension", extension.id, forward={"no_answer": to("time_condition", second.id)}
    )
    with pytest.raises(ValidationFailed, match="go round"):
        await acme.change(
            "extension", extension.id, forward={"always": to("time_condition", second.id)}
        )


async def test_one_number_belongs_to_one_dialable_object_of_a_tenant(
    acme: Workshop, rival: Workshop
) -> None:
    extension = await acme.create("extension", number="1001", display_name="Ada")
    with pytest.raises(Conflict) as caught:
        await acme.create("ivr", number="1001", name="Menu", greeting_long="ivr/a.wav")
    assert caught.value.errors[0].path == "/number"
    assert caught.value.extra["holder"] == {"type": "extension", "id": str(extension.id)}
    await rival.create("ivr", number="1001", name="Menu", greeting_long="ivr/a.wav")
    await acme.change("extension", extension.id, number="1002")
    await acme.create("ivr", number="1001", name="Menu", greeting_long="ivr/a.wav")


async def test_a_did_exists_once_on_the_platform_and_its_owner_is_not_told(
    acme: Workshop, rival: Workshop
) -> None:
    for tenant in (acme, rival):
        await tenant.create("extension", number="1001", display_name="Ada")
    destination = {"type": "hangup"}
    await rival.create("did", number="+12025550101", destination=destination)
    with pytest.raises(Conflict) as caught:
        await acme.create("did", number="+12025550101", destination=destination)
    assert caught.value.errors[0].path == "/number"
    assert str(rival.tenant_id) not in f"{caught.value.detail}{caught.value.extra}"


async def test_names_that_must_differ_are_refused_by_field(acme: Workshop, store: Store) -> None:
    await acme.create("gateway", name="Carrier", host="sip.example.com")
    with pytest.raises(Conflict) as caught:
        await acme.create("gateway", name="Carrier", host="sip2.example.com")
    assert caught.value.errors[0].path == "/name"
    with pytest.raises(Conflict) as caught:
        await make_tenant(store, "acme", domain="other.example.test")
    assert caught.value.errors[0].path == "/slug"


# -- quota, versions, isolation -------------------------------------------------------------------


async def test_a_quota_holds_even_for_changes_at_the_same_moment(store: Store) -> None:
    small = await make_tenant(store, "small", quotas={"max_extensions": 2})

    async def attempt(number: str) -> bool:
        try:
            await small.create("extension", number=number, display_name="X")
        except QuotaExceeded:
            return False
        return True

    attempts = [Deferred.fromCoroutine(attempt(f"100{n}")) for n in range(4)]
    assert sorted(await gatherResults(attempts)) == [False, False, True, True]


async def test_changes_of_one_tenant_take_few_connections_however_many_wait(
    acme: Workshop, database: str
) -> None:
    """One commits and the next one waits for its lock, while the one before that may be about to
    give its connection back; others find connections free."""
    pool = Pool(reactor, database, size=8, name="test")
    await pool.start()
    acme = attrs.evolve(acme, store=Store(pool, BOX, environment="test"))
    most = 0

    def seen() -> None:
        nonlocal most
        most = max(most, pool.in_use)

    looking = LoopingCall(seen)
    looking.start(0.0)
    made = [acme.create("gateway", name=f"g{number}", host="h") for number in range(20)]
    found = await gatherResults([Deferred.fromCoroutine(it) for it in made])
    looking.stop()
    await pool.stop()
    assert len({it.id for it in found}) == 20
    assert 2 <= most <= 3


async def test_a_change_of_another_version_is_refused(acme: Workshop) -> None:
    made = await acme.create("extension", number="1001", display_name="Ada")
    await acme.change("extension", made.id, versions=frozenset({1}), display_name="B")
    with pytest.raises(VersionMismatch) as caught:
        await acme.change("extension", made.id, versions=frozenset({1}), display_name="C")
    assert caught.value.extra["current_version"] == 2


async def test_another_tenants_object_does_not_exist(acme: Workshop, rival: Workshop) -> None:
    made = await rival.create("extension", number="1001", display_name="Mallory")
    for attempt in (
        acme.get("extension", made.id),
        acme.change("extension", made.id, display_name="X"),
        acme.delete("extension", made.id),
    ):
        with pytest.raises(NotFound):
            await attempt
    assert (await rival.get("extension", made.id)).version == 1


@pytest.mark.parametrize("table", ["extensions", "dids", "resource_references", "changes"])
async def test_without_any_condition_a_tenant_sees_its_own_rows_only(
    table: str, acme: Workshop, rival: Workshop, pool: Pool
) -> None:
    for tenant, number in ((acme, "+12025550101"), (rival, "+12025550102")):
        it = await tenant.create("extension", number="1001", display_name="X")
        await tenant.create("did", number=number, destination=to("extension", it.id))
    seen = await pool.tenant_query(acme.tenant_id, f"select tenant_id from {table}")  # noqa: S608
    assert {row[0] for row in seen} == {acme.tenant_id}
    assert await pool.tenant_query(new_id(), f"select tenant_id from {table}") == []  # noqa: S608


async def test_a_tenant_cannot_write_another_tenants_rows(
    acme: Workshop, rival: Workshop, pool: Pool
) -> None:
    await rival.create("extension", number="1001", display_name="X")
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        await pool.tenant_query(
            acme.tenant_id,
            "insert into extensions (id, tenant_id, body) values (%s, %s, %s)",
            (new_id(), rival.tenant_id, {"number": "6666"}),
        )
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        await pool.tenant_query(acme.tenant_id, "update tenants set body = '{}'")
    await pool.tenant_query(acme.tenant_id, "delete from extensions")
    assert await pool.query("select count(*) from extensions") == [(1,)]


# -- tenants, keys --------------------------------------------------------------------------------


async def test_a_tenant_moves_only_along_its_state_machine(acme: Workshop, store: Store) -> None:
    async def step(command: str) -> str:
        return await store.transition(
            acme.tenant_id, command, WHO, lambda it: str(it.body["status"])
        )

    assert await step("activate") == "active"
    assert await step("suspend") == "suspended"
    assert await step("activate") == "active"
    with pytest.raises(InvalidTransition):
        await step("activate")
    assert await step("terminate") == "terminated"
    with pytest.raises(InvalidTransition):
        await step("activate")
    with pytest.raises(InvalidTransition):
        await acme.create("extension", number="1001", display_name="X")


async def test_the_status_of_a_tenant_is_not_written_by_a_change(
    acme: Workshop, store: Store
) -> None:
    changed = await acme.change("tenant", acme.tenant_id, status="active", name="Acme Inc")
    assert (changed.body["status"], changed.body["name"]) == ("trial", "Acme Inc")


async def test_a_tenant_that_owns_something_cannot_be_deleted(acme: Workshop, pool: Pool) -> None:
    made = await acme.create("extension", number="1001", display_name="Ada")
    with pytest.raises(InUse):
        await acme.delete("tenant", acme.tenant_id)
    await acme.delete("extension", made.id)
    await acme.delete("tenant", acme.tenant_id)
    assert await pool.query(
        "select tenant_id, operation from changes where resource_type = 'tenant' order by id"
    ) == [(acme.tenant_id, "created"), (None, "deleted")]


async def test_an_api_key_is_shown_once_and_found_by_its_hash(
    acme: Workshop, store: Store, pool: Pool
) -> None:
    made = await acme.create(
        "api_key", name="CRM", tenant_id=str(acme.tenant_id), scopes=["extensions:read"]
    )
    key = made.revealed["key"]
    assert key.startswith("nzm_test_")
    assert is_well_formed(key)
    assert key not in str(await pool.query("select * from api_keys"))
    found = await store.find_api_key(key_hash(key))
    assert found is not None
    assert (found.id, found.tenant_id, found.scopes) == (
        made.id,
        acme.tenant_id,
        frozenset({"extensions:read"}),
    )
    await store.touch_api_key(made.id, "192.0.2.9")
    assert (await acme.get("api_key", made.id)).extra["last_used_from"] == "192.0.2.9"
    await acme.change("api_key", made.id, enabled=False)
    assert await store.find_api_key(key_hash(key)) is None
    assert await store.find_api_key(key_hash("nzm_x")) is None


async def test_a_key_for_a_tenant_that_does_not_exist_is_refused(acme: Workshop) -> None:
    with pytest.raises(ValidationFailed) as caught:
        await acme.create("api_key", name="X", tenant_id=str(new_id()), scopes=["*"])
    assert caught.value.errors[0].path == "/tenant_id"


async def test_the_first_key_can_be_made_without_a_key(store: Store, pool: Pool) -> None:
    key = await create_platform_key(pool, "first", 60_000)
    found = await store.find_api_key(key_hash(key))
    assert found is not None
    assert (found.tenant_id, found.rate_limit_per_minute) == (None, 60_000)


# -- idempotency ----------------------------------------------------------------------------------


def once(key: str, request: bytes = b"request") -> ChangeContext:
    return ChangeContext(
        actor_type="api_key",
        actor_name="tests",
        idempotency=Idempotency("owner", key, request, str.encode, bytes.decode),
    )


async def create_once(workshop: Workshop, context: ChangeContext, number: str) -> str:
    it = resource("extension")
    body = it.body.model_validate({"number": number, "display_name": "X"})
    return await workshop.store.create(
        it, workshop.tenant_id, body, context, lambda made: made.revealed["sip_password"]
    )


async def test_a_repeated_request_gets_the_first_answer_and_does_nothing(
    acme: Workshop, pool: Pool
) -> None:
    first = await create_once(acme, once("k"), "1001")
    assert await create_once(acme, once("k"), "1001") == first
    assert await pool.query("select count(*) from extensions") == [(1,)]
    assert first not in str(await pool.query("select answer from idempotency_keys"))


async def test_the_same_request_twice_at_once_is_carried_out_once(
    acme: Workshop, pool: Pool
) -> None:
    running = [Deferred.fromCoroutine(create_once(acme, once("k"), "1001")) for _ in range(3)]
    answers = await gatherResults(running)
    assert len(set(answers)) == 1
    assert await pool.query("select count(*) from extensions") == [(1,)]


async def test_a_key_of_another_request_is_refused(acme: Workshop) -> None:
    await create_once(acme, once("k"), "1001")
    with pytest.raises(IdempotencyMismatch):
        await create_once(acme, once("k", b"other"), "1002")


async def test_a_refused_request_leaves_its_key_free(acme: Workshop) -> None:
    await create_once(acme, once("a"), "1001")
    with pytest.raises(Conflict):
        await create_once(acme, once("b"), "1001")
    await create_once(acme, once("b"), "1002")


async def test_keys_end_after_24_hours(acme: Workshop, pool: Pool) -> None:
    await create_once(acme, once("k"), "1001")
    await pool.execute("update idempotency_keys set created_at = now() - interval '25 hours'")
    await create_once(acme, once("k", b"other"), "1002")
    await pool.execute("update idempotency_keys set created_at = now() - interval '25 hours'")
    await create_once(acme, once("another"), "1003")
    assert await prune_idempotency_keys(pool) == 1
    assert await pool.query("select key from idempotency_keys") == [("another",)]
