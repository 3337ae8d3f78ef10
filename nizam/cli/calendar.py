"""`nizam calendar`: iCalendar files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import click

from nizam.cli.access import Access, api_options
from nizam.cli.output import json_option, print_json, print_rows
from nizam.cli.resources import group
from nizam.cli.tables import content_of, refused, target

if TYPE_CHECKING:
    from nizam.client.calendars import CalendarImport
    from nizam.model.calendar import CalendarDay

calendar = group("calendar")
_WHAT = click.argument("what", metavar="ID|NAME")


@calendar.command(
    "import",
    epilog="\b\nExamples:\n"
    "  nizam calendar import Holidays holidays.ics --tenant acme --dry-run\n"
    "  nizam calendar import Holidays holidays.ics --tenant acme --merge",
)
@_WHAT
@click.argument("file")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and change nothing.")
@click.option("--merge", is_flag=True, help="Keep the days that the file does not have.")
@click.option(
    "--years",
    type=click.IntRange(1, 10),
    help="For how many years days are worked out, this one among them.  [default: 5]",
)
@click.option(
    "--timed",
    type=click.Choice(["days", "skip"]),
    default="days",
    show_default=True,
    help="Whether events of some hours take the whole of their days.",
)
@click.option("--time-zone", help="In which events become days.  [default: the tenant's]")
@api_options(tenant=True)
@json_option
def import_calendar(
    access: Access,
    as_json: bool,
    what: str,
    file: str,
    dry_run: bool,
    merge: bool,
    years: int | None,
    timed: Literal["days", "skip"],
    time_zone: str | None,
) -> None:
    """Take the days of an iCalendar file (- is standard input) into one calendar: all, or nothing.

    The days of the file take the place of those that there are.
    """
    from nizam.client import ApiError
    from nizam.client.errors import CellError

    content = content_of(file)
    with access.in_tenant() as tenant:
        it = tenant.calendars.find(what)
        try:
            done = tenant.calendars.import_ics(
                it.id,
                content,
                dry_run=dry_run,
                mode="merge" if merge else "replace",
                years=years,
                timed=timed,
                time_zone=time_zone,
            )
        except ApiError as error:
            if not any(isinstance(it, CellError) for it in error.errors):
                raise
            refused(error, as_json=as_json)
    _print_done(done, as_json=as_json)


@calendar.command("export")
@_WHAT
@click.option("--output", "-o", default="-", help="The file to write.  [default: standard output]")
@api_options(tenant=True)
def export_calendar(access: Access, what: str, output: str) -> None:
    """Write the days of one calendar as an iCalendar file."""
    with access.in_tenant() as tenant:
        content = tenant.calendars.export_ics(tenant.calendars.find(what).id)
    with target(output) as file:
        file.write(content)


def _print_done(done: CalendarImport, *, as_json: bool) -> None:
    import attrs

    signs = {"+": done.added, "~": done.changed, "-": done.removed}
    if as_json:
        told = attrs.asdict(done, recurse=False)
        for name in ("added", "changed", "removed"):
            told[name] = [it.model_dump(mode="json") for it in told[name]]
        print_json(told)
        return
    rows = [row for sign, days in signs.items() for row in _rows(sign, days)]
    if rows:
        print_rows(rows, ("", "day", "label"), as_json=False)
    counts = (
        f"{done.events} events from {done.first} to {done.last} in {done.time_zone}: "
        f"{len(done.added)} days added, {len(done.changed)} changed, {len(done.removed)} removed, "
        f"{done.unchanged} unchanged"
    )
    click.echo(f"{counts}{' (nothing was changed)' if done.dry_run else ''}", err=True)
    for count, words in (
        (done.cancelled_events, "cancelled"),
        (done.timed_events, "of some hours only"),
        (done.outside_events, "on none of these days"),
    ):
        if count:
            click.echo(f"  {count} events {words}", err=True)


def _rows(sign: str, days: Sequence[CalendarDay]) -> list[dict[str, Any]]:
    return [
        {
            "": sign,
            "day": str(it.date) if it.date else f"{it.month:02}-{it.day:02} every year",
            "label": it.label,
        }
        for it in days
    ]
