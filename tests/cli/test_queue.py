"""`nizam queue`: monitored, sent again and given up from the command line."""

from __future__ import annotations

import json

from nizam.client import Client
from tests.cli.conftest import Run
from tests.client.conftest import threaded

ACME = {"name": "Acme Inc", "slug": "acme", "domain": "acme.example.test"}


@threaded
def test_monitoring_ends_with_1_when_more_wait_than_may(run: Run, api: Client) -> None:
    api.tenants.create(ACME)
    acme = api.tenant("acme")
    hook = acme.webhooks.create(url="https://example.com/a", event_types=["call.ended"])
    for _ in range(2):
        acme.webhooks.test(hook)
    assert json.loads(run("queue", "monitor", "--max", "2", "--json").stdout)["depth"] == 2
    deep = run("queue", "monitor", "--max", "1", status=1)
    assert "2 deliveries wait; 1 may" in deep.output


@threaded
def test_purging_asks_first_and_what_was_given_up_is_replayed(run: Run, api: Client) -> None:
    api.tenants.create(ACME)
    acme = api.tenant("acme")
    hook = acme.webhooks.create(url="https://example.com/a", event_types=["call.ended"])
    acme.webhooks.test(hook)
    purge = ("queue", "purge", "--tenant", "acme")
    run(*purge, stdin="n\n", status=1)
    assert [it["status"] for it in acme.webhooks.deliveries(hook)] == ["pending"]
    run(*purge, stdin="y\n")
    assert [it["status"] for it in acme.webhooks.deliveries(hook)] == ["dead"]
    replayed = run("queue", "replay", "--tenant", "acme", "--rate", "5", "--json").stdout
    assert list(json.loads(replayed).values()) == [1]
    assert [it["status"] for it in acme.webhooks.deliveries(hook)] == ["pending"]
    assert "done" in run("webhook", "replays", str(hook.id), "--tenant", "acme").stdout
    run("webhook", "cancel-replay", str(hook.id), "--tenant", "acme")
    run(*purge, "--yes")
    run(*purge, "--dead", "--yes", "--webhook", str(hook.id))
    assert list(acme.webhooks.deliveries(hook)) == []
