"""`nizam key`: what API keys have beside what every resource has."""

from __future__ import annotations

import click

from nizam.cli.access import Access, api_options
from nizam.cli.output import json_option
from nizam.cli.resources import group, print_made

key = group("api_key")


@key.command()
@click.argument("what", metavar="ID|NAME")
@click.option(
    "--grace-seconds", type=click.IntRange(0), help="How long the former text goes on working."
)
@api_options()
@json_option
def rotate(access: Access, as_json: bool, what: str, grace_seconds: int | None) -> None:
    """Give one key a new text, shown this once."""
    with access.client() as client:
        it = client.api_keys.find(what)
        print_made(client.api_keys.rotate(it.id, grace_seconds=grace_seconds), as_json=as_json)
