"""The SQL on pages is what PostgreSQL and NIZAM's tables understand; a replica is made by the
command of docs/postgresql.md."""

from __future__ import annotations

import contextlib
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from nizam.embedded.account import account_for, command_prefix
from nizam.embedded.postgres import PrivatePostgres
from tests.pages import DOCS, PAGES, REPOSITORY, blocks, commands
from tests.servers import Primary, program

INLINE = re.compile(r"`(select [^`]+)`")


@contextlib.contextmanager
def connected(dsn: str) -> Iterator[psycopg2.extensions.connection]:
    connection = psycopg2.connect(dsn, connect_timeout=10)
    connection.autocommit = True
    try:
        yield connection
    finally:
        connection.close()


def statements(page: str) -> list[str]:
    """The statements of the SQL blocks of a page."""
    return [
        it.strip()
        for block in blocks(page, "sql")
        for it in re.sub(r"^--.*$", "", block, flags=re.MULTILINE).split(";")
        if it.strip()
    ]


SQL = [
    it.name for it in sorted(DOCS.glob("*.md")) if it.name != "install.md" and statements(it.name)
]


@pytest.mark.parametrize("page", SQL)
def test_the_statements_of_a_page_are_understood(database: str, page: str) -> None:
    with connected(database) as connection, connection.cursor() as cursor:
        cursor.execute(
            "select relid::regclass::text from pg_partition_tree('call_events')"
            " where isleaf order by 1 limit 1"
        )
        (month,) = cursor.fetchone() or ("",)
        for it in statements(page):
            cursor.execute(it.replace("call_events_2026_01", month))


def test_statements_in_sentences_can_be_run(database: str) -> None:
    found = [" ".join(it.split()) for page in PAGES for it in INLINE.findall(page.read_text())]
    assert len(found) > 3
    with connected(database) as connection, connection.cursor() as cursor:
        for it in found:
            cursor.execute(f"explain {it.rstrip(';')}")


def test_the_role_of_the_page_on_installing_owns_its_database(postgres: PrivatePostgres) -> None:
    with connected(postgres.dsn("postgres")) as connection, connection.cursor() as cursor:
        try:
            for it in statements("install.md"):
                text = it.replace("nizam_app", "page_app").replace(
                    "database nizam", "database page"
                )
                cursor.execute(text)
            cursor.execute("select pg_get_userbyid(datdba) from pg_database where datname = 'page'")
            assert cursor.fetchone() == ("page_app",)
        finally:
            cursor.execute("drop database if exists page")
            cursor.execute("drop role if exists page_app")


@pytest.mark.rehearsal
@pytest.mark.time_limit(120)
def test_a_replica_is_made_by_the_command_of_the_page(tmp_path: Path) -> None:
    """It makes its slot, and the copy is a standby of the primary."""
    (command,) = [it for it in commands("postgresql.md") if it.startswith("pg_basebackup ")]
    primary = Primary(tmp_path / "primary")
    with primary:
        found = shlex.split(command)
        data = tmp_path / "replica"
        data.mkdir(mode=0o700)
        found[0] = str(program(tmp_path, "pg_basebackup"))
        found[found.index("-d") + 1] = primary.dsn("postgres")
        found[found.index("-D") + 1] = str(data)
        account = account_for(tmp_path / "primary" / "data")
        account.own(data)
        prefix = command_prefix(account, [data], end_signal="TERM")
        subprocess.run([*prefix, *found], check=True, timeout=60, cwd="/", capture_output=True)
        assert (data / "standby.signal").exists()
        assert "replica_1" in (data / "postgresql.auto.conf").read_text()
        with connected(primary.dsn("postgres")) as connection, connection.cursor() as cursor:
            cursor.execute("select slot_name from pg_replication_slots")
            assert cursor.fetchall() == [("replica_1",)]


def test_the_page_names_this_rehearsal() -> None:
    assert Path(__file__) == REPOSITORY / "tests/store/test_postgresql_page.py"
    assert "tests/store/test_postgresql_page.py" in (DOCS / "postgresql.md").read_text()
