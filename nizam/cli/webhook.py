"""`nizam webhook`: what webhooks have beside what every resource has."""

from __future__ import annotations

from itertools import islice
from typing import Any

import click

from nizam.cli.access import Access, api_options
from nizam.cli.output import json_option, print_object, print_rows
from nizam.cli.resources import group, print_made

webhook = group("webhook")
_WHAT = click.argument("what", metavar="ID")


def _action(name: str, method: str, text: str) -> None:
    @webhook.command(name, help=text)
    @_WHAT
    @api_options(tenant=True)
    @json_option
    def run(access: Access, as_json: bool, what: str) -> None:
        with access.in_tenant() as tenant:
            call: Any = getattr(tenant.webhooks, method)
            found = call(tenant.webhooks.find(what).id)
        if isinstance(found, bool):
            print_object({"done": found}, as_json=as_json)
        elif isinstance(found, dict):
            print_object(found, as_json=as_json)
        else:
            print_made(found, as_json=as_json)


_action("pause", "pause", "Hold what is to be delivered.")
_action("resume", "resume", "Deliver again, also what waited.")
_action("test", "test", "Send a webhook.test event to one webhook.")
_action("rotate-secret", "rotate_secret", "Make a new signing secret; the old one holds for a day.")
_action("cancel-replay", "cancel_replay", "End the replay that is under way.")
_action("stats", "stats", "Show the figures of one webhook.")


@webhook.command()
@_WHAT
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True)
@click.option("--status", help="Only these: pending, delivering, succeeded, dead.")
@api_options(tenant=True)
@json_option
def deliveries(access: Access, as_json: bool, what: str, limit: int, status: str | None) -> None:
    """List what was or will be delivered, the newest first."""
    columns = ["id", "event_type", "status", "attempt_count", "next_attempt_at"]
    with access.in_tenant() as tenant:
        it = tenant.webhooks.find(what).id
        found = tenant.webhooks.deliveries(it, status=status, page_size=min(limit, 200))
        rows = list(islice(found, limit))
    print_rows(rows, columns, as_json=as_json)


@webhook.command()
@_WHAT
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True)
@api_options(tenant=True)
@json_option
def attempts(access: Access, as_json: bool, what: str, limit: int) -> None:
    """List attempts to deliver, the newest first."""
    columns = ["started_at", "delivery_id", "number", "response_status", "duration_ms", "error"]
    with access.in_tenant() as tenant:
        found = tenant.webhooks.attempts(tenant.webhooks.find(what).id, page_size=min(limit, 200))
        rows = list(islice(found, limit))
    print_rows(rows, columns, as_json=as_json)


@webhook.command()
@_WHAT
@click.option(
    "--delivery", "deliveries", multiple=True, metavar="ID", help="Only this; repeatable."
)
@click.option("--since", type=click.DateTime(), help="Only those made since then (UTC).")
@click.option("--until", type=click.DateTime(), help="Only those made until then (UTC).")
@click.option("--succeeded", is_flag=True, help="Also those that arrived.")
@click.option("--rate", type=click.IntRange(1, 2000), help="How many a second; 100 if not said.")
@api_options(tenant=True)
@json_option
def replay(
    access: Access,
    as_json: bool,
    what: str,
    deliveries: tuple[str, ...],
    since: Any,
    until: Any,
    succeeded: bool,
    rate: int | None,
) -> None:
    """Send deliveries that were given up again; `replays` shows how far it is."""
    from datetime import UTC

    with access.in_tenant() as tenant:
        count = tenant.webhooks.replay(
            tenant.webhooks.find(what).id,
            delivery_ids=deliveries or None,
            since=since and since.replace(tzinfo=UTC),
            until=until and until.replace(tzinfo=UTC),
            statuses=("dead", "succeeded") if succeeded else ("dead",),
            rate_per_second=rate,
        )
    print_object({"deliveries": count}, as_json=as_json)


@webhook.command()
@_WHAT
@click.option("--limit", type=click.IntRange(1), default=10, show_default=True)
@api_options(tenant=True)
@json_option
def replays(access: Access, as_json: bool, what: str, limit: int) -> None:
    """List replays and how far they are, the newest first."""
    columns = ["created_at", "status", "replayed", "total", "rate_per_second", "ended_at"]
    with access.in_tenant() as tenant:
        found = tenant.webhooks.replays(tenant.webhooks.find(what).id, page_size=min(limit, 200))
        rows = list(islice(found, limit))
    print_rows(rows, columns, as_json=as_json)
