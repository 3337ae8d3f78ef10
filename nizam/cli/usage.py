"""`nizam usage`: what tenants use, and whether the ledger agrees with the CDRs."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from nizam.cli.access import Access, api_options
from nizam.cli.exits import CANNOT_REACH, CONDITION_DOES_NOT_HOLD, WRONG_USAGE, fail
from nizam.cli.output import json_option, print_json, print_rows
from nizam.cli.settings import config_option, loaded_or_fail

_DAY = click.DateTime(["%Y-%m-%d"])


@click.group()
def usage() -> None:
    """What tenants use: calls and minutes, calls at once, storage, phones."""


@usage.command()
@click.option("--first", type=_DAY, help="The first day.  [default: the first of the month]")
@click.option("--last", type=_DAY, help="The last day, included.  [default: today]")
@click.option("--interval", type=click.Choice(["day", "month"]), default="day", show_default=True)
@click.option(
    "--by",
    "parts",
    multiple=True,
    type=click.Choice(["direction", "country", "gateway"]),
    help="Tell calls apart by this; may stand several times.",
)
@api_options(tenant=True)
@json_option
def show(
    access: Access,
    as_json: bool,
    first: datetime | None,
    last: datetime | None,
    interval: str,
    parts: tuple[str, ...],
) -> None:
    """Show what one tenant has used, by days or months of its own time zone."""
    with access.client() as client:
        found = client.tenants.usage(
            client.tenant_id(access.tenant),
            first=None if first is None else first.date(),
            last=None if last is None else last.date(),
            interval="month" if interval == "month" else "day",
            group_by=[it for it in ("direction", "country", "gateway") if it in parts],
        )
    if as_json:
        print_json(found)
        return
    rows = []
    for it in [*found["periods"], {**found["totals"], "start": "total"}]:
        directions = ("inbound", "outbound", "internal")
        minutes = {name: _minutes(it[name]["billable_ms"]) for name in directions}
        calls = sum(it[name]["calls"] for name in directions)
        if calls or it["start"] == "total" or it["peak_calls"]:
            levels = {name: it[name] for name in ("peak_calls", "storage_bytes")}
            levels["phones"] = it["registered_devices"]
            rows.append({"start": it["start"], "calls": calls, **minutes, **levels})
    columns = ("start", "calls", "inbound", "outbound", "internal")
    print_rows(rows, (*columns, "peak_calls", "storage_bytes", "phones"), as_json=False)
    if found["group_by"]:
        click.echo()
        groups = [
            {**it, "minutes": _minutes(it["billable_ms"])} for it in found["totals"]["groups"]
        ]
        print_rows(groups, (*found["group_by"], "calls", "minutes"), as_json=False)
    zone = found["time_zone"]
    click.echo(f"# minutes are billable ones; days of {zone}", err=True)


def _minutes(milliseconds: int) -> str:
    return f"{milliseconds / 60_000:.2f}"


@usage.command()
@config_option
@click.option("--tenant", metavar="ID|SLUG", help="Only this tenant.  [default: all of them]")
@click.option("--first", type=_DAY, help="The first day, in UTC.  [default: 31 days before --last]")
@click.option("--last", type=_DAY, help="The last day, in UTC, included.  [default: today]")
@click.option("--limit", type=click.IntRange(0), default=50, help="Differences to print.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def reconcile(
    config: Path | None,
    tenant: str | None,
    first: datetime | None,
    last: datetime | None,
    limit: int,
    as_json: bool,
) -> None:
    """Compare the ledger with the CDRs, call by call and to the millisecond.

    Reads the database itself. Exit codes: 0 they agree, 1 they do not, 3 the database cannot be
    read. Calls whose CDRs retention has removed are missing among the CDRs: begin later.
    """
    from datetime import UTC, timedelta

    from nizam.errors import DatabaseUnavailable
    from nizam.store.reconcile_usage import Report, compare

    until = (last or datetime.now(UTC)).replace(
        hour=0, minute=0, second=0, microsecond=0, tzinfo=UTC
    ) + timedelta(days=1)
    since = first.replace(tzinfo=UTC) if first else until - timedelta(days=32)
    if since >= until:
        fail(WRONG_USAGE, "--first is after --last")
    dsn = loaded_or_fail(config).settings.database.direct_dsn()
    report = Report()
    shown: list[dict[str, Any]] = []
    try:
        for it in compare(dsn, report, since, until, tenant):
            if len(shown) < limit:
                shown.append(_document(it))
    except DatabaseUnavailable as error:
        fail(CANNOT_REACH, f"the ledger cannot be read: {error.detail}")
    except LookupError as error:
        fail(WRONG_USAGE, str(error.args[0]))
    if as_json:
        counts = {name: getattr(report, name) for name in ("calls", "cdr_ms", "ledger_ms")}
        total = {"agree": not report.differences, **counts, "differences": report.differences}
        click.echo(json.dumps({**total, "shown": shown}, indent=2))
    else:
        print_rows(shown, ("call_id", "reason", "cdr_seconds", "ledger_seconds"), as_json=False)
        click.echo(
            f"{report.calls} calls, {report.cdr_ms / 1000:.3f} s in CDRs,"
            f" {report.ledger_ms / 1000:.3f} s in the ledger:"
            f" {f'{report.differences} differ' if report.differences else 'they agree'}"
        )
    if report.differences:
        sys.exit(CONDITION_DOES_NOT_HOLD)


def _document(it: Any) -> dict[str, Any]:
    return {
        "call_id": str(it.call_id),
        "reason": it.reason,
        "cdr_seconds": sum(side["billable_ms"] for side in it.cdr) / 1000 if it.cdr else None,
        "ledger_seconds": sum(side["billable_ms"] for side in it.ledger) / 1000
        if it.ledger
        else None,
        "cdr": list(it.cdr),
        "ledger": list(it.ledger),
    }
