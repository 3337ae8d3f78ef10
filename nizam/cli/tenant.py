"""`nizam tenant`: what tenants have beside what every resource has."""

from __future__ import annotations

from typing import Any

import click

from nizam.cli.access import Access, api_options
from nizam.cli.output import json_option
from nizam.cli.resources import group, print_made

tenant = group("tenant")


def _step(name: str, text: str) -> click.Command:
    @click.command(name, help=text)
    @click.argument("what", metavar="ID|SLUG|NAME")
    @api_options()
    @json_option
    def run(access: Access, as_json: bool, what: str) -> None:
        with access.client() as client:
            step: Any = getattr(client.tenants, name)
            print_made(step(client.tenants.find(what).id), as_json=as_json)

    return run


tenant.add_command(_step("activate", "Take one tenant into service."))
tenant.add_command(_step("suspend", "Leave one tenant nothing but emergency calls."))
tenant.add_command(_step("terminate", "End one tenant for good."))
