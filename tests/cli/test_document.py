"""`nizam export`, `plan`, `apply` and `revision`: a tenant's configuration in a file."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import click
import pytest

from nizam.cli.input import parse_yaml
from nizam.cli.plan_text import plan_lines, summary_line
from nizam.client import Client
from tests.cli.conftest import Run
from tests.client.conftest import threaded

ACME = """\
format: 1
extensions:
- number: 1001
  display_name: Ada
  sip_password: correct-horse-1
- number: 1002
  display_name: Alan
  forward:
    no_answer: {type: voicemail, id: 1001}
"""


def make_tenant(api: Client, slug: str) -> None:
    api.tenants.create(name=slug, slug=slug, domain=f"{slug}.example.test")


@threaded
def test_a_tenant_is_made_from_a_file_and_written_to_one(
    run: Run, api: Client, tmp_path: Path
) -> None:
    make_tenant(api, "acme")
    make_tenant(api, "copy")
    file = tmp_path / "acme.yaml"
    file.write_text(ACME)
    done = run("apply", "--tenant", "acme", str(file))
    assert "2 created; 0 unchanged; revision" in done.stdout
    assert "extension  1002  sip_password" in done.stdout
    assert "shown this once" in done.stderr

    out = tmp_path / "out.yaml"
    run("export", "--tenant", "acme", "--reveal", "--output", str(out))
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert parse_yaml(out.read_text(), "-")["extensions"][0]["sip_password"] == "correct-horse-1"
    run("apply", "--tenant", "copy", "--prune", str(out))
    copied = run("export", "--tenant", "copy", "--reveal").stdout
    assert copied == out.read_text()

    piped = run("export", "--tenant", "acme", "--json").stdout
    again = json.loads(run("apply", "--tenant", "acme", "--json", stdin=piped).stdout)
    assert again["changes"] == []


@threaded
def test_a_plan_is_a_diff_and_ends_with_one_where_that_was_asked_for(
    run: Run, api: Client, tmp_path: Path
) -> None:
    make_tenant(api, "acme")
    file = tmp_path / "acme.yaml"
    file.write_text(ACME)
    first = run("plan", "--tenant", "acme", str(file))
    assert '+ extension 1001\n    number: "1001"\n' in first.stdout
    assert 'sip_password: "***"' in first.stdout
    assert "correct-horse" not in first.stdout
    assert first.stdout.endswith("2 to create; 0 unchanged\n")
    run("plan", "--tenant", "acme", "--exit-code", str(file), status=1)
    run("apply", "--tenant", "acme", str(file))
    same = run("plan", "--tenant", "acme", "--exit-code", str(file))
    assert same.stdout == "nothing to do; 2 unchanged\n"
    file.write_text(ACME.replace("Ada", "Ada Lovelace"))
    shown = run("plan", "--tenant", "acme", str(file)).stdout
    assert shown.startswith('~ extension 1001\n    display_name: "Ada" -> "Ada Lovelace"\n')
    found = json.loads(run("plan", "--tenant", "acme", "--json", str(file)).stdout)
    assert [it["operation"] for it in found["changes"]] == ["update"]


@threaded
def test_whoever_sits_at_a_terminal_is_shown_the_changes_and_asked(
    run: Run, api: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nizam.cli.document.somebody_can_answer", lambda: True)
    make_tenant(api, "acme")
    file = tmp_path / "acme.yaml"
    file.write_text(ACME)
    refused = run("apply", "--tenant", "acme", str(file), stdin="n\n", status=1)
    assert "+ extension 1001" in refused.stderr
    assert api.tenant("acme").extensions.list().first() is None
    run("apply", "--tenant", "acme", str(file), stdin="y\n")
    assert len(list(api.tenant("acme").extensions.list())) == 2


@threaded
def test_every_fault_of_a_file_is_on_a_line_of_its_own(
    run: Run, api: Client, tmp_path: Path
) -> None:
    make_tenant(api, "acme")
    wrong = ACME.replace("1002", "x").replace("1001\n", "1001\n  colour: red\n", 1)
    done = run("apply", "--tenant", "acme", stdin=wrong, status=1)
    assert "/extensions/0/colour: there is no such field" in done.stderr
    assert "/extensions/1/number:" in done.stderr
    run("apply", "--tenant", "acme", stdin="- 1", status=2)
    run("apply", "--tenant", "acme", str(tmp_path / "none.yaml"), status=2)
    run("export", "--tenant", "acme", "--output", str(tmp_path / "no" / "such"), status=2)


@threaded
def test_a_revision_is_listed_shown_and_gone_back_to(run: Run, api: Client) -> None:
    make_tenant(api, "acme")
    run("apply", "--tenant", "acme", stdin=ACME)
    rows = json.loads(run("revision", "list", "--tenant", "acme", "--json").stdout)
    number = str(rows[0]["revision"])
    assert "document" in run("revision", "list", "--tenant", "acme").stdout
    shown = run("revision", "get", number, "--tenant", "acme").stdout
    assert "+ extension 1001\n" in shown
    run("extension", "update", "1001", "--tenant", "acme", "--display-name", "Somebody")
    planned = run("revision", "plan", number, "--tenant", "acme").stdout
    assert '    display_name: "Somebody" -> "Ada"\n' in planned
    done = run("revision", "rollback", number, "--tenant", "acme").stdout
    assert done.startswith("1 changed; ")
    assert api.tenant("acme").extensions.find("1001").body.display_name == "Ada"
    late = run("apply", "--tenant", "acme", "--revision", number, stdin=ACME, status=1)
    assert "version_mismatch" in late.stderr


CHANGES: list[dict[str, Any]] = [
    {
        "operation": "update",
        "type": "ivr",
        "key": "5000",
        "fields": [{"path": "/timeout/seconds", "after": 5}, {"path": "/name", "before": "a"}],
    },
    {"operation": "delete", "type": "did", "key": "+1202", "fields": []},
]


def test_a_diff_has_a_sign_for_each_object_and_both_sides_of_each_field() -> None:
    assert [click.unstyle(it) for it in plan_lines(CHANGES)] == [
        "~ ivr 5000",
        "    timeout.seconds: (default) -> 5",
        '    name: "a" -> (default)',
        "- did +1202",
    ]


@pytest.mark.parametrize(
    ("counts", "to_do", "done"),
    [
        ((0, 0, 0, 7), "nothing to do; 7 unchanged", "nothing changed; 7 unchanged"),
        ((1, 2, 3, 0), "1 to create, 2 to change, 3 to delete; 0 unchanged",
         "1 created, 2 changed, 3 deleted; 0 unchanged"),
    ],
)  # fmt: skip
def test_the_numbers_are_summed_up(counts: tuple[int, ...], to_do: str, done: str) -> None:
    summary = dict(zip(("create", "update", "delete", "unchanged"), counts, strict=True))
    assert summary_line(summary) == to_do
    assert summary_line(summary, done=True) == done
