"""Dry runs: the same decision as for a call, without rights to look into other tenants."""

from __future__ import annotations

import random
from typing import Any, Literal
from uuid import UUID
from xml.etree import ElementTree

import orjson
import pytest

from nizam.errors import NotFound, ValidationFailed
from nizam.routing.explain import Explanation, explain
from tests.routing.tenants import NOON, identifier, recorded_tenants


def _explain(
    to: str, context: Literal["internal", "public"] = "internal", tenant: str = "acme"
) -> Explanation:
    snapshot = recorded_tenants().snapshot
    return explain(snapshot, identifier(tenant), "1001", to, context, NOON, random.Random(1))


def test_a_dry_run_shows_outcome_trace_plan_and_xml() -> None:
    explanation = _explain("1002")
    document: dict[str, Any] = orjson.loads(orjson.dumps(explanation.document()))
    assert document["outcome"] == "routed"
    assert document["route"] == "extension 1002"
    assert document["summary"] == "ring 1002 for 20s; else answer; voicemail 1002"
    assert document["trace"][2] == {
        "step": "number",
        "result": "matched",
        "detail": "1002 is a number of the tenant",
        "resource": {"type": "extension", "id": str(identifier("acme/1002"))},
    }
    assert document["plan"][-4] == {
        "step": "bridge",
        "legs": [
            {
                "step": "user_leg",
                "number": "1002",
                "domain": "acme.example.test",
                "delay_seconds": 0,
                "confirm": False,
                "auto_answer": False,
            }
        ],
        "order": "together",
        "ring_seconds": 20,
        "continue_on": "always",
        "ignore_early_media": False,
    }
    xml = ElementTree.fromstring(document["xml"])  # noqa: S314 - our own answer
    assert [it.get("data") for it in xml.iter("action") if it.get("application") == "bridge"] == [
        "user/1002@acme.example.test"
    ]


def test_a_dry_run_from_outside() -> None:
    assert _explain("+12025550101", "public").route == "did +12025550101 to extension 1001"


def test_another_tenants_did_is_as_unknown_as_any() -> None:
    theirs, nobodys = _explain("+12025550201", "public"), _explain("+12025559999", "public")
    assert (theirs.outcome, theirs.plan, theirs.xml) == (
        nobodys.outcome,
        nobodys.plan,
        nobodys.xml,
    )


@pytest.mark.parametrize("to", ["", "${x}", "a" * 500, "\x00", "٣"])
def test_nonsense_is_explained_too(to: str) -> None:
    for context in ("internal", "public"):
        assert _explain(to, context).outcome == "not_found"


def test_an_unknown_tenant_is_not_found() -> None:
    with pytest.raises(NotFound):
        explain(
            recorded_tenants().snapshot, UUID(int=1), "1", "2", "internal", NOON, random.Random(1)
        )


@pytest.mark.parametrize("year", [1, 9999])
def test_a_moment_without_local_time_is_refused(year: int) -> None:
    at = NOON.replace(year=year)
    with pytest.raises(ValidationFailed):
        explain(
            recorded_tenants().snapshot,
            identifier("acme"),
            "1001",
            "1002",
            "internal",
            at,
            random.Random(1),
        )
