"""Verifying the audit log, directly on the database: synchronous, used by `nizam audit verify`.

Rows are streamed through a cursor of the server, in one snapshot of the database, so that memory
does not grow with the log and what is written meanwhile does not disturb.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any
from uuid import UUID

import attrs
import psycopg2
import psycopg2.extensions
import psycopg2.extras

from nizam.errors import DatabaseUnavailable
from nizam.store.chain import AuditRow, Break, ChainCheck
from nizam.store.system.audit import PLATFORM_CHAIN, Head

SHOWN_BREAKS = 20
_BATCH = 500
_CONNECT_SECONDS = 10
_CHAINS = """
with recursive logged as (
    (select tenant_id from audit_logs where tenant_id is not null order by tenant_id limit 1)
    union all
    select (select a.tenant_id from audit_logs a where a.tenant_id > l.tenant_id
            order by a.tenant_id limit 1)
    from logged l where l.tenant_id is not null
), known as (
    select tenant_id from audit_chains
    union select tenant_id from logged where tenant_id is not null
    union select id from tenants
    union select '00000000-0000-0000-0000-000000000000'
)
select k.tenant_id, t.slug, c.sequence, c.hash,
       coalesce(c.pruned_sequence, 0), coalesce(c.pruned_hash, repeat('0', 64))
from known k left join audit_chains c using (tenant_id) left join tenants t on t.id = k.tenant_id
order by k.tenant_id
"""
_COLUMNS = ", ".join(
    f"{name}::text" if name in ("before", "after") else name
    for name in (it.name for it in attrs.fields(AuditRow))
)
_ROWS = f"select {_COLUMNS} from audit_logs where {{chain}} order by sequence"  # noqa: S608


@attrs.frozen(kw_only=True)
class ChainReport:
    """What was found of one chain. `breaks` are the first ones; `broken` says how many in all."""

    tenant_id: UUID | None
    slug: str | None
    rows: int
    pruned: int
    head: Head
    broken: int = 0
    breaks: tuple[Break, ...] = ()


Progress = Callable[[int], None]
"""Called with the number of rows verified so far, once for each batch."""


def verify(
    dsn: str,
    tenant: str | None = None,
    known: Mapping[UUID, Head] | None = None,
    progress: Progress = lambda rows: None,
) -> Iterator[ChainReport]:
    """A report on each chain: all of them, or that of `tenant`, named by its id or slug, or
    `platform`.

    `known` are heads noted elsewhere, by the chain's id, which must still be in the chains.
    Raises DatabaseUnavailable when the database cannot be read, LookupError when there is no such
    tenant.
    """
    noted = dict(known or {})
    try:
        with closing(_connected(dsn)) as connection:
            done = 0
            for chain, slug, *places in _chains(connection, noted):
                if tenant is not None and tenant not in _names(chain, slug):
                    continue
                report = _verify_chain(
                    connection, chain, slug, places, noted.get(chain), done, progress
                )
                done += report.rows
                yield report
                if tenant is not None:
                    return
            if tenant is not None:
                raise LookupError(f"there is no tenant {tenant}")
    except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
        raise DatabaseUnavailable(str(error).strip()) from None
    except psycopg2.errors.UndefinedTable:
        raise DatabaseUnavailable("the database is not migrated: nizam migrate") from None


def _names(chain: UUID, slug: str | None) -> tuple[str | None, ...]:
    return ("platform",) if chain == PLATFORM_CHAIN else (str(chain), slug)


def _connected(dsn: str) -> Any:
    connection = psycopg2.connect(dsn, connect_timeout=_CONNECT_SECONDS)
    connection.set_session(
        isolation_level=psycopg2.extensions.ISOLATION_LEVEL_REPEATABLE_READ, readonly=True
    )
    psycopg2.extras.register_uuid(None, connection)  # type: ignore[no-untyped-call]
    with connection.cursor() as cursor:
        cursor.execute("set statement_timeout = 0")
    return connection


def _chains(connection: Any, noted: Mapping[UUID, Head]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(_CHAINS)
        found: list[tuple[Any, ...]] = cursor.fetchall()
    present = {row[0] for row in found}
    gone = [(chain, None, None, None, 0, "0" * 64) for chain in noted if chain not in present]
    return found + gone


def _verify_chain(
    connection: Any,
    chain: UUID,
    slug: str | None,
    places: Sequence[Any],
    known: Head | None,
    done: int,
    progress: Progress,
) -> ChainReport:
    sequence, digest, pruned, pruned_hash = places
    check = ChainCheck(Head(pruned, pruned_hash), known)
    broken = 0
    breaks: list[Break] = []

    def note(found: Iterator[Break]) -> None:
        nonlocal broken
        for it in found:
            broken += 1
            if len(breaks) < SHOWN_BREAKS:
                breaks.append(it)

    for row in _rows(connection, chain):
        note(check.take(row))
        if check.rows % _BATCH == 0:
            progress(done + check.rows)
    # The platform's first row may not be there yet; a tenant begins with its own creation.
    empty = chain == PLATFORM_CHAIN and check.rows == 0 and known is None
    head = None if sequence is None else Head(sequence, digest)
    if head is not None or not empty:
        note(check.end(head))
    return ChainReport(
        tenant_id=None if chain == PLATFORM_CHAIN else chain,
        slug=slug,
        rows=check.rows,
        pruned=pruned,
        head=check.last,
        broken=broken,
        breaks=tuple(breaks),
    )


def _rows(connection: Any, chain: UUID) -> Iterator[AuditRow]:
    names = [it.name for it in attrs.fields(AuditRow)]
    own = "tenant_id is null" if chain == PLATFORM_CHAIN else "tenant_id = %s"
    with connection.cursor(name="audit_rows") as cursor:
        cursor.itersize = _BATCH
        cursor.execute(_ROWS.format(chain=own), () if chain == PLATFORM_CHAIN else (chain,))
        for values in cursor:
            yield AuditRow(**dict(zip(names, values, strict=True)))
