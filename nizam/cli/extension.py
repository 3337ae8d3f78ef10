"""`nizam extension`: what extensions have beside what every resource has."""

from __future__ import annotations

import click

from nizam.cli.access import Access, api_options
from nizam.cli.output import json_option, print_object
from nizam.cli.resources import group

extension = group("extension")


@extension.command()
@click.argument("what", metavar="ID|NUMBER")
@api_options(tenant=True)
@json_option
def reveal(access: Access, as_json: bool, what: str) -> None:
    """Show the SIP password of one extension; written to the audit log."""
    with access.in_tenant() as tenant:
        found = tenant.extensions.reveal(tenant.extensions.find(what).id)
    print_object(dict(found), as_json=as_json)
