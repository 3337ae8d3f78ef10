"""Rehearsal: whatever ends a backup leaves nothing of it, and says what to do."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg2
import pytest

from nizam.ops.backup.make import Wanted
from nizam.ops.backup.verify import verify_backup
from tests.daemon.process import descendants
from tests.ops.backup.conftest import Installation, quiet

pytestmark = [pytest.mark.rehearsal, pytest.mark.time_limit(300)]


@contextlib.contextmanager
def held(dsn: str) -> Iterator[None]:
    """Hold a table that pg_dump needs and the counting of rows does not, and so the backup."""
    with contextlib.closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
        cursor.execute("lock table only call_events in access exclusive mode")
        yield


def dumping(child: subprocess.Popen[str]) -> int:
    """The process id of its pg_dump, once it runs."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        for pid in descendants(child.pid):
            if b"--format=custom" in Path(f"/proc/{pid}/cmdline").read_bytes():
                return pid
        time.sleep(0.05)
    raise AssertionError("pg_dump was not started")


def left(installation: Installation) -> list[str]:
    return sorted(it.name for it in installation.folder.path.iterdir())


def kill_the_dump(child: subprocess.Popen[str], dsn: str) -> None:
    os.kill(dumping(child), signal.SIGKILL)


def lose_the_server(child: subprocess.Popen[str], dsn: str) -> None:
    dumping(child)
    with contextlib.closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
        # Within one transaction the activity would stay what it was at first.
        connection.autocommit = True
        end = time.monotonic() + 20
        while not cursor.rowcount > 0:
            assert time.monotonic() < end, "pg_dump never waited for the table"
            cursor.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where application_name = 'nizam backup' and wait_event_type = 'Lock'"
            )
            time.sleep(0.05)


def stop(child: subprocess.Popen[str], dsn: str) -> None:
    dumping(child)
    child.send_signal(signal.SIGTERM)


def interrupt(child: subprocess.Popen[str], dsn: str) -> None:
    dumping(child)
    child.send_signal(signal.SIGINT)


@pytest.mark.parametrize(
    ("fault", "status", "said"),
    [
        (kill_the_dump, 1, "pg_dump was ended by signal 9: out of memory? journalctl -k says"),
        (lose_the_server, 3, "pg_dump has lost PostgreSQL"),
        (stop, 143, ""),
        (interrupt, 1, "Aborted!"),
    ],
)
def test_what_ends_it_in_the_middle_leaves_nothing(
    installation: Installation,
    database: str,
    fault: Callable[[subprocess.Popen[str], str], None],
    status: int,
    said: str,
) -> None:
    with held(database), installation.start("backup") as child:
        fault(child, database)
        output, errors = child.communicate(timeout=30)
    assert (child.returncode, output) == (status, ""), errors
    assert said in errors
    assert left(installation) == [".lock"]
    assert installation.run("backup").returncode == 0


def test_what_a_killed_one_leaves_has_no_real_name_and_goes_with_the_next(
    installation: Installation, database: str
) -> None:
    with held(database), installation.start("backup") as child:
        dump = dumping(child)
        child.kill()
        child.communicate(timeout=30)
        os.kill(dump, signal.SIGKILL)
    assert left(installation)[1].startswith(".unfinished-")
    assert installation.folder.backups() == []
    done = installation.run("backup")
    assert done.returncode == 0, done.stderr
    assert len(left(installation)) == 2


def test_a_second_one_meanwhile_is_refused_and_harms_nothing(
    installation: Installation, database: str
) -> None:
    with installation.start("backup") as child:
        with held(database):
            dumping(child)
            second = installation.run("backup")
        assert (second.returncode, f"(process {child.pid})" in second.stderr) == (1, True)
        _, errors = child.communicate(timeout=60)
    assert child.returncode == 0, errors
    assert len(installation.folder.backups()) == 1


def test_a_full_disk_is_said(installation: Installation, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    size = "size=300k"
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", size, "none", disk], check=False)
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        for more in (("--without-media",), ("--without-media", "--without-redis")):
            done = installation.run("backup", "--to", str(disk), *more)
            assert (done.returncode, done.stdout) == (1, ""), done.stderr
            assert "disk" in done.stderr
            assert "full" in done.stderr
            assert [it.name for it in disk.iterdir()] == [".lock"]
        (installation.media / "large.wav").write_bytes(bytes(400_000))
        subprocess.run(["mount", "-o", "remount,size=1M", disk], check=True)
        (installation.media / "larger.wav").write_bytes(bytes(2_000_000))
        done = installation.run("backup", "--to", str(disk))
        assert done.returncode == 1
        assert "is full: make room there, or name another folder with --to" in done.stderr
        assert [it.name for it in disk.iterdir()] == [".lock"]
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_file_that_may_not_be_so_large_is_said(installation: Installation) -> None:
    (installation.media / "large.wav").write_bytes(bytes(700_000))
    limited = ["prlimit", f"--fsize={600_000}", "--"]
    if shutil.which("prlimit") is None:
        pytest.skip("prlimit (util-linux) is not here")
    with installation.start("backup", prefix=limited) as child:
        _, errors = child.communicate(timeout=60)
    assert child.returncode == 1
    assert "larger than a file may be here (ulimit -f)" in errors
    assert left(installation) == [".lock"]


def test_a_changed_byte_in_each_file_is_found(installation: Installation) -> None:
    made = installation.backup(Wanted())
    keys = installation.settings.secret_keys
    assert verify_backup(made.path, keys, quiet).good
    paths = [it for it in made.path.rglob("*") if it.is_file()]
    assert len(paths) == 7
    for path in paths:
        content = path.read_bytes()
        for place in (len(content) // 3, len(content) - 1):
            path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
            done = installation.run("backup", "verify")
            spaces = path.name == "manifest.json" and content[place : place + 1].isspace()
            assert (done.returncode, spaces) != (0, False), path
            if path.name != "manifest.json":
                assert path.name in done.stdout, done.stdout
        path.write_bytes(content)
