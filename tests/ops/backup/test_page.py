"""The commands of docs/backup.md, one after the other: an installation is backed up, looked at
and restored where everything was lost. What puts PostgreSQL back to a moment is in
tests/deploy/test_point_in_time.py."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from nizam.embedded.postgres import PrivatePostgres
from nizam.embedded.redis import PrivateRedis
from tests.cli.conftest import nizam
from tests.ops.backup.conftest import Installation
from tests.ops.backup.test_restoring import ask
from tests.pages import commands, parts

PAGE = "backup.md"
NAMED = "2026-11-29T024500Z"
LOOK = "nizam_look"


def of_page() -> list[str]:
    """What asks NIZAM, and the database that one of them needs."""
    found = [part for command in commands(PAGE) for part in parts(command)]
    return [it for it in found if re.match(r"(\w+=\w+ )?(nizam|createdb) ", it)]


@pytest.fixture
def look(postgres: PrivatePostgres) -> Iterator[str]:
    """Stands for the database to look at, which the page has `createdb` make."""
    dsn = postgres.dsn("postgres")
    yield dsn
    ask(dsn, f"drop database if exists {LOOK} with (force)")


@pytest.mark.time_limit(120)
def test_the_commands_of_the_page_back_up_and_restore(
    installation: Installation,
    empty_database: str,
    other_redis: PrivateRedis,
    look: str,
    tmp_path: Path,
) -> None:
    lost = installation.with_(
        DB_DATABASE=empty_database.rpartition("/")[2],
        REDIS_PORT=str(other_redis.port),
        REDIS_PASSWORD=other_redis.password,
        NIZAM_MEDIA_ROOT=str(tmp_path / "new-media"),
        NIZAM_FREESWITCH_CONFIGURATION=str(tmp_path / "new" / "freeswitch"),
    )
    (tmp_path / "new-media").mkdir()
    made, done = "", []
    for text in of_page():
        words = shlex.split(text.replace(NAMED, made).replace("/mnt/", f"{tmp_path}/"))
        given = dict(it.split("=", 1) for it in words if re.match(r"[A-Z_]+=", it))
        words = words[len(given) :]
        if words[0] == "createdb":
            assert words == ["createdb", "-O", "nizam_app", LOOK]
            ask(look, f"create database {LOOK}")
            continue
        if "restore" in words and "database" in words and not given:
            # As if it had been lost once more.
            ask(look, f"drop database {lost.environment['DB_DATABASE']} with (force)")
        if "restore" in words and "--yes" not in words:
            words.append("--yes")  # It asks a person, and nobody can be asked here.
        restores = "restore" in words or "doctor" in words
        settings = (lost if restores else installation).environment | given
        ended = nizam(*words[1:], environment=settings)
        findings = (0, 1, 2) if words[1] == "doctor" else (0,)
        assert ended.exit_code in findings, (text, ended.output, ended.exception)
        made = made or max(it.name for it in installation.folder.path.iterdir())
        done.append(words[1:])
    assert len(done) >= 9
    assert ask(empty_database, "select slug from tenants") == [("acme",)]
    beside = f"{look.rpartition('/')[0]}/{LOOK}"
    assert ask(beside, "select slug from tenants") == [("acme",)]
    assert (tmp_path / "new-media/t1/greeting.wav").read_bytes() == b"hello"
    assert [it.name for it in (tmp_path / "backups").iterdir()]
