"""The commands of the resources: what they ask of the API, print, and exit with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nizam.cli.root import API_COMMANDS, COMMANDS, commands
from nizam.client import Client
from nizam.model.registry import resources
from tests.cli.conftest import Run, nizam
from tests.client.conftest import threaded

ACME = {"name": "Acme Inc", "slug": "acme", "domain": "acme.example.test"}
RING_GROUP = """
number: 2000
name: Sales
members:
  - extension_id: 1001
  - number: +12025550100
fallback: {type: voicemail, id: 1001}
"""
BYE = {"id": "bye", "type": "hangup"}
IN_ACME = ("--tenant", "acme")


def created(run: Run, *arguments: str, **more: Any) -> dict[str, Any]:
    """What a command answers with --json."""
    found: dict[str, Any] = json.loads(run(*arguments, "--json", **more).stdout)
    return found


def set_fields(document: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if value is not None}


@pytest.mark.filterwarnings("error:The parameter")
def test_every_resource_has_its_commands() -> None:
    for it in resources().values():
        name = {"api_key": "key", "switch_node": "node"}.get(it.name, it.name.replace("_", "-"))
        assert name in API_COMMANDS
        for verb in ("list", "get", "create", "update", "replace", "delete"):
            assert nizam(name, verb, "--help").exit_code == 0


def test_every_command_helps_and_is_listed_with_its_line() -> None:
    listed = nizam("--help").stdout
    for name, (_, line) in {**COMMANDS, **API_COMMANDS}.items():
        assert line in " ".join(listed.split())
        assert nizam(name, "--help").exit_code == 0
        assert commands.get_command(None, name) is not None  # type: ignore[arg-type]


@threaded
def test_an_object_is_made_shown_changed_and_deleted(run: Run, api: Client) -> None:
    api.tenants.create(ACME)
    made = created(
        run,
        *("extension", "create", *IN_ACME, "--number", "1001", "--display-name", "Ada"),
        *("--voicemail-pin", "@-", "--no-do-not-disturb", "--follow-me", "1002"),
        *("--follow-me", "1003", "--set", "ring_seconds=40", "--set", "caller_id.internal_name=A"),
        stdin="4711\n",
    )
    assert (made["follow_me"], made["ring_seconds"]) == (["1002", "1003"], 40)
    assert made["caller_id"]["internal_name"] == "A"
    assert len(made["sip_password"]) >= 12
    shown = run("extension", "get", "1001", *IN_ACME)
    assert "display_name: Ada\n" in shown.stdout
    assert made["sip_password"] not in shown.stdout
    assert created(run, "extension", "reveal", "1001", *IN_ACME) == {
        "sip_password": made["sip_password"],
        "voicemail.pin": "4711",
    }
    changed = created(run, "extension", "update", made["id"], *IN_ACME, "--no-enabled")
    assert (changed["enabled"], changed["version"], changed["ring_seconds"]) == (False, 2, 40)
    run("extension", "update", "1001", *IN_ACME, "--set", "voicemail.pin=null")
    assert created(run, "extension", "reveal", "1001", *IN_ACME).keys() == {"sip_password"}
    run("extension", "delete", "1001", *IN_ACME)
    assert run("extension", "get", "1001", *IN_ACME, status=1).stderr.startswith("Not found: ")


@threaded
def test_a_body_is_read_from_yaml_as_people_write_it(run: Run, api: Client, tmp_path: Path) -> None:
    api.tenants.create(ACME)
    body = (
        "number: 1001\ndisplay_name: No\nfollow_me: [1002, +12025550100]\nvoicemail: {pin: 4711}\n"
    )
    made = created(run, "extension", "create", *IN_ACME, "--file", "-", stdin=body)
    assert (made["number"], made["display_name"]) == ("1001", "No")
    assert made["follow_me"] == ["1002", "+12025550100"]
    assert created(run, "extension", "reveal", "1001", *IN_ACME)["voicemail.pin"] == "4711"
    file = tmp_path / "body.json"
    file.write_text(json.dumps({"number": "1001", "display_name": "Grace"}))
    whole = created(run, "extension", "replace", "1001", *IN_ACME, "-f", str(file))
    assert (whole["display_name"], whole["follow_me"]) == ("Grace", [])


@threaded
def test_destinations_are_named_as_people_name_them(run: Run, api: Client) -> None:
    api.tenants.create(ACME)
    acme = api.tenant("acme")
    ada = acme.extensions.create(number="1001", display_name="Ada")
    did = ("did", "create", *IN_ACME, "--number")
    made = created(run, *did, "+12025550101", "--destination", "extension:1001")
    assert set_fields(made["destination"]) == {"type": "extension", "id": str(ada.id)}
    made = created(run, *did, "+12025550102", "--destination", "hangup:USER_BUSY")
    assert set_fields(made["destination"]) == {"type": "hangup", "cause": "USER_BUSY"}
    made = created(run, *did, "+12025550103", "--destination", "external:+12025550199")
    assert set_fields(made["destination"]) == {"type": "external", "number": "+12025550199"}
    run(*did, "+12025550104", "--destination", "extension:9", status=1)
    run(*did, "+12025550104", "--destination", "nonsense:9", status=1)
    run(*did, "+12025550104", "--destination", "nonsense", status=2)
    group = created(run, "ring-group", "create", *IN_ACME, "--file", "-", stdin=RING_GROUP)
    assert [it.get("extension_id") for it in group["members"]] == [str(ada.id), None]
    assert group["fallback"]["id"] == str(ada.id)
    refused = run("extension", "delete", "1001", *IN_ACME, status=1)
    assert "in_use" in refused.stderr
    assert made["id"] not in refused.stderr


@threaded
def test_lists_are_tables_for_people_and_json_for_programs(run: Run, api: Client) -> None:
    api.tenants.create(ACME)
    for number in range(1001, 1005):
        api.tenant("acme").extensions.create(number=str(number), display_name=f"[b]{number}")
    listing = ("extension", "list", *IN_ACME)
    lines = run(*listing, "--sort", "-number", "--limit", "3").stdout.splitlines()
    assert lines[0].split()[:3] == ["NUMBER", "DISPLAY", "NAME"]
    assert [line.split()[:3] for line in lines[1:]] == [
        [number, f"[b]{number}", "yes"] for number in ("1004", "1003", "1002")
    ]
    found = run(*listing, "--filter", "number[in]=1001,1003", "--json")
    assert [it["number"] for it in json.loads(found.stdout)] == ["1001", "1003"]
    assert json.loads(run(*listing, "-q", "1002", "--json").stdout)[0]["number"] == "1002"
    assert "unknown_parameter" not in run(*listing, "--filter", "x=1", status=1).stdout


@threaded
def test_tenants_keys_and_webhooks_have_commands_of_their_own(run: Run, api: Client) -> None:
    run("tenant", "create", "--name", "Acme", "--slug", "acme", "--domain", "acme.example.test",
        "--quotas-max-extensions", "10")  # fmt: skip
    assert created(run, "tenant", "activate", "acme")["status"] == "active"
    assert created(run, "tenant", "suspend", "acme")["status"] == "suspended"
    assert "invalid_transition" in run("tenant", "suspend", "acme", status=1).stderr
    made = run("key", "create", "--name", "CRM", "--tenant", "acme", "--scopes", "calls:read")
    assert "tenant_id" in made.stdout
    assert "key: nzm_" in made.stdout
    assert "shown this once: key" in made.stderr
    assert created(run, "key", "rotate", "CRM")["key"] not in made.stdout
    run("user", "create", "--email", "ada@example.com", "--name", "Ada Lovelace", "--set",
        'memberships=[{"role": "platform_admin"}]')  # fmt: skip
    assert created(run, "user", "reset-token", "ada@example.com")["reset_token"]
    hook = created(
        run, "webhook", "create", *IN_ACME, "--webhook-url", "https://hooks.example.test/"
    )
    for action in ("pause", "resume", "test", "rotate-secret", "stats", "deliveries", "attempts"):
        run("webhook", action, hook["id"], *IN_ACME)
    assert created(run, "webhook", "replay", hook["id"], *IN_ACME) == {"deliveries": 0}


@threaded
def test_what_is_refused_is_told_field_by_field(run: Run, api: Client) -> None:
    api.tenants.create(ACME)
    refused = run("extension", "create", *IN_ACME, "--number", "x", "--set", "nonsense=1", status=1)
    told = refused.stderr
    for field in ("/number: ", "/display_name: ", "/nonsense: there is no such field"):
        assert field in told
    assert "(validation_failed, request " in told


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (("extension", "list"), 2, "no server is named"),
        (("extension", "list", "--url", "nonsense"), 2, "is not the URL of a server"),
        (("extension", "list", "--url", "http://127.0.0.1:1"), 3, "no connection"),
        (("extension", "list", "--state-dir", "/nowhere"), 3, "no nizam dev runs in"),
        (("extension", "create", "--ring-seconds", "x"), 2, "not a valid integer"),
        (("extension", "nonsense"), 2, "No such command"),
        (("nonsense",), 2, "No such command"),
    ],
)
def test_wrong_usage_is_2_and_out_of_reach_is_3(
    arguments: tuple[str, ...], status: int, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nizam.client.transport.FIRST_PAUSE_SECONDS", 0.0)
    done = nizam(*arguments)
    assert (done.exit_code, told in done.stderr) == (status, True), done.output


@threaded
def test_a_key_that_lacks_a_scope_is_told_which(run: Run, api: Client) -> None:
    api.tenants.create(ACME)
    tenant_id = api.tenant_id("acme")
    key = api.api_keys.create(name="x", scopes=["dids:read"], tenant_id=tenant_id).secrets["key"]
    refused = run("extension", "list", NIZAM_API_KEY=key, status=1)
    assert "extensions:read" in refused.stderr
    assert run("did", "list", NIZAM_API_KEY=key).stdout.startswith("NUMBER")
    assert "unauthenticated" in run("me", NIZAM_API_KEY="nzm_wrong", status=1).stderr
    assert created(run, "me")["tenant_id"] is None
    assert "name the tenant" in run("did", "list", status=2).stderr


@threaded
def test_call_flows_are_published_and_taken_back(run: Run, api: Client) -> None:
    api.tenants.create(ACME)
    flow = json.dumps({"number": "5100", "name": "Bye", "start": "bye", "nodes": [BYE]})
    made = created(run, "call-flow", "create", *IN_ACME, "--file", "-", stdin=flow)
    for action, *arguments in (("publish",), ("rollback", "1")):
        done = created(run, "call-flow", action, "5100", *arguments, *IN_ACME)
        assert done["id"] == made["id"]
    found = run("call-flow", "versions", "5100", *IN_ACME, "--json")
    assert [it["number"] for it in json.loads(found.stdout)] == [2, 1]
