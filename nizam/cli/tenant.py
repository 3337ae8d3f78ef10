"""`nizam tenant`: what tenants have beside what every resource has."""

from __future__ import annotations

import sys
from typing import Any

import click

from nizam.cli.access import Access, api_options
from nizam.cli.exits import CONDITION_DOES_NOT_HOLD, fail
from nizam.cli.output import json_option, print_json, print_object, print_rows
from nizam.cli.provision import provision
from nizam.cli.resources import group, print_made

tenant = group("tenant")
tenant.add_command(provision)


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


@tenant.command()
@click.argument("what", metavar="ID|SLUG|NAME")
@click.option("--grace-days", type=click.IntRange(0), help="Keep its data for so long.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@api_options()
@json_option
def terminate(access: Access, as_json: bool, what: str, grace_days: int | None, yes: bool) -> None:
    """End one tenant for good; its data is purged when the grace is over."""
    with access.client() as client:
        it = client.tenants.find(what)
        if not yes and sys.stdin.isatty():
            click.confirm(f"End the tenant {it.body.name} for good?", abort=True, err=True)
        print_made(client.tenants.terminate(it.id, grace_days=grace_days), as_json=as_json)


@tenant.command("purge-receipt")
@click.argument("what", metavar="ID")
@api_options()
@json_option
def purge_receipt(access: Access, as_json: bool, what: str) -> None:
    """Show what was removed with a tenant that is no more, and verify the hash of the receipt.

    Exit code 1: there is no receipt, or it was changed since it was written.
    """
    from nizam.model.purge_receipt import receipt_hash

    with access.client() as client:
        receipt = client.tenants.purge_receipt(what)
    print_object(receipt, as_json=as_json)
    if receipt_hash(receipt) != receipt["hash"]:
        fail(CONDITION_DOES_NOT_HOLD, "the receipt was changed: its content gives another hash")


@tenant.command("purge-receipts")
@api_options()
@json_option
def purge_receipts(access: Access, as_json: bool) -> None:
    """List the receipts of all purges, the newest first."""
    columns = ("tenant_id", "slug", "domain", "terminated_at", "purged_at", "hash")
    with access.client() as client:
        print_rows(client.tenants.purge_receipts(), columns, as_json=as_json)


@tenant.command()
@click.argument("what", metavar="ID|SLUG|NAME", required=False)
@api_options(tenant=True)
@json_option
def stats(access: Access, as_json: bool, what: str | None) -> None:
    """Show how much one tenant has and does, against what it may; that of the key unless named."""
    with access.client() as client:
        found = client.tenants.stats(client.tenant_id(what or access.tenant))
    if as_json:
        print_json(found)
        return
    rows = [
        {"what": name.replace("_", " "), "count": it["count"], "limit": it["limit"]}
        for name, it in {**found["resources"], "live_calls": found["live_calls"]}.items()
        if it["count"] or it["limit"]
    ]
    print_rows(rows, ("what", "count", "limit"), as_json=False)
    rest = ("status", "registrations", "calls_today", "calls_last_hour", "deliveries", "media")
    click.echo()
    print_object({name: _happened(found[name]) for name in (*rest, "last_change")}, as_json=False)


@tenant.command()
@click.argument("what", metavar="ID|SLUG|NAME", required=False)
@click.option("--extension", metavar="NUMBER", help="Show those of this extension, too.")
@api_options(tenant=True)
@json_option
def limits(access: Access, as_json: bool, what: str | None, extension: str | None) -> None:
    """Show how high the limits on calls of one tenant stand; that of the key unless named."""
    with access.client() as client:
        tenant_id = client.tenant_id(what or access.tenant)
        found = client.tenants.limits(tenant_id, extension=extension)
    if as_json:
        print_json(found)
        return
    columns = ("scope", "name", "what", "count", "limit", "blocked_seconds")
    print_rows(found["limits"], columns, as_json=False)


def _happened(value: Any) -> Any:
    """Without the results that no call had."""
    if not isinstance(value, dict) or "total" not in value:
        return value
    return {name: it for name, it in value.items() if it or name == "total"}
