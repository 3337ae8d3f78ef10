"""What this NIZAM cannot read, such as what an older one has stored, costs nothing else."""

from __future__ import annotations

import orjson

from nizam.routing.rows import Row
from tests.routing.tenants import Tenants, identifier


def test_an_object_that_cannot_be_read_is_not_there_and_all_others_are() -> None:
    tenants = Tenants()
    tenants.tenant("acme")
    tenants.extension("acme/1001")
    tenants.extension("acme/1002")
    for kind, number in (("ring_group", "2000"), ("blocked_number", "x")):
        body = orjson.dumps({"number": number, "of": "another version"})
        name = identifier(f"acme/{number}")
        tenants.snapshot.put(Row(kind, name, identifier("acme"), 1, body))
    broken = orjson.dumps({"domain": "globex.example.test", "status": "unheard of"})
    tenants.snapshot.put(Row("tenant", identifier("globex"), None, 1, broken))
    assert tenants.dial("1002").outcome == "routed"
    assert tenants.dial("2000").outcome == "not_found"
    assert [it.tenant.slug for it in tenants.snapshot.tenants()] == ["acme"]
