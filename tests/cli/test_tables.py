"""Files of extensions and DIDs in, files of every list out, on the command line."""

from __future__ import annotations

import csv
import json
import re
import shlex
import subprocess
from pathlib import Path
from string import Template
from typing import Any

import pytest

from nizam.client import ApiError, Client
from nizam.client.errors import CellError
from tests.cli.conftest import Run
from tests.client.conftest import threaded
from tests.http.conftest import Server
from tests.pages import DOCS, blocks, commands

TABLE = "number,display_name,forward.busy\n1001,Ada,extension:1002\n1002,Grace,\n"


def _make_acme(api: Client) -> None:
    api.tenants.create(name="Acme", slug="acme", domain="acme.example.test")


@threaded
def test_a_file_goes_in_and_comes_out_again(run: Run, api: Client, tmp_path: Path) -> None:
    _make_acme(api)
    table = tmp_path / "people.csv"
    table.write_text(TABLE)
    tried = run("extension", "import", str(table), "--tenant", "acme", "--dry-run")
    assert "2 rows: would be 2 created" in tried.stderr
    assert list(api.tenant("acme").extensions.list()) == []
    done = run("extension", "import", str(table), "--tenant", "acme")
    assert "2 rows: 2 created" in done.stderr
    assert "shown this once: sip_password" in done.stderr
    heading, ada, _ = done.stdout.splitlines()
    assert (heading.split(), ada.split()[0]) == (["NUMBER", "SIP", "PASSWORD"], "1001")
    found = api.tenant("acme").extensions.find("1001")
    assert api.tenant("acme").extensions.reveal(found)["sip_password"] == ada.split()[1]

    written = tmp_path / "out.csv"
    export = ("extension", "export", "--tenant", "acme", "--sort", "number")
    said = run(*export, "--output", str(written))
    assert f"{written.stat().st_size:,} bytes" in said.stderr
    assert [it.name for it in tmp_path.iterdir() if it.name.endswith(".part")] == []
    assert run(*export).stdout_bytes == written.read_bytes()
    rows = list(csv.DictReader(written.open(newline="")))
    assert [it["forward.busy"] for it in rows] == ["extension:1002", ""]
    again = run(
        *("extension", "import", "-", "--tenant", "acme", "--on-existing", "update", "--json"),
        stdin=written.read_text(),
    )
    assert json.loads(again.stdout)["unchanged"] == 2


@threaded
def test_what_is_wrong_is_a_table_of_rows_and_columns(run: Run, api: Client) -> None:
    _make_acme(api)
    wrong = "number,display_name,ring_seconds\n1001,Ada,1\n1001,Ada,\n"
    said = run("extension", "import", "-", "--tenant", "acme", stdin=wrong, status=1)
    lines = [it.strip().split(maxsplit=2) for it in said.stderr.splitlines()]
    assert lines[0] == ["ROW", "COLUMN", "MESSAGE"]
    assert ["2", "ring_seconds", "Input should be greater than or equal to 5"] in lines
    assert ["3", "number", "1001 stands in row 2, too"] in lines
    assert "nothing was imported: 2 things are wrong" in said.stderr
    assert list(api.tenant("acme").extensions.list()) == []
    as_json = run("did", "import", "-", "--tenant", "acme", "--json", stdin="number\n1\n", status=1)
    first = json.loads(as_json.stdout)["errors"][0]
    assert (first["row"], first["column"]) == (2, "number")


@threaded
def test_what_cannot_be_read_or_written_is_wrong_usage(
    run: Run, api: Client, tmp_path: Path
) -> None:
    _make_acme(api)
    run("extension", "import", str(tmp_path / "none.csv"), "--tenant", "acme", status=2)
    target = str(tmp_path / "none" / "out.csv")
    run("extension", "export", "--tenant", "acme", "--output", target, status=2)
    run("extension", "import", "-", "--tenant", "acme", stdin="no table", status=1)


@threaded
def test_history_as_files(run: Run, api: Client) -> None:
    _make_acme(api)
    run("extension", "import", "-", "--tenant", "acme", stdin=TABLE)
    events = run(
        *("events", "export", "--tenant", "acme", "--format", "ndjson"),
        *("--filter", "type=extension.created"),
    )
    assert len([json.loads(it) for it in events.stdout.splitlines()]) == 2
    cdrs = run("cdr", "export", "--tenant", "acme")
    assert cdrs.stdout.startswith("call_id,direction,from,to,")
    logs = run("audit", "export", "--tenant", "acme", "--filter", "resource_type=extension")
    assert len(list(csv.DictReader(logs.stdout.splitlines()))) == 2


@threaded
def test_the_client_has_files_too(api: Client) -> None:
    _make_acme(api)
    acme = api.tenant("acme")
    done = acme.extensions.import_csv(TABLE.encode())
    assert (done.created, len(done.generated)) == (2, 2)
    assert str(done.generated[0]["sip_password"]) not in repr(done)
    with acme.extensions.export("ndjson", number__in=("1001",)) as pieces:
        (line,) = b"".join(pieces).splitlines()
    assert json.loads(line)["number"] == "1001"
    with pytest.raises(ApiError) as caught:
        acme.dids.import_csv(b"number,destination\n+12025550101,extension:4711\n")
    (wrong,) = caught.value.errors
    assert isinstance(wrong, CellError)
    assert (wrong.row, wrong.column, wrong.code) == (2, "destination", "not_found")
    with pytest.raises(ApiError) as refused, acme.cdrs.export(colour="red"):
        pass
    assert refused.value.errors[0].path == "colour"


@threaded
def test_what_the_page_shows_works(
    run: Run, server: Server, api: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _make_acme(api)
    monkeypatch.chdir(tmp_path)
    page = DOCS / "import-export.md"
    for name, content in re.findall(
        r"`(\w+\.csv)`:\n\n```csv\n(.*?)```", page.read_text(), re.DOTALL
    ):
        Path(name).write_text(content)
    acme = api.tenant("acme")
    names = {"HTTP": server.base, "KEY": server.key, "TENANT": str(api.tenant_id("acme"))}
    lines = commands(page.name)
    assert len(lines) > 8
    for line in lines:
        program, *arguments = shlex.split(line)
        if program == "nizam":
            run(*arguments)
        else:
            done = subprocess.run(
                [program, "--fail", *shlex.split(Template(line).substitute(names))[1:]],
                capture_output=True,
                check=False,
            )
            assert done.returncode == 0, (line, done.stderr)
    (program_text,) = blocks(page.name, "python")
    found: dict[str, Any] = {"acme": acme}
    exec(compile(program_text, page.name, "exec"), found)  # noqa: S102 - our own documentation
    assert (found["done"].unchanged, Path("calls.ndjson").read_bytes()) == (2, b"")
