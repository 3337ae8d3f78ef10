"""The migrations make exactly the tables that the code works with."""

from __future__ import annotations

from urllib.parse import urlsplit

import psycopg2
import pytest
from twisted.internet import reactor

from nizam.embedded.postgres import PrivatePostgres
from nizam.errors import DatabaseUnavailable
from nizam.model.identifiers import new_id
from nizam.ops.doctor import Area
from nizam.store.migrate import current, differences, pending, upgrade
from nizam.store.pool import Pool
from nizam.store.store import Store
from tests.cli.conftest import nizam
from tests.database_settings import database_settings
from tests.ops.doctor.findings import FAILURE, found_with, is_right, is_wrong
from tests.store.conftest import BOX, make_tenant


def test_an_empty_database_is_brought_up_to_date_once(empty_database: str) -> None:
    missing = pending(empty_database)
    assert missing[0] == "0001_resources"
    assert current(empty_database) is None
    upgrade(empty_database)
    assert pending(empty_database) == []
    assert current(empty_database) == missing[-1]
    upgrade(empty_database)


def at_revision(dsn: str, name: str) -> None:
    """Says in the database that it has this migration last."""
    with psycopg2.connect(dsn) as connection, connection.cursor() as cursor:
        cursor.execute("update alembic_version set version_num = %s", (name,))
    connection.close()


@pytest.mark.parametrize(
    ("revision", "status", "said"),
    [
        ("9999_later", 0, "nothing to do: the database is at 9999_later, of a newer release"),
        ("f00dfeed", 1, "the database is at the revision 'f00dfeed', which is none of NIZAM's"),
    ],
)
def test_a_database_of_a_newer_release_or_another_program_is_left_as_it_is(
    empty_database: str, revision: str, status: int, said: str
) -> None:
    upgrade(empty_database)
    at_revision(empty_database, revision)
    there = database_settings(empty_database)
    done = nizam("migrate", environment=there)
    assert (done.exit_code, done.output[: len(said)]) == (status, said)
    assert current(empty_database) == revision
    found = found_with(there, Area.DATABASE)
    if status:
        is_wrong(found, "database.migrations", FAILURE, "none of NIZAM's")
    else:
        is_right(found, "database.migrations")


def test_the_migrations_and_the_tables_say_the_same(database: str) -> None:
    assert differences(database) == []


def test_every_table_with_a_tenant_has_forced_row_level_security(database: str) -> None:
    with psycopg2.connect(database) as connection, connection.cursor() as cursor:
        cursor.execute(
            "select c.relname from pg_class c join pg_attribute a on a.attrelid = c.oid "
            "where c.relkind in ('r', 'p') and not c.relispartition "
            "and a.attname = 'tenant_id' and c.relnamespace = 'public'::regnamespace "
            "and not (relrowsecurity and relforcerowsecurity)"
        )
        assert cursor.fetchall() == []
    connection.close()


async def test_a_login_without_superuser_rights_is_enough(
    postgres: PrivatePostgres, empty_database: str
) -> None:
    address = f"{postgres.host}:{postgres.port}/{urlsplit(empty_database).path[1:]}"
    plain = f"postgresql://plain:plain-password@{address}"
    with psycopg2.connect(empty_database) as connection, connection.cursor() as cursor:
        cursor.execute("create role plain login createrole password 'plain-password'")
        cursor.execute("grant all on schema public to plain")
        # The role is there already, as it is where another database of the server has it.
        cursor.execute(
            "do $$ begin if exists (select from pg_roles where rolname = 'nizam_tenant') then "
            "grant nizam_tenant to plain; end if; end $$"
        )
    connection.close()
    upgrade(plain)
    pool = Pool(reactor, plain, size=2, name="test")
    await pool.start()
    acme = await make_tenant(Store(pool, BOX), "acme")
    made = await acme.create("extension", number="1001", display_name="Ada")
    assert (await acme.get("extension", made.id)).body["number"] == "1001"
    assert await pool.query("select count(*) from extensions") == [(1,)]
    assert await pool.tenant_query(new_id(), "select count(*) from extensions") == [(0,)]
    await pool.stop()
    with psycopg2.connect(empty_database) as connection, connection.cursor() as cursor:
        cursor.execute("drop owned by plain cascade")
        cursor.execute("drop role plain")
    connection.close()


def test_without_a_server_it_says_so() -> None:
    with pytest.raises(DatabaseUnavailable):
        upgrade("postgresql://nizam:nizam@127.0.0.1:1/nizam")
