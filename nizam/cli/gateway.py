"""`nizam gateway`: what gateways have beside what every resource has."""

from __future__ import annotations

from itertools import islice

import click

from nizam.cli.access import Access, api_options
from nizam.cli.output import json_option, print_rows
from nizam.cli.resources import group

gateway = group("gateway")


@gateway.command()
@click.argument("what", metavar="ID|NAME")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True)
@api_options(tenant=True)
@json_option
def states(access: Access, as_json: bool, what: str, limit: int) -> None:
    """When one gateway came up and went down, the newest first."""
    with access.in_tenant() as tenant:
        found = tenant.gateways.states(tenant.gateways.find(what).id)
        rows = list(islice(found, limit))
    print_rows(rows, ("occurred_at", "type", "node", "id"), as_json=as_json)
