"""Documents on the database: what is applied is what is exported again, all of it or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
import pytest

from nizam.errors import FieldError, ValidationFailed
from nizam.store.documents import Applied, Documents
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
