"""A change of a tenant is served all at once, however long it takes to be taken in."""

from __future__ import annotations

from uuid import UUID

import orjson
import pytest

from nizam.model.extension import Extension
from nizam.model.identifiers import new_id
from nizam.routing.rows import Row
from nizam.routing.snapshot import Snapshot
from nizam.slices import at_once

ACME, RIVAL = new_id(), new_id()
ONE, TWO, NUMBER = new_id(), new_id(), new_id()


def row(kind: str, identifier: UUID, version: int = 1, **fields: object) -> Row:
    owner = None if kind == "tenant" else ACME
    return Row(kind, identifier, owner, version, orjson.dumps(fields))


def tenant(domain: str, version: int = 1) -> Row:
    return row("tenant", ACME, version, name="A", slug="acme", domain=domain)


def extension(identifier: UUID, number: str, version: int = 1) -> Row:
    return row("extension", identifier, version, number=number, display_name=f"v{version}")


def did(number: str, target: UUID, version: int = 1) -> Row:
    destination = {"type": "extension", "id": str(target)}
    return row("did", NUMBER, version, number=number, destination=destination)


@pytest.fixture
def snapshot() -> Snapshot:
    made = Snapshot()
    rows = [tenant("a.example"), extension(ONE, "1001"), did("+12025550101", ONE)]
    at_once(made.change_tenant(ACME, rows, (), 3))
    return made


def shown(snapshot: Snapshot) -> dict[str, object]:
    """What lookups of every kind say."""
    view = snapshot.tenant(ACME)
    assert view is not None
    numbers = {it: view.by_number(it) for it in ("1001", "1002")}
    return {
        "revision": view.revision,
        "domains": {
            it: snapshot.tenant_by_domain(it) is not None for it in ("a.example", "b.example")
        },
        "dids": {it: snapshot.did(it) is not None for it in ("+12025550101", "+12025550102")},
        "numbers": {number: it and it.body.display_name for number, it in numbers.items()},
    }


BEFORE = {
    "revision": 3,
    "domains": {"a.example": True, "b.example": False},
    "dids": {"+12025550101": True, "+12025550102": False},
    "numbers": {"1001": "v1", "1002": None},
}
AFTER = {
    "revision": 4,
    "domains": {"a.example": False, "b.example": True},
    "dids": {"+12025550101": False, "+12025550102": True},
    "numbers": {"1001": "v2", "1002": "v2"},
}


def test_no_lookup_sees_half_of_a_change(snapshot: Snapshot) -> None:
    rows = [
        tenant("b.example", 2),
        extension(ONE, "1002", 2),
        extension(TWO, "1001", 2),
        did("+12025550102", TWO, 2),
    ]
    work = snapshot.change_tenant(ACME, rows, (), 4)
    pieces = 0
    assert shown(snapshot) == BEFORE
    for _ in work:
        assert shown(snapshot) == BEFORE
        pieces += 1
    assert pieces == len(rows)
    assert shown(snapshot) == AFTER


def test_whoever_holds_a_tenant_sees_it_as_it_was(snapshot: Snapshot) -> None:
    held = snapshot.tenant(ACME)
    assert held is not None
    at_once(snapshot.change_tenant(ACME, [extension(ONE, "1001", 2)], (), 4))
    found = held.get(Extension, ONE)
    assert found is not None
    assert (found.body.display_name, held.revision) == ("v1", 3)
    assert shown(snapshot)["numbers"] == {"1001": "v2", "1002": None}


def test_what_is_removed_is_found_by_nothing_any_more(snapshot: Snapshot) -> None:
    gone = [("did", NUMBER), ("extension", ONE), ("extension", TWO)]
    at_once(snapshot.change_tenant(ACME, (), gone, 4))
    assert shown(snapshot)["dids"] == dict.fromkeys(("+12025550101", "+12025550102"), False)
    assert shown(snapshot)["numbers"] == {"1001": None, "1002": None}


def test_an_older_version_changes_nothing(snapshot: Snapshot) -> None:
    at_once(snapshot.change_tenant(ACME, [extension(ONE, "1001", 2)], (), 5))
    at_once(snapshot.change_tenant(ACME, [extension(ONE, "1002", 1)], (), 5))
    assert shown(snapshot)["numbers"] == {"1001": "v2", "1002": None}


def test_a_replaced_tenant_has_nothing_of_what_it_was(snapshot: Snapshot) -> None:
    work = snapshot.replace_tenant(ACME, [tenant("b.example"), extension(TWO, "1002")], 2)
    for _ in work:
        assert shown(snapshot) == BEFORE
    assert shown(snapshot) == {
        "revision": 2,
        "domains": {"a.example": False, "b.example": True},
        "dids": dict.fromkeys(("+12025550101", "+12025550102"), False),
        "numbers": {"1001": None, "1002": "v1"},
    }


def test_a_did_that_another_tenant_has_taken_over_is_theirs(snapshot: Snapshot) -> None:
    theirs = Row("did", new_id(), RIVAL, 1, orjson.dumps({"number": "+12025550101"}))
    home = orjson.dumps({"name": "R", "slug": "rival", "domain": "r.example"})
    at_once(snapshot.change_tenant(RIVAL, [Row("tenant", RIVAL, None, 1, home), theirs], (), 1))
    at_once(snapshot.change_tenant(ACME, (), [("did", NUMBER)], 4))
    assert snapshot._dids["+12025550101"] == (RIVAL, theirs.id)


def test_a_tenant_that_is_gone_leaves_nothing(snapshot: Snapshot) -> None:
    snapshot.tenant(ACME)
    snapshot.remove("tenant", None, ACME)
    assert snapshot.tenant(ACME) is None
    assert snapshot.tenant_by_domain("a.example") is None
    assert snapshot.did("+12025550101") is None
    assert snapshot.counts() == {"tenants": 0, "objects": 0, "decoded": 0}
