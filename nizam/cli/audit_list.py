"""`nizam audit list`: who did what."""

from __future__ import annotations

from itertools import islice
from typing import Any

import click

from nizam.cli.access import Access, api_options
from nizam.cli.output import json_option, print_rows
from nizam.cli.resources import filter_option, parsed_filter

COLUMNS = ("occurred_at", "actor_name", "action", "resource_type", "resource_id", "address")


@click.command("list")
@filter_option
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True)
@api_options(tenant=True)
@json_option
def list_rows(access: Access, as_json: bool, filters: tuple[str, ...], limit: int) -> None:
    """List who did what, the newest first: in a tenant, or everywhere."""
    chosen: dict[str, Any] = dict(parsed_filter(it) for it in filters)
    with access.client() as client:
        owner = client if access.tenant is None else client.tenant(access.tenant)
        found = owner.audit_logs.list(page_size=min(limit, 200), **chosen)
        rows = list(islice(found, limit))
    print_rows(rows, COLUMNS, as_json=as_json)
