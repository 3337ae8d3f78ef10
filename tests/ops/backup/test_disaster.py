"""Rehearsal: both servers and the media are destroyed, and the commands bring everything back."""

from __future__ import annotations

import os
import re
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from twisted.internet.threads import deferToThread

from nizam.embedded.postgres import PrivatePostgres
from nizam.embedded.redis import PrivateRedis
from nizam.store.migrate import upgrade
from tests.daemon.conftest import DURATIONS, PACE
from tests.daemon.process import end_all
from tests.daemon.site import (
    XML_PASSWORD,
    XML_USERNAME,
    Site,
    build_site,
    connected,
    demo_scenery,
    environment,
    stop_site,
)
from tests.database_settings import database_settings
from tests.ops.backup.conftest import Installation, installation_in, redis_settings

pytestmark = [pytest.mark.rehearsal, pytest.mark.time_limit(240)]

DOMAIN = "acme.example.test"
ASKED = ("extensions", "dids", "ring-groups", "ivrs", "webhooks", "cdrs")
_ID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_PLAIN_LOGIN = "create role app login createrole password 'app-password'"


@pytest.fixture(autouse=True)
def no_daemon_outlives_its_test() -> Iterator[None]:
    yield
    end_all()


@contextmanager
def servers(folder: Path) -> Iterator[tuple[PrivatePostgres, PrivateRedis]]:
    with PrivatePostgres(folder / "postgres") as postgres, PrivateRedis(folder / "redis") as redis:
        yield postgres, redis


def login(postgres: PrivatePostgres, *, database: bool) -> str:
    """The DSN of a role as docs/install.md has it, with or without its database."""
    connection = psycopg2.connect(postgres.dsn("postgres"))
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(_PLAIN_LOGIN)
        if database:
            cursor.execute("create database app owner app")
        else:
            cursor.execute("alter role app createdb")
    connection.close()
    return f"postgresql://app:app-password@{postgres.host}:{postgres.port}/app"


async def answers(site: Site) -> dict[str, Any]:
    """What FreeSWITCH and integrators are told."""
    found: dict[str, Any] = {}
    for path in ASKED:
        listed = await site.api.request(
            "GET", f"/api/v1/tenants/{site.tenant_id}/{path}", limit="200"
        )
        found[path] = listed["data"]
    questions = [
        {
            "section": "directory",
            "action": "sip_auth",
            "user": number,
            "domain": DOMAIN,
            "sip_auth_username": number,
            "sip_auth_realm": DOMAIN,
        }
        for number in ("1001", "1002")
    ]
    questions += [
        {
            "section": "dialplan",
            "Hunt-Context": DOMAIN,
            "Hunt-Destination-Number": number,
            "Unique-ID": "11111111-1111-4111-8111-111111111111",
            "variable_sip_authorized": "true",
            "variable_sip_auth_username": "1001",
            "variable_domain_name": DOMAIN,
        }
        for number in ("1002", "2000")
    ]
    for question in questions:
        status, body = await site.daemon.request(
            "POST", "/freeswitch/xml", data=question, auth=(XML_USERNAME, XML_PASSWORD)
        )
        assert status == 200
        assert b'<param name="a1-hash"' in body or b'application="' in body, body
        # Each answer has an id of its own for the call.
        found[str(question)] = _ID.sub(b"id", body)
    return found


async def run(installation: Installation, *arguments: str) -> str:
    done = await deferToThread(installation.run, *arguments)
    assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
    return done.stdout


async def test_everything_is_destroyed_and_comes_back(tmp_path: Path) -> None:
    from twisted.internet import reactor

    machine = tmp_path / "machine"
    machine.mkdir()
    with servers(machine) as (postgres, redis):
        database = login(postgres, database=True)
        await deferToThread(upgrade, database)
        installed = installation_in(machine, {})
        logs = tmp_path / "logs"
        logs.mkdir()
        more = {"NIZAM_MEDIA_ROOT": str(installed.media)}
        site = await build_site(
            reactor, database, redis.url(), logs, demo_scenery(PACE, DURATIONS), more
        )
        settings = environment(database, redis.url(), logs, 0x1F90, 8021)
        keys = {"NIZAM_SECRET_KEYS": settings["NIZAM_SECRET_KEYS"]}
        at = database_settings(database) | redis_settings(redis.url())
        installed = installed.with_(**at, **keys)
        await site.call_for(3.0)
        assert await site.settled() == []
        before = await answers(site)
        assert len(before["cdrs"]) > 20

        # While the daemon works.
        site.switch.calls.start(3.0)
        await run(installed, "backup")
        site.switch.stop_calls()
        name = installed.folder.backups()[0].path.name
        verified = await run(installed, "backup", "verify")
        assert verified.count("\nok") >= 7, verified
        extensions = f"/api/v1/tenants/{site.tenant_id}/extensions"
        await site.api.request("POST", extensions, {"number": "1999", "display_name": "Later"})

        await site.switch.drain()
        site.daemon.kill()
        for server in (postgres, redis):
            assert server.pid is not None
            os.kill(server.pid, signal.SIGKILL)
    shutil.move(installed.folder.path, tmp_path / "backups")
    shutil.rmtree(machine)

    machine.mkdir()
    with servers(machine) as (postgres, redis):
        database = login(postgres, database=False)
        at = database_settings(database) | redis_settings(redis.url())
        restored = installed.with_(**at, NIZAM_BACKUP_FOLDER=str(tmp_path / "backups"))
        began = time.monotonic()
        said = await run(restored, "restore", name, "--yes")
        seconds = time.monotonic() - began
        assert "migrations: none since" in said
        site.daemon.change(at)
        site.daemon.start()
        await site.daemon.ready()
        after = await answers(site)
        former = {it["call_id"] for it in before["cdrs"]}
        after["cdrs"] = [it for it in after["cdrs"] if it["call_id"] in former]
        for what, answer in before.items():
            assert after[what] == answer, what
        assert (installed.media / "t1/recordings/call.wav").stat().st_size == 25_600

        site.database = database
        await connected(site)
        await site.call_for(2.0)
        await site.switch.drain()
        assert site.daemon.logged("error", "critical") == []
        assert (await run(restored, "audit", "verify")).split()[-1] == "whole"
        await run(restored, "secrets", "status")
        await stop_site(site)
        print(f"restored within {seconds:.1f} s")
