"""The commands, run against the API over real PostgreSQL and Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import pytest_twisted
from click.testing import CliRunner, Result

from nizam.cli.root import commands
from nizam.client import Client
from tests.http.conftest import Server, serving
from tests.realtime.conftest import streams_over

Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    names = ("CONFIG", "URL", "API_KEY", "TENANT")
    others = ("DB_PORT", "DB_HOST", "DB_PASSWORD", "CREDENTIALS_DIRECTORY")
    for name in (*(f"NIZAM_{it}" for it in names), *others):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr("nizam.dev.folder.default_folder", lambda: tmp_path / "no-dev-here")


def nizam(
    *arguments: str, stdin: str | None = None, environment: dict[str, str] | None = None
) -> Result:
    """Run `nizam` with these arguments."""
    runner = CliRunner(env=environment)
    return runner.invoke(commands, arguments, input=stdin, prog_name="nizam")


@pytest_twisted.async_yield_fixture
async def server(database: str, redis_url: str) -> AsyncIterator[Server]:
    """An API whose events can be followed."""
    streams = serving(database, redis_url, open_streams=lambda *it: streams_over(*it)[0])
    async with streams as running:
        yield running


@pytest.fixture
def api(server: Server) -> Iterator[Client]:
    """The platform's client of the API that `run` asks."""
    with Client(server.base, server.key) as client:
        yield client


@pytest.fixture
def run(server: Server) -> Run:
    """`nizam` as the administrator of the platform; the status is checked to be 0."""
    environment = {"NIZAM_URL": server.base, "NIZAM_API_KEY": server.key}

    def run(*arguments: str, stdin: str | None = None, status: int = 0, **more: str) -> Result:
        done = nizam(*arguments, stdin=stdin, environment=environment | more)
        assert done.exit_code == status, f"{done.output}\n{done.exception!r}"
        return done

    return run
