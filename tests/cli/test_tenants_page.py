"""What docs/tenants.md shows works, pasted block by block into a shell."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nizam.client import Client
from tests.client.conftest import threaded
from tests.http.conftest import Server
from tests.pages import blocks

PAGE = "tenants.md"
SHELL_SECONDS = 60


@pytest.mark.skipif(shutil.which("curl") is None, reason="the page uses curl")
@pytest.mark.time_limit(90)
@threaded
def test_the_page_can_be_followed(server: Server, api: Client, tmp_path: Path) -> None:
    (tmp_path / "globex.json").write_text(blocks(PAGE, "json")[0])
    (tmp_path / "hooli.yaml").write_text(blocks(PAGE, "yaml")[0])
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(blocks(PAGE, "sh"))],
        env=dict(os.environ)
        | {
            "HTTP": server.base,
            "KEY": server.key,
            "NIZAM_URL": server.base,
            "NIZAM_API_KEY": server.key,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=SHELL_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert '"code"' not in done.stdout
    states = {it.body.slug: it.body.status for it in api.tenants.list()}
    assert states == {
        "acme": "trial",
        "globex": "active",
        "initech": "active",
        "hooli": "trial",
    }
    assert api.tenants.find("acme").body.quotas.max_extensions == 50
    globex = api.tenant("globex")
    assert len(list(globex.extensions.list())) == 21
    assert globex.dids.find("+4930555010").body.destination.type == "ring_group"
    assert '"live_calls"' in done.stdout
