"""The command as a process: quick to answer, and the document without a server."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.http.conftest import Server

HEAVY = ("twisted", "pydantic", "httpx", "sqlalchemy", "nizam.model", "nizam.settings")


def process(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=False, timeout=25
    )


def test_help_imports_nothing_that_is_slow() -> None:
    code = (
        "import sys; sys.argv = ['nizam', '--help']\n"
        "from nizam.cli import main\n"
        "try:\n    main()\n"
        "except SystemExit:\n"
        f"    print([it for it in {HEAVY!r} if it in sys.modules], file=sys.stderr)\n"
    )
    done = process("-c", code)
    assert "Through the API:" in done.stdout
    assert done.stderr == "[]\n"


def test_commands_of_the_api_do_without_the_daemon() -> None:
    code = (
        "import sys\n"
        "from nizam.cli.root import commands\n"
        "try:\n    commands(['extension', 'list', '--url', 'http://127.0.0.1:1', '-t', 'x'])\n"
        "except SystemExit as end:\n"
        "    print(end.code, [it for it in ('twisted', 'sqlalchemy') if it in sys.modules])\n"
    )
    assert process("-c", code).stdout == "3 []\n"


async def test_the_document_is_that_of_the_server(server: Server) -> None:
    done = process("-m", "nizam.cli", "openapi", "--url", "http://localhost:8080")
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    served = (await server.request("GET", "/api/v1/openapi.json", key=None)).json
    assert printed.pop("servers") == [{"url": "http://localhost:8080"}]
    assert served.pop("servers")
    assert printed == served
