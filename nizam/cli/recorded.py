"""What `nizam recordings` and `nizam voicemail` do with a sound that was recorded."""

from __future__ import annotations

import click

from nizam.cli.access import Access, api_options
from nizam.cli.output import json_option, print_json, print_object
from nizam.cli.sounds import written


def add_recorded(group: click.Group, part: str, one: str, *, download: str, delete: str) -> None:
    """Have the group show, download, link to and delete what the API's client has as the tenant's
    `part`. `one` is what one of them is called, `download` the name of that command, `delete` what
    its help says."""
    argument = click.argument("identifier", metavar="ID")

    @group.command("get", help=f"Show one {one}.")
    @argument
    @api_options(tenant=True)
    @json_option
    def get(access: Access, as_json: bool, identifier: str) -> None:
        with access.in_tenant() as tenant:
            print_object(getattr(tenant, part).get(identifier), as_json=as_json)

    @group.command(
        download,
        help=f"Write the sound of one {one}, which is WAV, to a file (- is standard output).",
    )
    @argument
    @click.argument("target", metavar="FILE")
    @api_options(tenant=True)
    def fetch(access: Access, identifier: str, target: str) -> None:
        with access.in_tenant() as tenant, written(target) as file:
            getattr(tenant, part).download(identifier, file)

    @group.command("link")
    @argument
    @click.option(
        "--expires-in",
        type=click.IntRange(10, 604800),
        default=3600,
        show_default=True,
        help="For how many seconds it holds.",
    )
    @click.option("--inline", is_flag=True, help="For a browser to play in place.")
    @api_options(tenant=True)
    @json_option
    def link(access: Access, as_json: bool, identifier: str, expires_in: int, inline: bool) -> None:
        """Print a link that anybody can download the sound with, until it expires."""
        with access.in_tenant() as tenant:
            made = getattr(tenant, part).link(
                identifier, expires_in_seconds=expires_in, inline=inline
            )
        if as_json:
            print_json(made)
        else:
            click.echo(made["url"])

    @group.command("delete", help=delete)
    @argument
    @api_options(tenant=True)
    @json_option
    def remove(access: Access, as_json: bool, identifier: str) -> None:
        with access.in_tenant() as tenant:
            print_object(getattr(tenant, part).delete(identifier), as_json=as_json)
