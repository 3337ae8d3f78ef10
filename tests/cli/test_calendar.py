"""iCalendar files on the command line."""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path
from string import Template

import pytest

from nizam.client import Client
from tests.calendars.files import CHRISTMAS, ics
from tests.cli.conftest import Run
from tests.client.conftest import threaded
from tests.http.conftest import Server
from tests.pages import commands


def _make_calendar(api: Client) -> None:
    api.tenants.create(name="Acme", slug="acme", domain="acme.example.test")
    days = [{"date": "2030-01-02", "label": "Closed"}]
    api.tenant("acme").calendars.create(name="Holidays", days=days)


@threaded
def test_a_file_is_tried_taken_and_written(run: Run, api: Client, tmp_path: Path) -> None:
    _make_calendar(api)
    file = tmp_path / "holidays.ics"
    file.write_text(ics(CHRISTMAS, "UID:h\nDTSTART:19990101T100000Z"))
    load = ("calendar", "import", "Holidays", str(file), "--tenant", "acme")
    tried = run(*load, "--dry-run")
    assert [" ".join(it.split()) for it in tried.stdout.splitlines()[1:]] == [
        "+ 12-25 every year Christmas Day",
        "- 2030-01-02 Closed",
    ]
    assert "1 days added, 0 changed, 1 removed, 0 unchanged (nothing was changed)" in tried.stderr
    assert "1 events on none of these days" in tried.stderr
    done = run(*load, "--merge", "--years", "2", "--timed", "skip", "--json")
    assert json.loads(done.stdout)["added"][0]["label"] == "Christmas Day"
    assert len(api.tenant("acme").calendars.find("Holidays").body.days) == 2

    written = tmp_path / "out.ics"
    export = ("calendar", "export", "Holidays", "--tenant", "acme")
    run(*export, "--output", str(written))
    assert run(*export).stdout_bytes == written.read_bytes()
    again = run(
        *("calendar", "import", "Holidays", "-", "--tenant", "acme", "--json"),
        stdin=written.read_text(),
    )
    assert json.loads(again.stdout)["unchanged"] == 2


@threaded
def test_what_is_wrong_is_told_by_line(run: Run, api: Client) -> None:
    _make_calendar(api)
    said = run(
        *("calendar", "import", "Holidays", "-", "--tenant", "acme"),
        stdin=ics("UID:1\nDTSTART:soon", "UID:2\nSUMMARY:Party"),
        status=1,
    )
    lines = [it.split(maxsplit=2)[:2] for it in said.stderr.splitlines()]
    assert lines[:3] == [["ROW", "COLUMN"], ["6", "DTSTART"], ["8", "DTSTART"]]
    assert "nothing was imported: 2 things are wrong" in said.stderr


@threaded
def test_what_the_page_shows_works(
    run: Run, server: Server, api: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.tenants.create(name="Acme", slug="acme", domain="acme.example.test")
    monkeypatch.chdir(tmp_path)
    Path("holidays.ics").write_text(ics(CHRISTMAS))
    *others, call = commands("calendars.md")
    for line in others:
        run(*shlex.split(line)[1:])
    assert "Christmas Day" in Path("holidays.ics").read_text()
    identifier = api.tenant("acme").calendars.find("Holidays").id
    names = {"HTTP": server.base, "KEY": server.key, "ID": str(identifier)}
    text = Template(call).substitute(names, TENANT=str(api.tenant_id("acme")))
    done = subprocess.run([*shlex.split(text), "--fail"], capture_output=True, check=False)
    assert json.loads(done.stdout)["unchanged"] == 1, done.stderr
