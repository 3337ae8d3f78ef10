"""Documents on the database: what is applied is what is exported again, all of it or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

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
