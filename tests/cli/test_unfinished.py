"""An export that was cut off goes on where it ended, whatever that was in the middle of."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from nizam.cli.unfinished import Unfinished, unfinished
from nizam.client import Client
from tests.cli.conftest import Run
from tests.client.conftest import threaded

ROWS = b'started_at,from,call_id\r\n2026-11-28,1001,a\r\n2026-11-27,"x\r\ny",b\r\n'


@pytest.mark.parametrize(
    ("content", "form", "sort", "found"),
    [
        (b"", "csv", "-started_at", Unfinished(0, None)),
        (b"started_at,call", "csv", "-started_at", Unfinished(0, None)),
        (ROWS[:25], "csv", "-started_at", Unfinished(0, None)),
        (ROWS[:45], "csv", "-started_at", Unfinished(44, "2026-11-28,a")),
        # Cut off inside of a cell that holds a line end, and of the last cell.
        (ROWS[:-5], "csv", "-started_at", Unfinished(44, "2026-11-28,a")),
        (ROWS[:-2], "csv", "-started_at", Unfinished(44, "2026-11-28,a")),
        (ROWS, "csv", "-started_at", Unfinished(len(ROWS), "2026-11-27,b")),
        (b"from,call_id\r\n'=1+1,a\r\n", "csv", "from", Unfinished(23, "=1+1,a")),
        (b'{"from":null,"call_id":"a"}\n{"fro', "ndjson", "from", Unfinished(28, ",a")),
        (b'{"from":"1","call_id":"a"}', "ndjson", "from", Unfinished(0, None)),
    ],
)
def test_how_far_a_file_came(content: bytes, form: str, sort: str, found: Unfinished) -> None:
    assert unfinished(io.BytesIO(content), form, sort, "call_id") == found


def test_rows_without_their_place_cannot_be_gone_on_with() -> None:
    with pytest.raises(ValueError, match="no duration_ms"):
        unfinished(io.BytesIO(ROWS), "csv", "duration_ms", "call_id")


@threaded
def test_the_command_goes_on_with_what_has_come(run: Run, api: Client, tmp_path: Path) -> None:
    api.tenants.create(name="Acme", slug="acme", domain="acme.example.test")
    for number in range(1001, 1004):
        api.tenant("acme").extensions.create(number=str(number), display_name="A")
    for form in ("csv", "ndjson"):
        export = ("audit", "export", "--tenant", "acme", "--format", form, "--filter")
        whole = run(*export, "action=created").stdout_bytes
        part, out = tmp_path / f"{form}.part", tmp_path / form
        part.write_bytes(whole[: len(whole) * 2 // 3])
        run(*export, "action=created", "--output", str(out), "--resume")
        assert out.read_bytes() == whole
        assert not part.exists()
    lines = [json.loads(it)["action"] for it in whole.splitlines()]
    assert lines == ["created"] * len(lines)
    refused = run("extension", "export", "--tenant", "acme", "--resume", status=2)
    assert "--resume goes on with the --output FILE of a history" in refused.stderr


def test_what_has_come_is_kept_for_it(tmp_path: Path) -> None:
    from nizam.cli.tables import target

    name = tmp_path / "calls.csv"

    def cut_off(keep: bool) -> None:
        with target(str(name), keep=keep) as file:
            file.write(b"one\r\n")
            raise ConnectionError

    for keep, left in ((True, [b"one\r\n"]), (False, [])):
        with pytest.raises(ConnectionError):
            cut_off(keep)
        assert [it.read_bytes() for it in tmp_path.iterdir()] == left
