"""The end of a tenant on the command line, and the commands for the scheduled work."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from click.testing import Result
from twisted.internet.threads import deferToThread

from nizam.store.system.leases import take_lease
from nizam.store.system.scheduled_tasks import know_tasks
from tests.cli.conftest import Run, nizam
from tests.http.conftest import Server
from tests.http.purging import purge_now
from tests.pages import commands


async def test_a_receipt_is_shown_verified_and_listed(server: Server, run: Run) -> None:
    tenant = await server.make_tenant()
    identifier = tenant.rpartition("/")[2]
    await deferToThread(run, "tenant", "purge-receipt", identifier, status=1)
    ended = await deferToThread(run, "tenant", "terminate", "acme", "--grace-days", "0", "--json")
    assert json.loads(ended.stdout)["status"] == "terminated"
    await purge_now(server)
    shown = await deferToThread(run, "tenant", "purge-receipt", identifier, "--json")
    receipt = json.loads(shown.stdout)
    assert receipt["tenant_id"] == identifier
    listed = await deferToThread(run, "tenant", "purge-receipts", "--json")
    assert json.loads(listed.stdout) == [receipt]
    table = (await deferToThread(run, "tenant", "purge-receipts")).stdout
    assert receipt["hash"] in table

    await server.pool.execute("update purge_receipts set counts = counts || '{\"extensions\": 0}'")
    forged = await deferToThread(run, "tenant", "purge-receipt", identifier, status=1)
    assert "was changed" in forged.stderr


async def test_the_page_shows_how_to_verify_a_receipt_without_nizam(
    server: Server, tmp_path: Path
) -> None:
    (command,) = [it for it in commands("operating.md") if it.startswith("jq ")]
    if shutil.which("jq") is None:
        pytest.skip("there is no jq on this machine")
    tenant = await server.make_tenant()
    await server.request("PATCH", tenant, {"name": 'Ünal & "Söhne" <GmbH> \\ 株式会社'})
    await server.request("POST", f"{tenant}/terminate", {"grace_days": 0})
    await purge_now(server)
    answer = await server.request("GET", f"{tenant}/purge-receipt")
    (tmp_path / "receipt.json").write_bytes(answer.body)
    done = await deferToThread(
        subprocess.run, ["sh", "-c", command], cwd=tmp_path, capture_output=True, check=True
    )
    assert done.stdout.decode().split()[0] == answer.json["hash"]


async def scheduler(database: str, *arguments: str) -> Result:
    it = urlsplit(database)
    environment = {
        "APP_ENV": "testing",
        "DB_HOST": str(it.hostname),
        "DB_PORT": str(it.port),
        "DB_DATABASE": it.path[1:],
        "DB_USERNAME": str(it.username),
        "DB_PASSWORD": str(it.password),
    }
    return await deferToThread(nizam, "scheduler", *arguments, environment=environment)


async def test_the_tasks_are_listed_with_what_is_late(server: Server, database: str) -> None:
    assert "no instance leads it now" in (await scheduler(database, "list")).stdout
    await take_lease(server.pool, "scheduler", "one", 60)
    await know_tasks(server.pool, {"purge": 60, "events": 3600})
    done = await scheduler(database, "list")
    assert (done.exit_code, "led by one" in done.stdout) == (0, True)
    assert [line.split()[0] for line in done.stdout.splitlines()[1:3]] == ["events", "purge"]
    await server.pool.execute(
        "update scheduled_tasks set known_since = now() - interval '1 day', error = 'media: away'"
        " where name = 'purge'"
    )
    done = await scheduler(database, "list", "--json")
    assert done.exit_code == 1
    tasks = {it["task"]: it for it in json.loads(done.stdout)["tasks"]}
    assert (tasks["purge"]["late"], tasks["events"]["late"]) == (True, False)


async def test_a_task_that_is_not_known_or_that_nobody_runs_is_told(
    server: Server, database: str
) -> None:
    await know_tasks(server.pool, {"purge": 60})
    done = await scheduler(database, "run", "tidy")
    assert (done.exit_code, "there are purge" in done.stderr) == (2, True)
    done = await scheduler(database, "run", "purge", "--timeout", "0")
    assert done.exit_code == 3
    assert "no instance with the scheduler role" in done.stderr
    await take_lease(server.pool, "scheduler", "one", 60)
    done = await scheduler(database, "run", "purge", "--timeout", "0")
    assert (done.exit_code, "one goes on with it" in done.stderr) == (3, True)


async def test_a_database_that_is_away_is_told() -> None:
    done = await scheduler("postgresql://x:y@127.0.0.1:1/z", "list")
    assert done.exit_code == 3
