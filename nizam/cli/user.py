"""`nizam user`: what users have beside what every resource has."""

from __future__ import annotations

import click

from nizam.cli.access import Access, api_options
from nizam.cli.output import json_option, print_object
from nizam.cli.resources import group

user = group("user")


@user.command("reset-token")
@click.argument("what", metavar="ID|EMAIL")
@api_options()
@json_option
def reset_token(access: Access, as_json: bool, what: str) -> None:
    """Make a token with which one user chooses a password; it is shown this once."""
    with access.client() as client:
        found = client.users.reset_token(client.users.find(what).id)
    print_object(dict(found), as_json=as_json)
