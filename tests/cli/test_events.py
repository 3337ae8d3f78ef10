"""`nizam events`: each event once, in order, also those that are stored late."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import islice

from nizam.cli.events import followed
from nizam.client import Client
from tests.cli.conftest import Run, nizam
from tests.client.conftest import threaded

ACME = {"name": "Acme Inc", "slug": "acme", "domain": "acme.example.test"}


@threaded
def test_events_are_listed_and_followed_by_type(run: Run, api: Client) -> None:
    api.tenants.create(ACME)
    api.tenant("acme").extensions.create(number="1001", display_name="Ada")
    events = ("events", "list", "--tenant", "acme")
    assert "extension.created" in run(*events).stdout
    listed = json.loads(run(*events, "--type", "tenant.created", "--json").stdout)
    assert [it["type"] for it in listed] == ["tenant.created"]
    tail = ("events", "tail", "--tenant", "acme", "--since", "2026-01-01", "--count")
    told = run(*tail, "2", "--json").stdout.splitlines()
    assert [json.loads(it)["type"] for it in told] == ["tenant.created", "extension.created"]
    assert "extension.created" in run(*tail, "1", "--type", "extension.created").stdout


def test_the_schema_of_a_type_is_printed_without_a_server() -> None:
    assert json.loads(nizam("events", "schema", "call.ended").stdout)["title"] == "call.ended"
    assert "call.ended " in nizam("events", "schema").stdout
    assert nizam("events", "schema", "call.forgotten").exit_code == 2


@threaded
def test_following_tells_each_event_once_and_goes_on(api: Client) -> None:
    api.tenants.create(ACME)
    acme = api.tenant("acme")
    pauses: list[int] = []

    def pause() -> None:
        pauses.append(len(pauses))
        if len(pauses) > 1:
            number = str(1000 + len(pauses))
            acme.extensions.create(number=number, display_name=number)

    begin = datetime(2026, 1, 1, tzinfo=UTC)
    told = list(islice(followed(acme, (), begin, pause), 4))
    assert next(followed(acme, (), None, pause))["type"] == "extension.created"
    assert [it["type"] for it in told] == ["tenant.created", *["extension.created"] * 3]
    assert len({it["id"] for it in told}) == 4
