"""`nizam recordings`: listing, downloading, holding, deleting and pruning recorded calls."""

from __future__ import annotations

import click

from nizam.cli.access import Access, api_options
from nizam.cli.lists import add_list
from nizam.cli.output import json_option, print_json, print_object
from nizam.cli.recorded import add_recorded

COLUMNS = ("started_at", "direction", "from", "to", "duration_ms", "state", "legal_hold", "id")
RECEIPTS = ("deleted_at", "deleted_by", "reason", "size_bytes", "recording_id", "id")
_ID = click.argument("recording_id", metavar="ID")


@click.group()
def recordings() -> None:
    """Recorded calls."""


add_list(recordings, "recordings", COLUMNS, "List recordings, the newest first.")
add_list(
    recordings,
    "recording_receipts",
    RECEIPTS,
    "List the receipts of recordings that were deleted, the newest first.",
    name="receipts",
)
add_recorded(
    recordings,
    "recordings",
    "recording",
    download="download",
    delete="Delete one recording and show the receipt.",
)


@recordings.command()
@_ID
@click.option("--reason", required=True, help="Why; it stands in the audit log.")
@api_options(tenant=True)
@json_option
def hold(access: Access, as_json: bool, recording_id: str, reason: str) -> None:
    """Put one recording under legal hold: nothing deletes it until the hold is released."""
    with access.in_tenant() as tenant:
        print_object(tenant.recordings.hold(recording_id, reason), as_json=as_json)


@recordings.command()
@_ID
@api_options(tenant=True)
@json_option
def release(access: Access, as_json: bool, recording_id: str) -> None:
    """End the legal hold of one recording."""
    with access.in_tenant() as tenant:
        print_object(tenant.recordings.release(recording_id), as_json=as_json)


@recordings.command()
@click.option(
    "--older-than",
    type=click.IntRange(0, 36500),
    metavar="DAYS",
    help="Those that began so many days ago.  [default: as long as the tenant keeps them]",
)
@click.option("--dry-run", is_flag=True, help="Say what would be deleted, and delete nothing.")
@api_options(tenant=True)
@json_option
def prune(access: Access, as_json: bool, older_than: int | None, dry_run: bool) -> None:
    """Delete recordings that are older than they are to be kept, now instead of on schedule."""
    with access.in_tenant() as tenant:
        found = tenant.recordings.prune(older_than_days=older_than, dry_run=dry_run)
    if as_json:
        print_json(found)
        return
    does = "would be deleted" if dry_run else "are being deleted"
    click.echo(f"{found['recordings']} recordings, {found['size_bytes']} bytes, {does}")
    if found["oldest_at"] is not None:
        click.echo(f"the oldest began at {found['oldest_at']}")
    if found["held"]:
        click.echo(f"{found['held']} more are under legal hold and stay")
