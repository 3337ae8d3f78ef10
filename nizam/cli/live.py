"""`nizam registration`, `nizam conference` and `nizam parked-call`: what goes on beside calls."""

from __future__ import annotations

from itertools import islice

import click

from nizam.cli.access import Access, api_options
from nizam.cli.lists import add_list
from nizam.cli.output import json_option, print_object, print_rows

REGISTRATIONS = (
    "user",
    "user_agent",
    "network_ip",
    "network_port",
    "node",
    "registered_at",
    "expires_at",
)
HISTORY = ("occurred_at", "type", "reason", "user", "user_agent", "network_ip", "node")
CONFERENCES = ("conference_id", "number", "name", "started_at", "node")
MEMBERS = ("number", "name", "moderator", "muted", "joined_at", "call_id", "leg_id")
PARKED = ("number", "slot", "caller_number", "parked_at", "parked_by", "call_id", "node")


@click.group()
def registration() -> None:
    """Phones that are registered, and those that were."""


@click.group()
def conference() -> None:
    """Conferences that are under way."""


@click.group()
def parked_call() -> None:
    """Calls that wait in parking lots."""


add_list(registration, "registrations", REGISTRATIONS, "List the phones that are registered.")
add_list(conference, "conferences", CONFERENCES, "List the conferences that are under way.")
add_list(parked_call, "parked_calls", PARKED, "List the calls that wait in parking lots.")


@registration.command()
@click.option("--user", help="Of one SIP user, such as 1001.")
@click.option("--reason", help="unregistered, expired, replaced, node_lost or unknown.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True)
@api_options(tenant=True)
@json_option
def history(
    access: Access, as_json: bool, user: str | None, reason: str | None, limit: int
) -> None:
    """When phones signed in and out or were lost, and why, the newest first."""
    chosen = {"user": user, "reason": reason}
    with access.in_tenant() as tenant:
        found = tenant.registrations.history(
            page_size=min(limit, 200), **{name: it for name, it in chosen.items() if it}
        )
        rows = list(islice(found, limit))
    shown = [{**it["data"], **it} for it in rows]
    print_rows(rows if as_json else shown, HISTORY, as_json=as_json)


@conference.command()
@click.argument("conference_id")
@api_options(tenant=True)
@json_option
def get(access: Access, as_json: bool, conference_id: str) -> None:
    """Show who is in one conference."""
    with access.in_tenant() as tenant:
        found = tenant.conferences.get(conference_id)
    if as_json:
        print_object(found, as_json=True)
    else:
        print_rows(found["members"], MEMBERS, as_json=False)
