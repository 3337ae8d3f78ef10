"""From SQLAlchemy Core to the text and parameters that psycopg2 takes."""

from __future__ import annotations

from typing import Any

from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2
from sqlalchemy.sql import ClauseElement

_DIALECT = PGDialect_psycopg2()  # type: ignore[no-untyped-call]


def compile_statement(statement: ClauseElement) -> tuple[str, dict[str, Any]]:
    """The SQL with `%(name)s` placeholders, and its parameters as they were given.

    Compiling applies no type processors: dicts and UUIDs are adapted by psycopg2.
    """
    compiled = statement.compile(dialect=_DIALECT, compile_kwargs={"render_postcompile": True})
    return str(compiled), dict(compiled.params)
