"""`nizam events`; following them is in tests/realtime/test_following.py."""

from __future__ import annotations

import json

from nizam.client import Client
from tests.cli.conftest import Run, nizam
from tests.client.conftest import threaded

ACME = {"name": "Acme Inc", "slug": "acme", "domain": "acme.example.test"}


@threaded
def test_events_are_listed_by_type(run: Run, api: Client) -> None:
    api.tenants.create(ACME)
    api.tenant("acme").extensions.create(number="1001", display_name="Ada")
    events = ("events", "list", "--tenant", "acme")
    assert "extension.created" in run(*events).stdout
    listed = json.loads(run(*events, "--type", "tenant.created", "--json").stdout)
    assert [it["type"] for it in listed] == ["tenant.created"]


def test_the_schema_of_a_type_is_printed_without_a_server() -> None:
    assert json.loads(nizam("events", "schema", "call.ended").stdout)["title"] == "call.ended"
    assert "call.ended " in nizam("events", "schema").stdout
    assert nizam("events", "schema", "call.forgotten").exit_code == 2
