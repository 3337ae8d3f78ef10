"""The migrations make exactly the tables that the code works with."""

from __future__ import annotations

import psycopg2
import pytest

from nizam.errors import DatabaseUnavailable
from nizam.store.migrate import current, differences, pending, upgrade


def test_an_empty_database_is_brought_up_to_date_once(empty_database: str) -> None:
    missing = pending(empty_database)
    assert missing[0] == "0001_resources"
    assert current(empty_database) is None
    upgrade(empty_database)
    assert pending(empty_database) == []
    assert current(empty_database) == missing[-1]
    upgrade(empty_database)


def test_the_migrations_and_the_tables_say_the_same(database: str) -> None:
    assert differences(database) == []


def test_every_table_with_a_tenant_has_forced_row_level_security(database: str) -> None:
    with psycopg2.connect(database) as connection, connection.cursor() as cursor:
        cursor.execute(
            "select c.relname from pg_class c join pg_attribute a on a.attrelid = c.oid "
            "where c.relkind in ('r', 'p') and not c.relispartition "
            "and a.attname = 'tenant_id' and c.relnamespace = 'public'::regnamespace "
            "and c.relname <> 'api_keys' and not (relrowsecurity and relforcerowsecurity)"
        )
        assert cursor.fetchall() == []
    connection.close()


def test_without_a_server_it_says_so() -> None:
    with pytest.raises(DatabaseUnavailable):
        upgrade("postgresql://nizam:nizam@127.0.0.1:1/nizam")
