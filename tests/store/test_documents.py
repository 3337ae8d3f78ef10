"""Documents on the database: what is applied is what is exported again, all of it or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from twisted.internet.defer import Deferred, gatherResults

from nizam.errors import (
    Conflict,
    DatabaseUnavailable,
    FieldError,
    InvalidTransition,
    NotFound,
    ValidationFailed,
    VersionMismatch,
)
from nizam.store.document_results import Applied
from nizam.store.documents import Documents
from nizam.store.revisions import prune_revisions
from nizam.store.store import Store
from tests.store.conftest import WHO, Workshop

DOCUMENT: Mapping[str, Any] = {
    "format": 1,
    "tenant": {"time_zone": "Europe/Berlin", "dialling": {"international": True}},
    "extensions": [
        {"number": "1001", "display_name": "Ada", "sip_password": "correct-horse-1"},
        {
            "number": "1002",
            "display_name": "Grace",
            "forward": {"no_answer": {"type": "voicemail", "id": "1001"}},
        },
    ],
    "gateways": [{"name": "Carrier", "host": "sip.example.test", "password": "s3cret"}],
    "outbound_routes": [
        {
            "name": "All",
            "patterns": ["+."],
            "gateways": [{"gateway_id": "Carrier"}],
            "time_condition_id": "Office#2",
        }
    ],
    "ring_groups": [
        {
            "number": "2000",
            "name": "Sales",
            "members": [{"extension_id": "1001"}, {"number": "+49301234567"}],
        }
    ],
    "time_conditions": [
        {
            "name": "Office",
            "match_destination": {"type": "ring_group", "id": "2000"},
            "otherwise_destination": {"type": "hangup"},
        },
        {
            "name": "Office",
            "match_destination": {"type": "time_condition", "id": "Office"},
            "otherwise_destination": {"type": "external", "number": "+49307654321"},
        },
    ],
}


def _documents(store: Store) -> Documents:
    return Documents(store)


async def _apply(documents: Documents, tenant: Workshop, document: Any, **more: Any) -> Applied:
    return await documents.apply(
        tenant.tenant_id, document, WHO, lambda it: it, permit=lambda plan: None, **more
    )


async def _export(documents: Documents, tenant: Workshop, **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(
        (await documents.export(tenant.tenant_id, WHO, **more)).content
    )
    return found


async def test_an_exported_document_makes_an_empty_tenant_the_same(
    store: Store, acme: Workshop, rival: Workshop
) -> None:
    documents = _documents(store)
    await _apply(documents, acme, DOCUMENT)
    exported = await _export(documents, acme, reveal=True)
    await _apply(documents, rival, exported, prune=True)
    assert await _export(documents, rival, reveal=True) == exported
    extensions = {it["number"]: it for it in exported["extensions"]}
    assert extensions["1001"]["sip_password"] == "correct-horse-1"
    assert extensions["1002"]["forward"] == {"no_answer": {"type": "voicemail", "id": "1001"}}
    assert exported["outbound_routes"][0]["time_condition_id"] == "Office#2"


async def test_applying_twice_changes_nothing_the_second_time(store: Store, acme: Workshop) -> None:
    documents = _documents(store)
    first = await _apply(documents, acme, DOCUMENT)
    second = await _apply(documents, acme, DOCUMENT)
    assert len(first.plan.changes) == 8
    assert (second.plan.changes, second.revision) == ((), first.revision)


async def test_what_is_there_already_can_be_left_alone(store: Store, acme: Workshop) -> None:
    documents = _documents(store)
    await _apply(documents, acme, DOCUMENT)
    more = {
        "extensions": [
            {"number": "1001", "display_name": "Somebody else"},
            {"number": "1003", "display_name": "Alan"},
        ]
    }
    applied = await _apply(documents, acme, more, treatment="skip")
    assert [it.key for it in applied.plan.changes] == ["1003"]
    extensions = (await _export(documents, acme))["extensions"]
    assert [it["display_name"] for it in extensions] == ["Ada", "Grace", "Alan"]


async def test_faults_are_raised_with_wrong_fields_and_with_what_objects_are_together(
    store: Store, acme: Workshop
) -> None:
    documents = _documents(store)
    await _apply(documents, acme, DOCUMENT)
    document = {
        "extensions": [
            {"number": "2000", "display_name": "The number of a ring group"},
            {"number": "1004", "display_name": "", "ring_seconds": 1},
        ]
    }
    with pytest.raises(ValidationFailed) as caught:
        await _apply(documents, acme, document, faults=[FieldError("/extensions/7", "nul", "NUL")])
    assert {(it.path, it.code) for it in caught.value.errors} == {
        ("/extensions/7", "nul"),
        ("/extensions/0/number", "taken"),
        ("/extensions/1/display_name", "string_too_short"),
        ("/extensions/1/ring_seconds", "greater_than_equal"),
    }
    assert len((await _export(documents, acme))["extensions"]) == 2


async def _secrets(documents: Documents, tenant: Workshop) -> dict[str, Any]:
    exported = await _export(documents, tenant, reveal=True)
    return {
        "extensions": {it["number"]: it["sip_password"] for it in exported["extensions"]},
        "gateways": {it["name"]: it.get("password") for it in exported["gateways"]},
    }


async def _roll_back(documents: Documents, tenant: Workshop, revision: int) -> Applied:
    return await documents.roll_back(
        tenant.tenant_id,
        revision,
        WHO,
        lambda it: it,
        permit=lambda plan: None,
        with_tenant=False,
    )


async def test_an_export_without_secrets_applied_back_keeps_them(
    store: Store, acme: Workshop
) -> None:
    documents = _documents(store)
    await _apply(documents, acme, DOCUMENT)
    before = await _secrets(documents, acme)
    again = await _apply(documents, acme, await _export(documents, acme), prune=True)
    assert again.plan.changes == ()
    assert await _secrets(documents, acme) == before


async def test_the_ids_of_another_tenant_are_not_found(
    store: Store, acme: Workshop, rival: Workshop
) -> None:
    documents = _documents(store)
    theirs = await rival.create("extension", number="1001", display_name="Theirs")
    document = {
        "dids": [
            {
                "number": "+12025550101",
                "destination": {"type": "extension", "id": str(theirs.id)},
            }
        ]
    }
    with pytest.raises(ValidationFailed) as caught:
        await _apply(documents, acme, document)
    assert [(it.path, it.code) for it in caught.value.errors] == [
        ("/dids/0/destination/id", "not_found")
    ]
    with pytest.raises(ValidationFailed):
        await documents.plan(acme.tenant_id, document)


async def test_what_is_unique_among_all_tenants_is_so_for_documents_too(
    store: Store, acme: Workshop, rival: Workshop
) -> None:
    documents = _documents(store)
    taken = {"dids": [{"number": "+12025550101", "destination": {"type": "hangup"}}]}
    await _apply(documents, rival, taken)
    for doing in (
        lambda: _apply(documents, acme, taken),
        lambda: documents.plan(acme.tenant_id, taken),
    ):
        with pytest.raises(Conflict) as caught:
            await doing()
        assert [(it.path, it.code) for it in caught.value.errors] == [("/dids/0/number", "taken")]


async def test_objects_exchange_unique_fields_in_one_change(store: Store, acme: Workshop) -> None:
    documents = _documents(store)
    first = await acme.create("prompt", name="Welcome")
    second = await acme.create("prompt", name="Goodbye")
    revision = await documents.revision(acme.tenant_id)
    await acme.change("prompt", first.id, name="Other")
    await acme.change("prompt", second.id, name="Welcome")
    await acme.change("prompt", first.id, name="Goodbye")
    await _roll_back(documents, acme, revision)
    names = [(await acme.get("prompt", it.id)).body["name"] for it in (first, second)]
    assert names == ["Welcome", "Goodbye"]


async def test_of_two_documents_at_once_each_is_applied_as_a_whole(
    store: Store, acme: Workshop
) -> None:
    documents = _documents(store)
    numbers = [str(it) for it in range(1001, 1041)]

    async def apply(name: str) -> None:
        extensions = [{"number": it, "display_name": name} for it in numbers]
        await _apply(documents, acme, {"extensions": extensions})

    names = ("A", "B", "C")
    await gatherResults([Deferred.fromCoroutine(apply(it)) for it in names])
    exported = await _export(documents, acme)
    [name] = {it["display_name"] for it in exported["extensions"]}
    assert name in names
    assert [it["number"] for it in exported["extensions"]] == numbers


async def test_an_apply_for_a_revision_that_has_passed_is_refused(
    store: Store, acme: Workshop
) -> None:
    documents = _documents(store)
    revision = (await _apply(documents, acme, DOCUMENT)).revision
    await acme.create("extension", number="1009", display_name="Between")
    with pytest.raises(VersionMismatch) as caught:
        await _apply(documents, acme, DOCUMENT, prune=True, versions=frozenset({revision}))
    assert caught.value.extra["current_version"] == revision + 1
    assert len((await _export(documents, acme))["extensions"]) == 3


async def test_a_rollback_brings_back_what_was_deleted_with_id_and_secrets(
    store: Store, acme: Workshop
) -> None:
    documents = _documents(store)
    revision = (await _apply(documents, acme, DOCUMENT)).revision
    secrets, before = await _secrets(documents, acme), await _export(documents, acme)
    [gateway] = await store.primary.query("select id from gateways")
    nothing: dict[str, Any] = {name: [] for name, it in DOCUMENT.items() if isinstance(it, list)}
    await _apply(documents, acme, nothing, prune=True)
    gone = await documents.revision(acme.tenant_id)
    assert (await _export(documents, acme))["extensions"] == []
    await _roll_back(documents, acme, revision)
    assert await _secrets(documents, acme) == secrets
    assert await _export(documents, acme) == before
    assert await store.primary.query("select id, version from gateways") == [(*gateway, 2)]
    await _roll_back(documents, acme, gone)
    assert (await _export(documents, acme))["extensions"] == []


async def test_a_rollback_is_told_to_followers_and_written_down(
    store: Store, acme: Workshop
) -> None:
    documents = _documents(store)
    made = await acme.create("extension", number="1001", display_name="Ada")
    start = await documents.revision(acme.tenant_id)
    await acme.change("extension", made.id, display_name="Else")
    done = await _roll_back(documents, acme, start)
    feed = await store.primary.query(
        "select operation, resource_id from changes where tenant_id = %s and revision = %s",
        (acme.tenant_id, done.revision),
    )
    assert feed == [("updated", made.id)]
    audited = await store.primary.query(
        "select action from audit_logs where tenant_id = %s order by sequence desc limit 2",
        (acme.tenant_id,),
    )
    assert {it for (it,) in audited} == {"updated", "rolled_back"}


async def test_what_a_rollback_would_name_that_is_gone_is_named(
    store: Store, acme: Workshop, rival: Workshop
) -> None:
    documents = _documents(store)
    number = {"number": "+12025550101", "destination": {"type": "hangup"}}
    revision = (await _apply(documents, acme, {"dids": [number]})).revision
    await _apply(documents, acme, {"dids": []}, prune=True)
    await _apply(documents, rival, {"dids": [number]})
    with pytest.raises(Conflict) as caught:
        await _roll_back(documents, acme, revision)
    assert [it.path for it in caught.value.errors] == ["/dids/+12025550101/number"]


async def test_old_revisions_are_forgotten_and_what_was_then_can_still_be_restored(
    store: Store, acme: Workshop
) -> None:
    documents = _documents(store)
    made = await acme.create("extension", number="1001", display_name="1")
    await acme.change("extension", made.id, display_name="2")
    kept = await documents.revision(acme.tenant_id)
    await store.primary.execute("update revisions set created_at = now() - interval '2 days'")
    await acme.change("extension", made.id, display_name="3")
    before = datetime.now(UTC) - timedelta(days=1)
    assert await prune_revisions(store.primary, before) == (kept - 1, 1)
    assert await prune_revisions(store.primary, before) == (0, 0)
    with pytest.raises(NotFound):
        await _roll_back(documents, acme, kept - 1)
    await _roll_back(documents, acme, kept)
    assert (await acme.get("extension", made.id)).body["display_name"] == "2"


async def test_a_terminated_tenant_is_changed_no_more(store: Store, acme: Workshop) -> None:
    documents = _documents(store)
    await store.transition(acme.tenant_id, "terminate", WHO, lambda it: it)
    with pytest.raises(InvalidTransition):
        await _apply(documents, acme, DOCUMENT)
    assert (await _export(documents, acme))["extensions"] == []


async def test_one_large_piece_of_work_at_a_time(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nizam.store.documents.TURN_SECONDS", 0.05)
    documents = _documents(store)
    async with documents.turn():
        with pytest.raises(DatabaseUnavailable):
            async with documents.turn():
                raise AssertionError
    async with documents.turn():
        pass
