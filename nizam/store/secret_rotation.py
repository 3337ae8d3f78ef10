"""Re-encrypting every stored secret with the first key: synchronous, for `nizam secrets`.

It works in batches, each a transaction of its own, so that it can be ended and begun again at any
time, while daemons that have both keys run beside it. Objects that calls are routed from go
through the change feed, so that the snapshots of all instances, and their copy in Redis, get the
new texts as well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

import attrs
import orjson
import psycopg2
import psycopg2.extras

from nizam.errors import DatabaseUnavailable, InternalError
from nizam.model.registry import resources
from nizam.model.resource import Resource
from nizam.settings import SecretKey
from nizam.store import audit
from nizam.store.connection import Statement
from nizam.store.context import ChangeContext
from nizam.store.secrets import SecretBox, key_of
from nizam.store.system.secret_keys import STORED_KEY_ID

BATCH_ROWS = 200
_CONNECT_SECONDS = 10
_PASSES = 3
_ROTATOR = ChangeContext(actor_type="system", actor_name="nizam secrets rotate")
_NEXT_PLATFORM = "update platform_state set revision = revision + 1"
_CHANGED = """
insert into changes (tenant_id, revision, resource_type, resource_id, operation)
select {owner}, {revision}, %(type)s, t.id, 'updated' from {table} t where t.id = any(%(ids)s)
"""

# What an object was, and still is, stays the same text: whoever compares the two finds no change.
_SAME_AS_BEFORE = """
update resource_versions v set secrets = g.texts
from jsonb_to_recordset(%(rows)s::jsonb) as g(id uuid, former jsonb, texts jsonb)
    join {table} t on t.id = g.id
where v.tenant_id = t.tenant_id and v.resource_type = %(type)s and v.resource_id = g.id
    and v.secrets = g.former
"""

Row = Mapping[str, Any]
Bound = tuple[str, UUID | str, str]
"""What a text is bound to: resource type, id and field."""


@attrs.frozen(kw_only=True)
class Place:
    """A column with encrypted texts: one in each row, or a JSON object of them by field.

    `key` are the columns of the primary key with their types. `bound` says what the text of a
    field is bound to. `resource` is what the rows are, if they are objects.
    """

    name: str
    table: str
    column: str
    key: Mapping[str, str]
    bound: Callable[[Row, str], Bound]
    json: bool = False
    resource: Resource | None = None

    @property
    def texts(self) -> str:
        """SQL that gives the texts of a row `t`, as a column `text`."""
        if self.json:
            return f"jsonb_each_text(coalesce(t.{self.column}, '{{}}')) as it(field, text)"
        return f"lateral (select t.{self.column}) as it(text)"


def places() -> list[Place]:
    """Every column that holds encrypted texts."""
    found = [_of_resource(it) for it in resources().values() if it.secrets]
    versions = {
        "tenant_id": "uuid",
        "resource_type": "text",
        "resource_id": "uuid",
        "revision": "bigint",
    }
    return [
        *found,
        Place(
            name="former configurations",
            table="resource_versions",
            column="secrets",
            key=versions,
            json=True,
            bound=lambda row, field: (row["resource_type"], row["resource_id"], field),
        ),
        Place(
            name="former webhook secrets",
            table="webhook_states",
            column="previous_secret",
            key={"webhook_id": "uuid"},
            bound=lambda row, _: ("webhook", row["webhook_id"], "secret"),
        ),
        Place(
            name="kept answers",
            table="idempotency_keys",
            column="answer",
            key={"owner": "text", "key": "text"},
            bound=lambda row, _: ("idempotency", row["owner"], row["key"]),
        ),
    ]


def _of_resource(it: Resource) -> Place:
    return Place(
        name=it.table,
        table=it.table,
        column="secrets",
        key={"id": "uuid"},
        json=True,
        bound=lambda row, field: (it.name, row["id"], field),
        resource=it,
    )


@attrs.frozen(kw_only=True)
class Outcome:
    """What a rotation did: how many texts were encrypted again, and which could not be read, as
    `table field: reason`; `failed` counts these."""

    rotated: int
    failed: int
    problems: tuple[str, ...]


def counts(dsn: str) -> dict[str, Counter[str]]:
    """How many texts each place has under which key id. Raises DatabaseUnavailable."""
    with _connected(dsn) as connection:
        return counts_of(connection)


def counts_of(connection: Any) -> dict[str, Counter[str]]:
    """The same over a connection of psycopg2, in its transaction."""
    found: dict[str, Counter[str]] = {}
    with connection.cursor() as cursor:
        for place in places():
            cursor.execute(
                f"select split_part(it.text, ':', 2), count(*) from {place.table} t, "  # noqa: S608 - our own names
                f"{place.texts} where it.text is not null group by 1"
            )
            found[place.name] = Counter(dict(cursor.fetchall()))
    return found


def rotate(
    dsn: str,
    keys: tuple[SecretKey, ...],
    now: Callable[[], datetime],
    progress: Callable[[str, int], None] = lambda place, rows: None,
) -> Outcome:
    """Encrypt with the first of `keys` whatever another key encrypted; the database's own key is
    used for reading too. `progress` hears of each batch: the place, and its texts so far.

    What cannot be read stays as it is and is reported. Raises DatabaseUnavailable; what was done
    until then stays done.
    """
    with _connected(dsn) as connection:
        box = SecretBox((*keys, *stored_keys(connection)))
        rotated: Counter[str] = Counter()
        problems: dict[str, str] = {}
        for place in places():
            for _ in range(_PASSES):
                # Rows that others hold at the moment are passed over and taken by the next pass.
                if not _rotate_place(
                    connection, place, box, keys[0].id, rotated, problems, progress
                ):
                    break
        total = rotated.total()
        if total:
            entry = audit.AuditEntry(
                action="rotated",
                resource_type="secret_key",
                after={"key_id": keys[0].id, "texts": dict(rotated)},
            )
            with connection, connection.cursor() as cursor:
                cursor.execute(*audit.append(_ROTATOR, now(), [entry]))
        return Outcome(
            rotated=total,
            failed=len(problems),
            problems=tuple(f"{place}: {reason}" for place, reason in problems.items()),
        )


def forget_stored_key(dsn: str) -> bool:
    """Remove the key that the database itself holds; False, and nothing is done, while anything
    is still encrypted with it."""
    if any(STORED_KEY_ID in it for it in counts(dsn).values()):
        return False
    with _connected(dsn) as connection, connection, connection.cursor() as cursor:
        cursor.execute("delete from secret_keys where id = %s", (STORED_KEY_ID,))
    return True


def _rotate_place(
    connection: Any,
    place: Place,
    box: SecretBox,
    key_id: str,
    rotated: Counter[str],
    problems: dict[str, str],
    progress: Callable[[str, int], None],
) -> int:
    """Go through a place once; how many texts were encrypted again."""
    done = 0
    for batch in _batches(connection, place, key_id):
        changed = []
        for row in batch:
            texts, count = _again(place, row, box, key_id, problems)
            if count:
                key = {name: row[name] for name in place.key}
                changed.append({**key, "former": row["texts"], "texts": texts})
                done += count
                rotated[place.name] += count
        if changed:
            _save(connection, place, changed)
        connection.commit()
        progress(place.name, rotated[place.name])
    return done


def _batches(connection: Any, place: Place, key_id: str) -> Iterator[list[dict[str, Any]]]:
    """The rows with texts of other keys, in the order of their keys, locked until the commit."""
    names = ", ".join(f"t.{it}" for it in place.key)
    stale = f"exists (select from {place.texts} where not starts_with(it.text, %(current)s))"
    last: list[Any] = []
    while True:
        given = {"current": f"v1:{key_id}:", "limit": BATCH_ROWS}
        after = ""
        if last:
            parts = ", ".join(f"%(last{n})s::{kind}" for n, kind in enumerate(place.key.values()))
            after = f"and ({names}) > ({parts})"
            given |= {f"last{n}": value for n, value in enumerate(last)}
        with connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor:
            if place.resource is not None and place.resource.routed:
                _lock_owners(cursor, place, f"{stale} {after}", names, given)
            cursor.execute(
                f"select {names}, t.{place.column} as texts from {place.table} t "  # noqa: S608 - our own names
                f"where {stale} {after} order by {names} limit %(limit)s for update skip locked",
                given,
            )
            rows = cursor.fetchall()
        if rows:
            last = [rows[-1][name] for name in place.key]
            yield rows
        connection.commit()
        if len(rows) < BATCH_ROWS:
            return


def _lock_owners(
    cursor: Any, place: Place, where: str, names: str, given: Mapping[str, Any]
) -> None:
    """Wait for changes of the owners to end, as every change does before it touches a row."""
    if place.resource is not None and place.resource.scope == "tenant":
        cursor.execute(
            "select from tenants where id in (select tenant_id from ("  # noqa: S608 - our own names
            f"select t.tenant_id from {place.table} t where {where} order by {names} "
            "limit %(limit)s) it) order by id for update",
            given,
        )
    else:
        cursor.execute("select from platform_state for update")


def _again(
    place: Place, row: Row, box: SecretBox, key_id: str, problems: dict[str, str]
) -> tuple[Any, int]:
    """The texts of a row under the new key, and how many of them are new."""
    present = row["texts"] if place.json else {"": row["texts"]}
    texts, count = {}, 0
    for field, text in present.items():
        texts[field] = text
        if key_of(text) == key_id:
            continue
        bound = place.bound(row, field)
        try:
            texts[field] = box.encrypt(box.decrypt(text, *bound), *bound)
        except InternalError as error:
            problems[f"{place.name} {bound[1]} {bound[2]}"] = error.detail
        else:
            count += 1
    return (texts if place.json else texts[""]), count


def _save(connection: Any, place: Place, rows: list[dict[str, Any]]) -> None:
    kinds = ", ".join(f"{name} {kind}" for name, kind in place.key.items())
    same = " and ".join(f"t.{name} = g.{name}" for name in place.key)
    given = {"rows": orjson.dumps(rows).decode()}
    it = place.resource
    with connection.cursor() as cursor:
        cursor.execute(
            f"update {place.table} t set {place.column} = g.texts "  # noqa: S608 - our own names
            f"from jsonb_to_recordset(%(rows)s::jsonb) as g({kinds}, "
            f"texts {'jsonb' if place.json else 'text'}) where {same}",
            given,
        )
        if it is not None and it.scope == "tenant":
            cursor.execute(_SAME_AS_BEFORE.format(table=it.table), {**given, "type": it.name})
        if it is not None and it.routed:
            for statement in _tell(it, [row["id"] for row in rows]):
                cursor.execute(*statement)


def _tell(resource: Resource, ids: list[UUID]) -> Iterator[Statement]:
    """Have the change feed say that these objects were changed."""
    if resource.scope == "tenant":
        yield (
            "update tenants set revision = revision + 1 where id in "  # noqa: S608 - a declared name
            f"(select tenant_id from {resource.table} where id = any(%s))",
            (ids,),
        )
        owner, revision = "t.tenant_id", "(select revision from tenants where id = t.tenant_id)"
    else:
        yield (_NEXT_PLATFORM, ())
        owner, revision = "null", "(select revision from platform_state)"
    sql = _CHANGED.format(owner=owner, revision=revision, table=resource.table)
    yield (sql, {"type": resource.name, "ids": ids})


def stored_keys(connection: Any) -> list[SecretKey]:
    """The keys that the database itself holds."""
    with connection, connection.cursor() as cursor:
        cursor.execute("select id, key from secret_keys")
        return [SecretKey(name, bytes(key)) for name, key in cursor.fetchall()]


@contextmanager
def _connected(dsn: str) -> Iterator[Any]:
    try:
        with closing(psycopg2.connect(dsn, connect_timeout=_CONNECT_SECONDS)) as connection:
            psycopg2.extras.register_uuid(None, connection)  # type: ignore[no-untyped-call]
            yield connection
    except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
        raise DatabaseUnavailable(str(error).strip()) from None
    except psycopg2.errors.UndefinedTable:
        raise DatabaseUnavailable("the database is not migrated: nizam migrate") from None
