"""`nizam call` and `nizam cdr`: calls under way, and calls that have ended."""

from __future__ import annotations

import click

from nizam.cli.access import Access, api_options
from nizam.cli.call_control import add_call_commands
from nizam.cli.cdr_text import cdr_text
from nizam.cli.events import line
from nizam.cli.explain import print_decision
from nizam.cli.lists import add_list
from nizam.cli.output import json_option, print_json, print_object
from nizam.cli.tables import add_export

CALLS = ("call_id", "state", "direction", "from", "to", "started_at", "node")
CDRS = ("started_at", "direction", "from", "to", "result", "duration_ms", "hangup_cause", "call_id")


@click.group()
def call() -> None:
    """Calls: place and steer them, and see the course of any."""


@click.group()
def cdr() -> None:
    """Calls that have ended: who, how long, how."""


add_list(call, "calls", CALLS, "List the calls that are under way.")
add_list(cdr, "cdrs", CDRS, "List calls that have ended, the newest first.")


def _get(group: click.Group, part: str, text: str) -> None:
    @group.command("get", help=text)
    @click.argument("call_id")
    @api_options(tenant=True)
    @json_option
    def run(access: Access, as_json: bool, call_id: str) -> None:
        with access.in_tenant() as tenant:
            print_object(getattr(tenant, part).get(call_id), as_json=as_json)


add_call_commands(call)
_get(call, "calls", "Show one call that is under way.")
_get(cdr, "cdrs", "Show one call that has ended, with its legs, field by field.")

add_export(
    cdr,
    "cdrs",
    "Write calls that have ended to a file, the newest first.",
    ("-started_at", "call_id"),
)


@cdr.command()
@click.argument("call_id")
@api_options(tenant=True)
@json_option
def show(access: Access, as_json: bool, call_id: str) -> None:
    """Show one call that has ended, as a tree: who called whom, how long, how, and why."""
    with access.in_tenant() as tenant:
        found = tenant.cdrs.get(call_id)
    if as_json:
        print_json(found)
    else:
        click.echo("\n".join(cdr_text(found)))


@call.command()
@click.argument("call_id")
@api_options(tenant=True)
@json_option
def trace(access: Access, as_json: bool, call_id: str) -> None:
    """Show every event of one call, in order."""
    with access.in_tenant() as tenant:
        found = tenant.calls.trace(call_id)
    if as_json:
        print_json(found)
    else:
        for event in found["events"]:
            click.echo(line(event))


@call.command()
@click.argument("call_id")
@click.option("--xml", is_flag=True, help="Print the XML that FreeSWITCH was given, nothing else.")
@api_options(tenant=True)
@json_option
def explain(access: Access, as_json: bool, call_id: str, xml: bool) -> None:
    """Show why one call went where it went, also a past one."""
    with access.in_tenant() as tenant:
        found = tenant.calls.explain(call_id)
    if as_json:
        print_json(found)
        return
    for decision in found["decisions"]:
        if xml:
            click.echo(decision["xml"])
            continue
        revision = decision["revision"]
        click.echo(f"{decision['decided_at']} at {decision['node']}, revision {revision}")
        print_decision(decision, decision["from"], decision["to"])
