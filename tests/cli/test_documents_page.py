"""What docs/documents.md shows works: its document, its commands, its program."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nizam.client import Client
from tests.client.conftest import threaded
from tests.http.conftest import Server
from tests.pages import blocks

PAGE = "documents.md"


@pytest.mark.skipif(shutil.which("curl") is None, reason="the page uses curl")
@pytest.mark.time_limit(90)
@threaded
def test_the_page_can_be_followed(server: Server, api: Client, tmp_path: Path) -> None:
    made = api.tenants.create(name="Acme", slug="acme", domain="acme.example.test")
    (tmp_path / "first.yaml").write_text(blocks(PAGE, "yaml")[0])
    first = "nizam apply --tenant acme --yes first.yaml\n"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", first + "\n".join(blocks(PAGE, "sh"))],
        env=dict(os.environ)
        | {
            "HTTP": server.base,
            "KEY": server.key,
            "TENANT": str(made.id),
            "NIZAM_URL": server.base,
            "NIZAM_API_KEY": server.key,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "4 created, 1 changed; 0 unchanged" in done.stdout
    assert "nothing to do; 21 unchanged" in done.stdout
    assert '"missing_permissions":[]' in done.stdout
    program = blocks(PAGE, "python")[0].replace("https://nizam.example.com", server.base)
    program = program.replace("nzm_live_...", server.key)
    names: dict[str, Any] = {}
    exec(compile(program, PAGE, "exec"), names)  # noqa: S102 - our own documentation
    names["client"].close()
    front_desk = api.tenant("acme").extensions.find("1100")
    assert front_desk.body.display_name == "Front desk"
