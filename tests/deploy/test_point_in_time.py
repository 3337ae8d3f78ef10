"""Rehearsal: rows are made, an accident deletes them, and the database is brought to the moment
before, by the commands of docs/backup.md and the files in deploy/postgresql."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from nizam.embedded.account import account_for
from nizam.embedded.postgres import PrivatePostgres
from nizam.ops.backup.programs import find_program
from nizam.store.migrate import upgrade
from nizam.store.verify_audit import verify
from tests.deploy.files import DEPLOY
from tests.pages import blocks

FOLDER = DEPLOY / "postgresql"
MAIN = "/var/lib/postgresql/15/main"
_SETTING = re.compile(r"^(\w+) = '?(.*?)'?$", re.MULTILINE)


@contextlib.contextmanager
def asking(server: PrivatePostgres) -> Iterator[Any]:
    connection = psycopg2.connect(server.dsn())
    connection.autocommit = True
    with contextlib.closing(connection), connection.cursor() as cursor:
        yield cursor


def wait(condition: Any, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def _recovering(cursor: Any) -> bool:
    cursor.execute("select pg_is_in_recovery()")
    return bool(cursor.fetchone()[0])


def page(word: str) -> list[str]:
    """The lines of the block of docs/backup.md that has this word."""
    (block,) = [it for it in blocks("backup.md", "sh") if word in it]
    return block.splitlines()


@pytest.mark.rehearsal
@pytest.mark.time_limit(120)
def test_the_moment_before_an_accident_comes_back(tmp_path: Path) -> None:
    mount, folder = tmp_path / "mnt", tmp_path / "postgres"
    owner = account_for(folder / "data")
    tmp_path.chmod(0o755)
    tmp_path.parent.chmod(0o755)
    script = shutil.copy(FOLDER / "archive-wal", tmp_path / "archive-wal")

    def here(text: str) -> str:
        text = text.replace("/usr/local/bin/archive-wal", str(script))
        text = text.replace(MAIN, str(folder / "data")).replace("/mnt/", f"{mount}/")
        text = text.replace("-o postgres -g postgres", f"-o {owner.uid} -g {owner.gid}")
        return text.replace("postgres:postgres", f"{owner.uid}:{owner.gid}")

    def run(lines: list[str], **environment: str) -> None:
        path = f"{programs}:{os.environ['PATH']}"
        done = subprocess.run(
            ["sh", "-euc", here("\n".join(lines)).replace("sudo -u postgres ", "")],
            env={**os.environ, "PATH": path, **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    mount.mkdir(mode=0o755)
    settings = _SETTING.findall(here((FOLDER / "archiving.conf").read_text()))
    assert {"archive_mode", "archive_command", "archive_timeout"} < {name for name, _ in settings}
    options = [f"{name}={value}" for name, value in settings]
    programs = str(find_program("pg_basebackup", 15, "this test").path.parent)
    run([it for it in page("archive-wal /usr") if "install -d" in it])

    with PrivatePostgres(folder, options=options) as server:
        upgrade(server.dsn())
        reached = {
            "PGHOST": server.host,
            "PGPORT": str(server.port),
            "PGUSER": server.username,
            "PGPASSWORD": server.password,
        }
        with asking(server) as cursor:
            cursor.execute("create table made (number int, at timestamptz default now())")
            cursor.execute("insert into made values (1)")
            run([it for it in page("pg_basebackup") if "pg_basebackup" in it], **reached)
            cursor.execute("insert into made values (2)")
            time.sleep(1.1)
            cursor.execute("select date_trunc('milliseconds', clock_timestamp())")
            (moment,) = cursor.fetchone()
            time.sleep(0.1)
            cursor.execute("delete from made")
            cursor.execute("insert into made values (3)")
        wait(lambda: list((mount / "wal").glob("*.backup")))
        run([it for it in page("pg_basebackup") if "pg_archivecleanup" in it])
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)

    (base,) = (mount / "base").iterdir()
    lines = [it for it in page("recovery.signal") if not it.startswith("systemctl")]
    lines = [it.replace("2026-11-29 11:59:00+00", moment.isoformat(" ")) for it in lines]
    run([it.replace("2026-11-29/base", f"{base.name}/base") for it in lines])
    with PrivatePostgres(folder, options=options) as server:
        with asking(server) as cursor:
            # It can be read from while it still runs through the log.
            wait(lambda: not _recovering(cursor))
            cursor.execute("select array_agg(number order by number) from made")
            assert cursor.fetchone() == ([1, 2],)
            cursor.execute("insert into made values (4)")
            cursor.execute("select pg_switch_wal()")
        assert not any(it.broken for it in verify(server.dsn()))
        wait(lambda: list((mount / "wal").glob("00000002.history")))
    (former,) = folder.glob("data.before")
    assert (former / "PG_VERSION").exists(), "nothing of what was is lost"


def keep(path: Path, name: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [FOLDER / "archive-wal", path, name, folder],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def test_the_log_is_kept_once_and_never_overwritten(tmp_path: Path) -> None:
    segment, folder = tmp_path / "000000010000000000000001", tmp_path / "wal"
    folder.mkdir()
    segment.write_bytes(b"one")
    for _ in range(2):
        assert keep(segment, segment.name, folder).returncode == 0
    segment.write_bytes(b"two")
    done = keep(segment, segment.name, folder)
    assert (done.returncode, "does a second server archive there?" in done.stderr) == (1, True)
    assert [it.name for it in folder.iterdir()] == [segment.name]
    assert (folder / segment.name).read_bytes() == b"one"


@pytest.mark.parametrize("missing", ["segment", "folder"])
def test_what_cannot_be_kept_is_not_said_to_be(tmp_path: Path, missing: str) -> None:
    segment, folder = tmp_path / "segment", tmp_path / "folder"
    folder.mkdir()
    segment.write_bytes(b"one")
    if missing == "segment":
        segment.unlink()
    else:
        folder.rmdir()
    assert keep(segment, "s", folder).returncode != 0
    assert not list(tmp_path.glob("folder/.*"))
