"""A connection to PostgreSQL that waits for nothing long."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg2

from nizam.ops.doctor.running import ANSWER_SECONDS, NotReachedError, ProbeError

Rows = list[tuple[Any, ...]]


class Asked:
    """Asks one server. What it refuses to answer raises ProbeError with its words."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def rows(self, sql: str, arguments: Any = ()) -> Rows:
        """The rows of a query."""
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(sql, arguments or None)
                return list(cursor.fetchall())
        except psycopg2.errors.UndefinedTable:
            raise NotReachedError("the database is not migrated: nizam migrate") from None
        except psycopg2.Error as error:
            raise ProbeError(f"PostgreSQL refuses: {str(error).strip()}") from None

    def value(self, sql: str, arguments: Any = ()) -> Any:
        """The one value of a query."""
        return self.rows(sql, arguments)[0][0]

    @property
    def version(self) -> tuple[int, int]:
        """Such as (15, 4)."""
        number = int(self._connection.server_version)
        return number // 10000, number % 10000


@contextmanager
def asked(dsn: str) -> Iterator[Asked]:
    """A connection for the time of the block; NotReachedError when there can be none."""
    try:
        connection = psycopg2.connect(
            dsn, options=f"-c statement_timeout={int(ANSWER_SECONDS * 1000)}"
        )
    except psycopg2.Error as error:
        raise NotReachedError(str(error).strip()) from None
    with closing(connection):
        connection.autocommit = True
        yield Asked(connection)
