"""`nizam me`: whose key is used."""

from __future__ import annotations

import click

from nizam.cli.access import Access, api_options
from nizam.cli.output import json_option, print_object


@click.command()
@api_options()
@json_option
def me(access: Access, as_json: bool) -> None:
    """Whose key is used, and what it may do."""
    with access.client() as client:
        print_object(client.me(), as_json=as_json)
