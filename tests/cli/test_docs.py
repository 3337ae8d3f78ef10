"""What docs/cli.md and docs/client.md show works as it stands there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from nizam.cli.root import API_COMMANDS
from nizam.client import Client
from tests.cli.conftest import Run
from tests.client.conftest import threaded
from tests.http.conftest import Server
from tests.pages import DOCS, blocks, commands


@threaded
def test_the_commands_of_the_page_work_one_after_the_other(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lines = commands("cli.md")
    assert len(lines) > 15
    for line in lines:
        program, *arguments = shlex.split(line)
        assert program == "nizam"
        if arguments[0] == "explain":
            # This API has no daemon around it that loads what calls are routed by.
            run(*arguments, status=1)
        else:
            run(*arguments)


def test_the_page_names_every_command_that_is_no_mere_resource() -> None:
    text = (DOCS / "cli.md").read_text()
    own = [name for name, (place, _) in API_COMMANDS.items() if ":group:" not in place]
    assert [it for it in own if not re.search(rf"\b{it}\b", text)] == []


@threaded
def test_the_program_of_the_page_runs(server: Server, api: Client) -> None:
    found = "\n".join(blocks("client.md", "python"))
    program = found.replace("https://nizam.example.com", server.base)
    program = program.replace("nzm_live_...", server.key)
    program = re.sub(r"^answer = acme\.explain.*$", "", program, flags=re.MULTILINE)
    names: dict[str, Any] = {}
    exec(compile(program, "client.md", "exec"), names)  # noqa: S102 - our own documentation
    names["client"].close()
    assert names["ada"].body.do_not_disturb is True
    assert names["newest"]["type"] == "extension.created"
    assert {it.body.number for it in api.tenant("acme").extensions.list()} == {"1001", "1002"}
