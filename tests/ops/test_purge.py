"""The purge of a terminated tenant: everything goes, and nothing of anybody else."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import attrs
import orjson
import pytest
import pytest_twisted
from twisted.internet.threads import deferToThread

from nizam.errors import (
    Conflict,
    LegalHold,
    MediaUnavailable,
    StorageUnavailable,
    ValidationFailed,
)
from nizam.http.reply import to_json
from nizam.http.sign_ins import SignIns
from nizam.kv.single import SingleRedis
from nizam.media.library import MediaLibrary
from nizam.model.identifiers import new_id
from nizam.model.purge_receipt import receipt_hash
from nizam.model.registry import resource
from nizam.ops.purge import Purge, remove_strays
from nizam.ops.scheduler import Outcome, Turn
from nizam.store.pool import Pool
from nizam.store.receipts import find_receipt
from nizam.store.store import Store
from nizam.store.stored import Stored
from nizam.store.system import purge as stored
from nizam.store.system.leases import LeaseLostError, take_lease
from tests.kv.conftest import key_value
from tests.media.conftest import library, media_root
from tests.ops.conftest import turn_of
from tests.store.conftest import WHO, Workshop, make_tenant
from tests.store.filling import fill_tables, rows_of, tables_that_name, without_tenant
from tests.store.test_audit import verify

__all__ = ["key_value", "library", "media_root"]

PLATFORM_RECORDS = {"purge_receipts", "audit_logs", "changes", "call_events"}
AUDIO = {
    "format": "wav",
    "sample_rate": 8000,
    "channels": 1,
    "seconds": 1.0,
    "bytes": 16044,
    "sha256": "0" * 64,
    "source_format": "wav",
    "source_sample_rate": 8000,
    "source_channels": 1,
}


@attrs.define
class Yard:
    """The task with all that it works on."""

    pool: Pool
    store: Store
    purge: Purge
    sign_ins: SignIns
    holder: str = "one"

    async def turn(self, holder: str = "one") -> Turn:
        """A turn of this instance, which takes the lease if it has to."""
        await self.pool.execute(
            "update leases set expires_at = now() where holder <> %s", (holder,)
        )
        lease = await take_lease(self.pool, "scheduler", holder, 60)
        assert lease is not None
        return turn_of(self.pool, lease)

    async def run(self) -> Outcome:
        return await self.purge(await self.turn())

    async def terminate(self, tenant: Workshop, grace: timedelta = timedelta()) -> None:
        await self.store.transition(tenant.tenant_id, "terminate", WHO, lambda it: it, grace)

    async def receipt(self, tenant: Workshop) -> dict[str, Any] | None:
        """As the API shows it."""
        found = await find_receipt(self.pool, tenant.tenant_id)
        return None if found is None else orjson.loads(to_json(found))

    async def make_user(self, email: str, *tenants: Workshop) -> Stored:
        user = resource("user")
        memberships = [{"tenant_id": str(it.tenant_id), "role": "agent"} for it in tenants]
        body = user.body.model_validate({"email": email, "name": "X", "memberships": memberships})
        return await self.store.create(user, None, body, WHO, lambda it: it)


@pytest_twisted.async_yield_fixture
async def yard(
    pool: Pool, store: Store, key_value: SingleRedis, library: MediaLibrary
) -> AsyncIterator[Yard]:
    sign_ins = SignIns(key_value, lambda: datetime.now(UTC))
    purge = Purge(store, library, key_value, sign_ins.revoke_all)
    yield Yard(pool, store, purge, sign_ins)


async def sign_in(yard: Yard, user: Stored) -> str:
    text, _ = await yard.sign_ins.begin(
        "token",
        user.id,
        b"credential",
        name="t",
        address="192.0.2.1",
        user_agent="",
        expires_at=datetime.now(UTC) + timedelta(days=1),
    )
    return text


def files_below(root: Path) -> list[Path]:
    return [it.relative_to(root) for it in root.rglob("*") if it.is_file()]


def put_file(root: Path, tenant: Workshop, name: str) -> Path:
    file = root / str(tenant.tenant_id) / "prompts" / str(new_id()) / name
    file.parent.mkdir(parents=True)
    file.write_bytes(b"RIFF")
    return file


async def furnish(tenant: Workshop) -> None:
    """Objects as the API makes them."""
    desk = await tenant.create("extension", number="1001", display_name="Ada")
    await tenant.create(
        "did", number="+12025550101", destination={"type": "extension", "id": str(desk.id)}
    )
    await tenant.create("webhook", url="https://example.com/", event_types=["*"])


# -- what goes, and what stays --------------------------------------------------------------------


def test_every_table_belongs_to_tenants_or_is_known_not_to() -> None:
    """A new table without a `tenant_id` has its line here: nothing of a tenant may be in it."""
    assert without_tenant() == {
        "acls",
        "backups",
        "leases",
        "log_readers",
        "voicemail_sweeps",
        "platform_state",
        "scheduled_tasks",
        "secret_keys",
        "sip_profiles",
        "switch_nodes",
        "tenants",  # the tenant itself goes last
        "users",  # those who belong to no other tenant go
    }


async def test_a_purge_leaves_nothing_of_the_tenant_and_all_of_the_others(
    yard: Yard,
    acme: Workshop,
    rival: Workshop,
    key_value: SingleRedis,
    media_root: Path,
    database: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stored, "SLICE", 2)
    await furnish(acme)
    for tenant in (acme, rival):
        await fill_tables(yard.pool, tenant.tenant_id, 3)
        await key_value.set(f"nizam:snapshot:{{{tenant.tenant_id}}}", b"copy")
        put_file(media_root, tenant, "a.wav")
        put_file(media_root, tenant, "b.wav")
    only, both = await yard.make_user("o@a.com", acme), await yard.make_user("b@a.com", acme, rival)
    signed_in = [await sign_in(yard, only), await sign_in(yard, both)]
    await yard.terminate(acme)
    before = {name: len(rows) for name, rows in (await rows_of(yard.pool, acme.tenant_id)).items()}
    others = await rows_of(yard.pool, rival.tenant_id)
    assert all(before[name] for name in stored.tenant_tables())

    outcome = await yard.run()
    assert not outcome.more
    left = await rows_of(yard.pool, acme.tenant_id)
    assert [name for name, rows in left.items() if rows] == ["purge_receipts"]
    # The platform's own: that there was the tenant, and a user whom it shared with another.
    assert await tables_that_name(yard.pool, str(acme.tenant_id)) == PLATFORM_RECORDS
    assert await tables_that_name(yard.pool, "o@a.com") == set()
    now = await rows_of(yard.pool, rival.tenant_id)
    # That a user has left a tenant is for the platform to know, and not for the tenants left.
    assert now == others
    memberships = await yard.pool.query("select body ->> 'email', body -> 'memberships' from users")
    assert memberships == [("b@a.com", [{"tenant_id": str(rival.tenant_id), "role": "agent"}])]
    assert [bool(await yard.sign_ins.find(it)) for it in signed_in] == [False, True]
    assert await key_value.scan(f"*{acme.tenant_id}*") == []
    assert len(await key_value.scan(f"*{rival.tenant_id}*")) == 1
    files = files_below(media_root)
    assert [it.parts[0] for it in files] == [str(rival.tenant_id)] * 2
    assert (await verify(database)).exit_code == 0


async def test_the_receipt_says_what_was_removed_and_can_be_verified(
    yard: Yard, acme: Workshop, media_root: Path
) -> None:
    await furnish(acme)
    made = await fill_tables(yard.pool, acme.tenant_id, 2)
    put_file(media_root, acme, "a.wav")
    user = await yard.make_user("o@a.com", acme)
    await sign_in(yard, user)
    await yard.terminate(acme)
    assert await yard.receipt(acme) is None
    await yard.run()
    receipt = await yard.receipt(acme)
    assert receipt is not None
    assert (receipt["slug"], receipt["domain"]) == ("acme", "acme.example.test")
    assert (receipt["terminated_by"], receipt["purged_by"]) == ("tests", "one")
    assert receipt["terminated_at"] <= receipt["started_at"] <= receipt["purged_at"]
    counts = Counter(receipt["counts"])
    assert not Counter(made) - counts
    assert counts["extensions"] == made["extensions"] + 1
    assert [counts[it] for it in ("files", "users", "redis_keys", "tenants")] == [1, 1, 1, 1]
    # Created, three objects, the user and its end, terminated.
    assert counts["audit_logs"] == 7
    assert len(receipt["audit_head"]) == 64
    assert receipt_hash(receipt) == receipt["hash"]
    forged = {**receipt, "counts": {**receipt["counts"], "extensions": 1}}
    assert receipt_hash(forged) != receipt["hash"]
    # The chain of the platform says so too, and that chain is verified.
    ((action, after),) = await yard.pool.query(
        "select action, after from audit_logs where tenant_id is null and resource_id = %s",
        (acme.tenant_id,),
    )
    assert action == "purged"
    assert after == {"hash": receipt["hash"], "receipt_id": receipt["id"]}


def test_the_hash_of_a_receipt_is_that_of_its_canonical_json() -> None:
    receipt = {"id": "x", "slug": "ü&<'", "counts": {"b": 1, "a": 2}, "by": None, "hash": "y"}
    canonical = """{"by":null,"counts":{"a":2,"b":1},"slug":"ü&<'"}"""
    assert receipt_hash(receipt) == hashlib.sha256(canonical.encode()).hexdigest()


# -- when -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [[], ["activate"], ["activate", "suspend"]])
async def test_only_terminated_tenants_are_purged(
    yard: Yard, acme: Workshop, steps: list[str]
) -> None:
    for step in steps:
        await yard.store.transition(acme.tenant_id, step, WHO, lambda it: it)
    await yard.pool.execute("update tenants set purge_at = now() - interval '1 day'")
    assert await yard.run() == Outcome()
    assert await yard.pool.query("select count(*) from tenants") == [(1,)]


async def test_nothing_is_purged_before_its_grace_is_over(yard: Yard, acme: Workshop) -> None:
    await furnish(acme)
    await yard.terminate(acme, timedelta(days=30))
    before = await rows_of(yard.pool, acme.tenant_id)
    assert await yard.run() == Outcome()
    assert await rows_of(yard.pool, acme.tenant_id) == before
    await yard.pool.execute("update tenants set purge_at = purge_at - interval '30 days'")
    assert (await yard.run()).removed > 0
    assert await yard.receipt(acme) is not None


async def test_names_and_numbers_are_free_when_the_purge_has_ended(
    yard: Yard, acme: Workshop, store: Store
) -> None:
    await furnish(acme)
    await yard.terminate(acme)
    with pytest.raises(Conflict):
        await make_tenant(store, "acme")
    await yard.run()
    again = await make_tenant(store, "acme")
    await furnish(again)
    assert again.tenant_id != acme.tenant_id


async def test_nobody_new_belongs_to_a_terminated_tenant(yard: Yard, acme: Workshop) -> None:
    await yard.terminate(acme, timedelta(days=1))
    with pytest.raises(ValidationFailed):
        await yard.make_user("new@a.com", acme)


# -- in the middle --------------------------------------------------------------------------------


@pytest.mark.parametrize("looks", [1, 4, 9, 20, 60])
async def test_a_purge_that_was_stopped_goes_on_where_it_was(
    yard: Yard, acme: Workshop, looks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each turn is over after so many looks at the time, and each is another instance's."""
    monkeypatch.setattr(stored, "SLICE", 1)
    await furnish(acme)
    made = await fill_tables(yard.pool, acme.tenant_id, 2)
    await yard.make_user("o@a.com", acme)
    await yard.terminate(acme)
    turns = removed = 0
    while True:
        turn = await yard.turn(f"instance {turns}")
        left = [looks + turns]

        def leads(left: list[int] = left) -> bool:
            left[0] -= 1
            return left[0] >= 0

        turn.leads = leads
        outcome = await yard.purge(turn)
        turns += 1
        removed += outcome.removed
        if not outcome.more:
            break
        assert await yard.receipt(acme) is None
    assert turns > 1
    receipt = await yard.receipt(acme)
    assert receipt is not None
    assert receipt_hash(receipt) == receipt["hash"]
    counts = Counter(receipt["counts"])
    assert not Counter(made) - counts
    assert sum(counts.values()) >= removed > sum(made.values())


async def test_an_instance_that_lost_the_lead_in_the_middle_removes_nothing_more(
    yard: Yard, acme: Workshop
) -> None:
    await furnish(acme)
    await yard.terminate(acme)
    former = await yard.turn("one")
    await stored.begin_purge(former, acme.tenant_id)
    await yard.turn("two")
    before = await rows_of(yard.pool, acme.tenant_id)
    with pytest.raises(LeaseLostError):
        await yard.purge(former)
    assert await rows_of(yard.pool, acme.tenant_id) == before


async def test_a_slice_and_its_count_are_there_together_or_not_at_all(
    yard: Yard, acme: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process is killed after a slice was removed, before its transaction has ended."""
    await fill_tables(yard.pool, acme.tenant_id, 2)
    await yard.terminate(acme)
    counted = stored.counted

    def killed(tenant_id: UUID, what: str, count: int) -> Any:
        if what == "call_events":
            raise RuntimeError("killed")
        return counted(tenant_id, what, count)

    monkeypatch.setattr(stored, "counted", killed)
    with pytest.raises(RuntimeError):
        await yard.run()
    left = await rows_of(yard.pool, acme.tenant_id)
    assert len(left["call_events"]) > 2
    monkeypatch.setattr(stored, "counted", counted)
    await yard.run()
    receipt = await yard.receipt(acme)
    assert receipt is not None
    assert receipt["counts"]["call_events"] == len(left["call_events"])


async def prompt(yard: Yard, tenant: Workshop) -> str:
    made = await tenant.create("prompt", name="Welcome")
    await yard.pool.execute(
        "update prompts set body = body || jsonb_build_object('audio', %s::jsonb) where id = %s",
        (json.dumps(AUDIO), made.id),
    )
    return "prompts"


async def music_on_hold(yard: Yard, tenant: Workshop) -> str:
    made = await tenant.create("music_on_hold", name="Piano")
    await yard.pool.execute(
        "update music_on_hold set body = body || jsonb_build_object('files', %s::jsonb)"
        " where id = %s",
        (json.dumps([AUDIO | {"id": str(new_id()), "name": "a.wav"}]), made.id),
    )
    return "music_on_hold"


async def recording(yard: Yard, tenant: Workshop, object_key: str | None = None) -> str:
    await yard.pool.execute(
        "insert into recordings (tenant_id, path, started_at, told_at, core_id, sequence,"
        " object_key, is_local) values (%s, 'a.wav', now(), now(), 'core', 1, %s, %s)",
        (tenant.tenant_id, object_key, object_key is None),
    )
    return "recordings"


async def message(yard: Yard, tenant: Workshop) -> str:
    await yard.pool.execute(
        "insert into voicemail_messages (id, tenant_id, mailbox, domain, path, file, folder,"
        " received_at) values (%s, %s, '1001', 'acme.example.test', 'a', 'a', 'inbox', now())",
        (new_id(), tenant.tenant_id),
    )
    return "voicemail_messages"


@pytest.mark.parametrize("furnish", [prompt, music_on_hold, recording, message])
async def test_a_tenant_whose_files_cannot_be_reached_waits_and_the_others_do_not(
    yard: Yard,
    acme: Workshop,
    rival: Workshop,
    media_root: Path,
    furnish: Callable[[Yard, Workshop], Awaitable[str]],
) -> None:
    table = await furnish(yard, acme)
    for tenant in (acme, rival):
        await yard.terminate(tenant)
    await deferToThread(media_root.rmdir)
    with pytest.raises(MediaUnavailable):
        await yard.run()
    assert await yard.receipt(acme) is None
    assert await yard.receipt(rival) is not None
    assert len((await rows_of(yard.pool, acme.tenant_id))[table]) == 1
    await deferToThread(media_root.mkdir)
    await yard.run()
    assert await yard.receipt(acme) is not None


async def test_recordings_in_an_object_storage_that_nobody_names_any_more_are_not_forgotten(
    yard: Yard, acme: Workshop, rival: Workshop
) -> None:
    await recording(yard, acme, object_key="acme/a.wav")
    for tenant in (acme, rival):
        await yard.terminate(tenant)
    with pytest.raises(StorageUnavailable):
        await yard.run()
    assert await yard.receipt(acme) is None
    assert await yard.receipt(rival) is not None
    assert len((await rows_of(yard.pool, acme.tenant_id))["recordings"]) == 1


# -- afterwards -----------------------------------------------------------------------------------


async def test_what_comes_of_a_purged_tenant_later_goes_too(
    yard: Yard, acme: Workshop, rival: Workshop
) -> None:
    await yard.terminate(acme)
    await yard.run()
    receipt = await yard.receipt(acme)
    for tenant in (acme, rival):
        await fill_tables(yard.pool, tenant.tenant_id)
    others = await rows_of(yard.pool, rival.tenant_id)
    outcome = await remove_strays(await yard.turn())
    assert outcome.removed == len(stored.tenant_tables())
    left = await rows_of(yard.pool, acme.tenant_id)
    assert [name for name, rows in left.items() if rows] == ["purge_receipts"]
    assert await rows_of(yard.pool, rival.tenant_id) == others
    assert await yard.receipt(acme) == receipt
    assert await remove_strays(await yard.turn()) == Outcome()


async def test_a_tenant_with_recordings_under_legal_hold_waits(yard: Yard, acme: Workshop) -> None:
    await yard.pool.execute(
        "insert into recordings (tenant_id, path, state, legal_hold, started_at, told_at, core_id,"
        " sequence) values (%s, 'x', 'available', true, now(), now(), 'core', 1)",
        (acme.tenant_id,),
    )
    await yard.terminate(acme)
    with pytest.raises(LegalHold, match="1 recordings"):
        await yard.run()
    assert await yard.receipt(acme) is None
    await yard.pool.execute("update recordings set legal_hold = false")
    await yard.run()
    assert await yard.receipt(acme) is not None
