"""The command `list` of what is only read."""

from __future__ import annotations

from itertools import islice
from typing import Any

import click

from nizam.cli.access import Access, api_options
from nizam.cli.output import json_option, print_rows
from nizam.cli.resources import filter_option, parsed_filter


def add_list(
    group: click.Group, part: str, columns: tuple[str, ...], text: str, *, name: str = "list"
) -> None:
    """Add the command that lists a part of the tenant to a group."""

    @group.command(name, help=text)
    @filter_option
    @click.option("--limit", type=click.IntRange(1), default=50, show_default=True)
    @api_options(tenant=True)
    @json_option
    def run(access: Access, as_json: bool, filters: tuple[str, ...], limit: int) -> None:
        chosen: dict[str, Any] = dict(parsed_filter(it) for it in filters)
        with access.in_tenant() as tenant:
            found = getattr(tenant, part).list(page_size=min(limit, 200), **chosen)
            rows = list(islice(found, limit))
        print_rows(rows, columns, as_json=as_json)
