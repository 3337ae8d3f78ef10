"""`nizam events`: what happens in a tenant."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
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


@click.command()
@click.option(
    "--type",
    "types",
    multiple=True,
    help="Only of this type, or of a family such as 'call.*'; repeatable.",
)
@click.option("--call", "call_ids", metavar="CALL_ID", multiple=True, help="Only of this call.")
@click.option(
    "--extension",
    "extension_ids",
    metavar="ID",
    multiple=True,
    help="Only about this extension: its id.",
)
@click.option("--count", type=click.IntRange(1), help="End after so many.  [default: never]")
@click.option("--since", type=click.DateTime(), help="Begin then (UTC).  [default: now]")
@click.option(
    "--cursor", help="Begin after this: a cursor, the id of an event, or `start`.  [default: now]"
)
@api_options(tenant=True)
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each.")
def tail(
    access: Access,
    as_json: bool,
    types: tuple[str, ...],
    call_ids: tuple[str, ...],
    extension_ids: tuple[str, ...],
    count: int | None,
    since: datetime | None,
    cursor: str | None,
) -> None:
    """Follow events as they are stored. Ends with Ctrl-C.

    When the connection is lost it goes on where it was: each event is printed once, and none is
    passed by.
    """
    if since is not None and cursor is not None:
        raise click.UsageError("--since and --cursor exclude each other")
    begin = since.replace(tzinfo=UTC) if since else None
    with access.in_tenant() as tenant:
        place = cursor if begin is None else _place(tenant, begin)
        with tenant.call_events.follow(
            types=types, call_ids=call_ids, extension_ids=extension_ids, cursor=place
        ) as followed:
            for event in islice(since_then(followed, begin), count):
                click.echo(json.dumps(event, ensure_ascii=False) if as_json else line(event))


events.add_command(tail)


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


def since_then(
    events: Iterable[Mapping[str, Any]], begin: datetime | None
) -> Iterator[Mapping[str, Any]]:
    """Those that happened since `begin`; all of them without it."""
    for event in events:
        if begin is None or datetime.fromisoformat(event["occurred_at"]) >= begin:
            yield event


def _place(tenant: TenantClient, begin: datetime) -> str:
    """Where in the log to begin: a little before the first event of that time."""
    before = tenant.call_events.list(
        sort="-occurred_at", occurred_at__lt=begin - LATE, page_size=1
    ).first()
    return str(before["id"]) if before else "start"


def line(event: Mapping[str, Any]) -> str:
    """An event as one line for people."""
    return "  ".join(cell(event.get(name)) for name in COLUMNS)
