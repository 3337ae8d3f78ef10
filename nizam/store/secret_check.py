"""Whether stored secrets can be decrypted: some of each place and key are tried. Synchronous, for
backups."""

from __future__ import annotations

from typing import Any, Final

import psycopg2.extras

from nizam.errors import InternalError
from nizam.settings import SecretKey
from nizam.store.secret_rotation import Place, places, stored_keys
from nizam.store.secrets import SecretBox, key_of

SAMPLE: Final = 20
"""How many rows are tried of each place and key."""


def unreadable(connection: Any, keys: tuple[SecretKey, ...]) -> tuple[int, list[str]]:
    """How many texts were tried with `keys` and the one that the database itself may hold, and
    what is wrong: at most one line for each place and key."""
    psycopg2.extras.register_uuid(None, connection)  # type: ignore[no-untyped-call]
    box = SecretBox((*keys, *stored_keys(connection), _NOBODYS))
    tried, problems = 0, []
    for place in places():
        for key in _keys_of(connection, place):
            number, problem = _try(connection, place, key, box)
            tried += number
            if problem is not None:
                problems.append(f"{place.name}: {problem}")
    return tried, problems


# A box must have a key; this one has encrypted nothing.
_NOBODYS: Final = SecretKey("", bytes(32))


def _keys_of(connection: Any, place: Place) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            f"select distinct split_part(it.text, ':', 2) from {place.table} t, {place.texts} "  # noqa: S608 - our own names
            "where it.text is not null order by 1"
        )
        return [row[0] for row in cursor.fetchall()]


def _try(connection: Any, place: Place, key: str, box: SecretBox) -> tuple[int, str | None]:
    names = ", ".join(f"t.{it}" for it in place.key)
    with connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor:
        cursor.execute(
            f"select {names}, t.{place.column} as texts from {place.table} t where exists ("  # noqa: S608 - our own names
            f"select from {place.texts} where starts_with(it.text, %s)) limit %s",
            (f"v1:{key}:", SAMPLE),
        )
        rows = cursor.fetchall()
    tried = 0
    for row in rows:
        texts = row["texts"] if place.json else {"": row["texts"]}
        for field, text in texts.items():
            if text is not None and key_of(text) == key:
                try:
                    box.decrypt(text, *place.bound(row, field))
                except InternalError as error:
                    return tried, error.detail
                tried += 1
    return tried, None
