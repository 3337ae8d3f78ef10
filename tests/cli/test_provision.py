"""`nizam tenant provision`: what its options and its file become, and what is printed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nizam.cli.provision import _range
from nizam.client import Client
from tests.cli.conftest import Run, nizam
from tests.client.conftest import threaded

FILE = """
tenant: {name: Globex, slug: globex, domain: globex.example.test}
extensions:
  - number: 1000
    display_name: Reception
extension_range: {first: 1001, count: 2}
ring_groups:
  - number: 2000
    name: Everybody
    members: [{extension_id: 1000}, {extension_id: 1002}]
dids:
  - number: +12025550177
    destination: {type: ring_group, id: 2000}
"""
GLOBEX = ("--name", "Globex", "--slug", "globex", "--domain", "globex.example.test")


@threaded
def test_options_make_a_tenant_and_every_secret_is_printed(run: Run, api: Client) -> None:
    done = run(
        *("tenant", "provision", *GLOBEX, "--country", "DE", "--status", "trial"),
        *("--extension", "1000=Reception", "--range", "1001-1003"),
        *("--did", "+12025550177=extension:1000"),
        *("--admin-email", "hank@globex.example.test", "--key-scopes", "*"),
    )
    globex = api.tenant("globex")
    tenant = api.tenants.find("globex")
    assert (tenant.body.status, tenant.body.country) == ("trial", "DE")
    numbers = {it.body.number: it for it in globex.extensions.list()}
    assert numbers.keys() == {"1000", "1001", "1002", "1003"}
    for it in numbers.values():
        assert globex.extensions.reveal(it)["sip_password"] in done.stdout
    assert globex.dids.find("+12025550177").body.destination.id == numbers["1000"].id
    assert api.users.find("hank@globex.example.test").body.memberships[0].tenant_id == tenant.id
    assert "nzr_" in done.stdout
    key = next(word for word in done.stdout.split() if word.startswith("nzm_"))
    with Client(api.url, key) as own:
        assert own.me()["tenant_id"] == str(tenant.id)


@threaded
def test_a_file_has_everything_and_options_come_on_top(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "globex.yaml"
    path.write_text(FILE)
    arguments = ("tenant", "provision", "-f", str(path), "--country", "DE", "--json")
    made = json.loads(run(*arguments, "--idempotency-key", "order-1").stdout)
    assert made["tenant"]["country"] == "DE"
    assert [it["number"] for it in made["extensions"]] == ["1000", "1001", "1002"]
    assert [it["extension_id"] for it in made["ring_groups"][0]["members"]] == [
        made["extensions"][0]["id"],
        made["extensions"][2]["id"],
    ]
    assert made["dids"][0]["destination"]["id"] == made["ring_groups"][0]["id"]
    assert json.loads(run(*arguments, "--idempotency-key", "order-1").stdout) == made
    refused = run(*arguments, status=1)
    assert "/tenant/slug: is taken by another tenant" in refused.stderr


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1001-1020", ("1001", 20)), ("0098-0099", ("0098", 2)), ("200+50", ("200", 50))],
)
def test_ranges(text: str, expected: tuple[str, int]) -> None:
    assert tuple(_range(text).values()) == expected


@pytest.mark.parametrize(
    "arguments", [("--range", "1001"), ("--range", "1003-1001"), ("--did", "+12025550177")]
)
def test_what_is_not_understood_is_wrong_usage(arguments: tuple[str, str]) -> None:
    done = nizam("tenant", "provision", "--url", "http://127.0.0.1:1", *GLOBEX, *arguments)
    assert done.exit_code == 2
    assert arguments[1] in done.stderr


@threaded
def test_the_client_shows_secrets_only_where_they_are_asked_for(api: Client) -> None:
    made = api.tenants.provision(
        tenant={"name": "Globex", "slug": "globex", "domain": "globex.example.test"},
        extension_range={"first": "1001", "count": 2},
        admin={"email": "hank@globex.example.test", "name": "Hank", "generate_password": True},
        api_key={"name": "CRM", "scopes": ["calls:read"]},
    )
    assert made.admin is not None
    assert made.api_key is not None
    secrets = [*(it.password for it in made.phones), made.admin.secrets["password"]]
    secrets.append(made.api_key.secrets["key"])
    assert len(set(secrets)) == 4
    assert not [it for it in secrets if it in repr(made)]
    assert made.phones[0].extension_id == api.tenant("globex").extensions.find("1001").id
    assert api.tenants.stats(made.tenant)["resources"]["extensions"]["count"] == 2


@threaded
def test_figures_are_those_of_the_tenant_that_is_named_or_of_the_key(run: Run, api: Client) -> None:
    run("tenant", "provision", *GLOBEX, "--range", "1001-1003")
    assert "extensions     3" in run("tenant", "stats", "globex").stdout
    key = api.api_keys.create(
        name="own", scopes=["stats:read"], tenant_id=str(api.tenants.find("globex").id)
    )
    shown = run("tenant", "stats", "--json", NIZAM_API_KEY=key.secrets["key"])
    assert json.loads(shown.stdout)["resources"]["extensions"]["count"] == 3
