"""`nizam revision`: who changed a tenant's configuration, and the way back."""

from __future__ import annotations

from itertools import islice
from typing import Any

import click

from nizam.cli.access import Access, api_options
from nizam.cli.document import (
    color,
    confirmed,
    print_applied,
    print_plan,
    somebody_can_answer,
    waiting,
)
from nizam.cli.output import json_option, print_json, print_rows
from nizam.cli.plan_text import plan_lines
from nizam.cli.resources import filter_option, parsed_filter

_COLUMNS = ("revision", "created_at", "kind", "actor_name", "changes")
_REVISION = click.argument("number", metavar="REVISION", type=click.IntRange(1))
_SETTINGS = click.option(
    "--tenant-settings", is_flag=True, help="The settings of the tenant itself too."
)
_OPERATIONS = {"created": "create", "updated": "update", "deleted": "delete"}


@click.group()
def revision() -> None:
    """Revisions of a tenant's configuration: who changed what, and going back."""


@revision.command("list")
@filter_option
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True)
@api_options(tenant=True)
@json_option
def list_revisions(access: Access, as_json: bool, filters: tuple[str, ...], limit: int) -> None:
    """List revisions, the newest first."""
    chosen: dict[str, Any] = dict(parsed_filter(it) for it in filters)
    with access.in_tenant() as tenant:
        rows = list(islice(tenant.revisions.list(page_size=min(limit, 200), **chosen), limit))
    shown = rows if as_json else [{**it, "changes": _counts(it["counts"])} for it in rows]
    print_rows(shown, _COLUMNS, as_json=as_json)


@revision.command()
@_REVISION
@api_options(tenant=True)
@json_option
def get(access: Access, as_json: bool, number: int) -> None:
    """Show one revision with what it changed, field by field."""
    with access.in_tenant() as tenant:
        found = tenant.revisions.get(number)
    if as_json:
        print_json(found)
        return
    click.echo(
        f"revision {number}, {found['kind']} by {found['actor_name']}, {found['created_at']}"
    )
    changes = [{**it, "operation": _OPERATIONS[it["operation"]]} for it in found["changes"]]
    for line in plan_lines(changes):
        click.echo(line, color=color())
    if found["omitted_changes"]:
        click.echo(f"# and {found['omitted_changes']} more objects", err=True)


@revision.command()
@_REVISION
@_SETTINGS
@api_options(tenant=True)
@json_option
def plan(access: Access, as_json: bool, number: int, tenant_settings: bool) -> None:
    """Show what rolling back to a revision would change."""
    with access.in_tenant() as tenant, waiting("planning"):
        found = tenant.revisions.plan(number, tenant_settings=tenant_settings)
    print_plan(found, as_json=as_json)


@revision.command()
@_REVISION
@_SETTINGS
@click.option("--yes", "-y", is_flag=True, help="Do not show the changes and ask first.")
@api_options(tenant=True)
@json_option
def rollback(access: Access, as_json: bool, number: int, tenant_settings: bool, yes: bool) -> None:
    """Make every object what it was at a revision, secrets included."""
    tag = None
    with access.in_tenant() as tenant:
        if not yes and somebody_can_answer():
            with waiting("planning"):
                proposed = tenant.revisions.plan(number, tenant_settings=tenant_settings)
            tag = confirmed(proposed)
        with waiting("rolling back"):
            done = tenant.revisions.roll_back(number, tenant_settings=tenant_settings, if_match=tag)
    print_applied(done, as_json=as_json)


def _counts(counts: dict[str, dict[str, int]]) -> str:
    return ", ".join(
        f"{name} {number} {operation}"
        for name, by_operation in counts.items()
        for operation, number in by_operation.items()
    )
