"""Whether the ledger says of every call what its CDR says. Blocking, directly on the database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import attrs
import psycopg2

from nizam.errors import DatabaseUnavailable

_CONNECT_SECONDS: Final = 5
_ROWS: Final = 500
_TENANT: Final = "select id from tenants where id::text = %(name)s or slug = %(name)s"
_FACTS: Final = "tenant_id, direction, country, gateway"
# One row for each call: a figure of each side is null where that side does not have the call.
_CALLS: Final = f"""
with booked as (
    select call_id, {_FACTS}, sum(calls)::bigint as calls, sum(duration_ms)::bigint as duration_ms,
        sum(billable_ms)::bigint as billable_ms
    from usage_entries
    where kind = 'call' and at >= %(first)s and at < %(last)s
      and (%(tenant)s::uuid is null or tenant_id = %(tenant)s::uuid)
    group by call_id, {_FACTS}
    having (sum(calls), sum(duration_ms), sum(billable_ms)) <> (0, 0, 0)
), told as (
    select call_id, {_FACTS}, 1::bigint as calls, duration_ms, billable_ms
    from cdrs
    where started_at >= %(first)s and started_at < %(last)s and ended_at is not null
      and tenant_id is not null and (%(tenant)s::uuid is null or tenant_id = %(tenant)s::uuid)
), sides as (
    select call_id, 'ledger' as side, to_jsonb(b) - 'call_id' as facts, duration_ms, billable_ms
    from booked b
    union all
    select call_id, 'cdr', to_jsonb(t) - 'call_id', duration_ms, billable_ms from told t
)
select call_id,
    coalesce(jsonb_agg(facts) filter (where side = 'cdr'), '[]'),
    coalesce(jsonb_agg(facts) filter (where side = 'ledger'), '[]'),
    coalesce(sum(billable_ms) filter (where side = 'cdr'), 0)::bigint,
    coalesce(sum(billable_ms) filter (where side = 'ledger'), 0)::bigint
from sides group by call_id
"""  # noqa: S608 - no values from outside


@attrs.frozen(kw_only=True)
class Difference:
    """A call of which the two say different things: what each says, as (tenant, direction,
    country, gateway, calls, milliseconds) by their names. The ledger may say several things."""

    call_id: UUID
    reason: str
    cdr: tuple[dict[str, Any], ...]
    ledger: tuple[dict[str, Any], ...]


@attrs.define
class Report:
    """What was compared: calls, and the milliseconds that are billable on either side."""

    calls: int = 0
    cdr_ms: int = 0
    ledger_ms: int = 0
    differences: int = 0


def compare(
    dsn: str, report: Report, first: datetime, last: datetime, tenant: str | None = None
) -> Iterator[Difference]:
    """Every difference among the calls that began from `first` up to `last`; `report` counts.

    `tenant` is an id or a slug: LookupError if there is none. Raises DatabaseUnavailable.
    """
    try:
        with closing(psycopg2.connect(dsn, connect_timeout=_CONNECT_SECONDS)) as connection:
            # One state of both tables, however long it takes to go through them.
            connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
            args = {"first": first, "last": last, "tenant": _tenant_id(connection, tenant)}
            with connection.cursor("reconcile") as cursor:
                cursor.itersize = _ROWS
                cursor.execute(_CALLS, args)
                for call_id, cdr, ledger, cdr_ms, ledger_ms in cursor:
                    report.calls += 1
                    report.cdr_ms += cdr_ms
                    report.ledger_ms += ledger_ms
                    if cdr != ledger:
                        report.differences += 1
                        yield Difference(
                            call_id=UUID(str(call_id)),
                            reason=_reason(cdr, ledger),
                            cdr=tuple(cdr),
                            ledger=tuple(ledger),
                        )
    except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
        raise DatabaseUnavailable(str(error).strip()) from None
    except psycopg2.errors.UndefinedTable:
        raise DatabaseUnavailable("the database is not migrated: nizam migrate") from None


def _tenant_id(connection: Any, name: str | None) -> str | None:
    if name is None:
        return None
    with connection.cursor() as cursor:
        cursor.execute(_TENANT, {"name": name})
        rows = cursor.fetchall()
    if not rows:
        raise LookupError(f"there is no tenant {name}")
    return str(rows[0][0])


def _reason(cdr: list[dict[str, Any]], ledger: list[dict[str, Any]]) -> str:
    if not ledger:
        return "not in the ledger"
    if not cdr:
        return "not among the CDRs"
    if len(ledger) > 1 or len(cdr) > 1:
        return "there more than once"
    wrong = [name for name, value in cdr[0].items() if ledger[0][name] != value]
    return f"other {', '.join(wrong)}"
