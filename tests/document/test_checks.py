"""What objects must be together: each number once, nothing that points nowhere, no circles."""

from __future__ import annotations

from typing import Any

import pytest

from nizam.document.checks import Edge, check_together
from nizam.slices import at_once
from tests.document.tenants import Tenant


def extension(number: str, **more: Any) -> dict[str, Any]:
    return {"number": number, "display_name": number, **more}


def group(number: str, *members: str, **more: Any) -> dict[str, Any]:
    return {"number": number, "name": number, "members": [{"extension_id": it} for it in members],
            **more}  # fmt: skip


def always(kind: str, key: str) -> dict[str, Any]:
    return {"forward": {"always": {"type": kind, "id": key}}}


PRESENT = {
    "extensions": [extension("1001"), extension("1002")],
    "ring_groups": [group("2000", "1001", "1002")],
}


@pytest.mark.parametrize(
    ("document", "options", "faults"),
    [
        ({"extensions": [extension("1003")]}, {}, set()),
        ({"extensions": [extension("2000")]}, {}, {("/extensions/0/number", "taken")}),
        ({"extensions": [extension("1003"), extension("1003")]}, {},
         {("/extensions/1/number", "taken")}),
        ({"extensions": [extension("1003")], "ivrs": [
            {"number": "1003", "name": "M", "greeting_long": "a.wav", "entries": []}]}, {},
         {("/ivrs/0/number", "taken")}),
        ({"extensions": [extension("1001")]}, {"prune": True}, {("/extensions", "in_use")}),
        ({"extensions": [extension("1001")], "ring_groups": [group("2000", "1001")]},
         {"prune": True}, set()),
        ({"extensions": [extension("1001", **always("extension", "1001"))]}, {},
         {("/extensions/0/forward/always/id", "loop")}),
        ({"extensions": [extension("1001", **always("extension", "1002")),
                         extension("1002", **always("extension", "1001"))]}, {},
         {("/extensions/0/forward/always/id", "loop"),
          ("/extensions/1/forward/always/id", "loop")}),
        ({"extensions": [extension("1001", **always("extension", "1002"))]}, {}, set()),
    ],
)  # fmt: skip
def test_objects_are_checked_together(
    document: Any, options: Any, faults: set[tuple[str, str]]
) -> None:
    tenant = Tenant()
    tenant.apply(PRESENT)
    plan = tenant.plan(document, **options)
    found = at_once(check_together(tenant.objects, plan.changes, {}, ()))
    assert {(it.path, it.code) for it in found} == faults


def test_everything_that_is_deleted_and_in_use_is_named() -> None:
    tenant = Tenant()
    tenant.apply(PRESENT)
    plan = tenant.plan({"extensions": []}, prune=True)
    found = at_once(check_together(tenant.objects, plan.changes, {}, ()))
    assert len({it.message for it in found}) == 2


def test_numbers_may_change_hands() -> None:
    tenant = Tenant()
    tenant.apply(PRESENT)
    plan = tenant.plan(
        {
            "extensions": [extension("1001"), extension("1003")],
            "ring_groups": [group("1002", "1001")],
        },
        prune=True,
    )
    assert at_once(check_together(tenant.objects, plan.changes, {}, ())) == []


@pytest.mark.parametrize(("limit", "codes"), [(0, set()), (3, set()), (2, {"quota_exceeded"})])
def test_quotas_hold_for_what_will_be(limit: int, codes: set[str]) -> None:
    tenant = Tenant()
    tenant.apply(PRESENT)
    plan = tenant.plan({"extensions": [extension("1003")]})
    quotas = {"max_extensions": limit}
    found = at_once(check_together(tenant.objects, plan.changes, quotas, ()))
    assert {it.code for it in found} == codes


def test_one_that_has_too_many_already_may_still_change_and_delete() -> None:
    tenant = Tenant()
    tenant.apply(PRESENT)
    plan = tenant.plan({"extensions": [extension("1001", ring_seconds=9)]})
    quotas = {"max_extensions": 1}
    assert at_once(check_together(tenant.objects, plan.changes, quotas, ())) == []


def test_a_circle_through_what_stays_is_found_too() -> None:
    tenant = Tenant()
    tenant.apply(PRESENT)
    first, second = (("extension", str(it.id)) for it in tenant.objects["extension"])
    plan = tenant.plan({"extensions": [extension("1001", **always("extension", "1002"))]})
    back: list[Edge] = [(second, first)]
    found = at_once(check_together(tenant.objects, plan.changes, {}, back))
    assert [(it.path, it.code) for it in found] == [("/extensions/0/forward/always/id", "loop")]


@pytest.mark.time_limit(10)
def test_a_chain_of_thousands_is_no_circle_and_takes_no_recursion() -> None:
    numbers = [str(it) for it in range(10_000, 13_000)]
    following = [*numbers[1:], None]
    document = {
        "extensions": [
            extension(it, **(always("extension", onwards) if onwards else {}))
            for it, onwards in zip(numbers, following, strict=True)
        ]
    }
    tenant = Tenant()
    plan = tenant.plan(document)
    assert at_once(check_together({}, plan.changes, {}, ())) == []
    document["extensions"][-1] |= always("extension", numbers[0])
    plan = tenant.plan(document)
    assert len(at_once(check_together({}, plan.changes, {}, ()))) == len(numbers)
