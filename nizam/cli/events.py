"""`nizam events`: what happens in a tenant."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from nizam.cli.access import Access, api_options
from nizam.cli.output import cell, json_option, print_rows
from nizam.cli.tables import add_export

if TYPE_CHECKING:
    from nizam.client import TenantClient

COLUMNS = ("occurred_at", "type", "call_id", "data")
LATE = timedelta(minutes=1)
"""How much later than it happened an event may have been stored and still be told with --since."""


@click.group()
def events() -> None:
    """What happens in a tenant: list events, or follow them."""


add_export(
    events, "call_events", "Write events to a file, the newest first.", ("-occurred_at", "id")
)


@events.command("list")
@click.option("--type", "types", multiple=True, help="Only of this type; repeatable.")
@click.option("--call", "call_id", metavar="CALL_ID", help="Only of this call.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True)
@api_options(tenant=True)
@json_option
def list_events(
    access: Access, as_json: bool, types: tuple[str, ...], call_id: str | None, limit: int
) -> None:
    """List events, the newest first."""
    with access.in_tenant() as tenant:
        found = tenant.call_events.list(
            type__in=types or None, call_id=call_id, page_size=min(limit, 200)
        )
        rows = list(islice(found, limit))
    print_rows(rows, COLUMNS, as_json=as_json)


@events.command()
@click.option("--type", "types", multiple=True, help="Only of this type; repeatable.")
@click.option(
    "--every",
    default=1.0,
    show_default=True,
    type=click.FloatRange(0.1),
    help="Seconds between looks.",
)
@click.option("--count", type=click.IntRange(1), help="End after so many.  [default: never]")
@click.option("--since", type=click.DateTime(), help="Begin then (UTC).  [default: now]")
@api_options(tenant=True)
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each.")
def tail(
    access: Access,
    as_json: bool,
    types: tuple[str, ...],
    every: float,
    count: int | None,
    since: datetime | None,
) -> None:
    """Follow events as they are stored. Ends with Ctrl-C."""
    begin = since.replace(tzinfo=UTC) if since else None
    with access.in_tenant() as tenant:
        for event in islice(followed(tenant, types, begin, lambda: time.sleep(every)), count):
            click.echo(json.dumps(event, ensure_ascii=False) if as_json else line(event))


@events.command()
@click.argument("kind", metavar="[TYPE]", required=False)
def schema(kind: str | None) -> None:
    """Print the JSON Schema of a type of event, or the list of the types. Asks no server."""
    from nizam.http.event_schemas import event_schema, told

    if kind is None:
        click.echo("\n".join(f"{name:26} {it.about}" for name, it in told().items()))
        return
    try:
        click.echo(json.dumps(event_schema(kind), indent=2, ensure_ascii=False))
    except KeyError:
        raise click.UsageError(
            f"there is no type {kind}; `nizam events schema` lists them"
        ) from None


def followed(
    tenant: TenantClient, types: tuple[str, ...], begin: datetime | None, pause: Callable[[], None]
) -> Iterator[Mapping[str, Any]]:
    """Events since `begin`, or from now on, in the order in which they were stored: each once, and
    none is passed by. Then for ever those that are stored; `pause` is called when there is none.
    """
    filters = {"type__in": types or None, "occurred_at__gte": begin}
    cursor = _place(tenant, begin)
    while True:
        found, cursor, more = tenant.call_events.after(cursor, page_size=200, **filters)
        yield from found
        if not more:
            pause()


def _place(tenant: TenantClient, begin: datetime | None) -> str:
    """Where in the log to begin: a little before the first event of that time."""
    if begin is None:
        return tenant.call_events.after("end", page_size=1)[1]
    before = tenant.call_events.list(
        sort="-occurred_at", occurred_at__lt=begin - LATE, page_size=1
    ).first()
    return str(before["id"]) if before else "start"


def line(event: Mapping[str, Any]) -> str:
    """An event as one line for people."""
    return "  ".join(cell(event.get(name)) for name in COLUMNS)
