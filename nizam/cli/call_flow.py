"""`nizam call-flow`: what call flows have beside what every resource has."""

from __future__ import annotations

import click

from nizam.cli.access import Access, api_options
from nizam.cli.output import json_option, print_rows
from nizam.cli.resources import group, print_made

call_flow = group("call_flow")
_WHAT = click.argument("what", metavar="ID|NUMBER|NAME")


@call_flow.command()
@_WHAT
@api_options(tenant=True)
@json_option
def publish(access: Access, as_json: bool, what: str) -> None:
    """Make the draft of one call flow what calls follow."""
    with access.in_tenant() as tenant:
        it = tenant.call_flows.find(what)
        print_made(tenant.call_flows.publish(it.id), as_json=as_json)


@call_flow.command()
@_WHAT
@click.argument("version", type=click.IntRange(1))
@api_options(tenant=True)
@json_option
def rollback(access: Access, as_json: bool, what: str, version: int) -> None:
    """Publish an earlier version of one call flow again."""
    with access.in_tenant() as tenant:
        it = tenant.call_flows.find(what)
        print_made(tenant.call_flows.roll_back(it.id, version), as_json=as_json)


@call_flow.command()
@_WHAT
@api_options(tenant=True)
@json_option
def versions(access: Access, as_json: bool, what: str) -> None:
    """List the published versions of one call flow, the newest first."""
    with access.in_tenant() as tenant:
        rows = list(tenant.call_flows.versions(tenant.call_flows.find(what).id))
    print_rows(rows, ("number", "published_at", "published_by"), as_json=as_json)
