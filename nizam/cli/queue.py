"""`nizam queue`: the queue of webhook deliveries as operators see it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from nizam.cli.access import Access, api_options
from nizam.cli.exits import CONDITION_DOES_NOT_HOLD, fail
from nizam.cli.output import json_option, print_object

if TYPE_CHECKING:
    from nizam.client import TenantClient


@click.group()
def queue() -> None:
    """The queue of webhook deliveries: how deep, sending again, giving up."""


@queue.command()
@click.option("--max", "most", type=click.IntRange(0), default=100, show_default=True)
@api_options()
@json_option
def monitor(access: Access, as_json: bool, most: int) -> None:
    """Show how deep the queue is, over all tenants; exit 1 when more than --max wait.

    The depth is what could be sent now: ready or with a worker. Retries that wait for their moment
    (delayed) are not in it.
    """
    with access.client() as client:
        found = client.queue()
    print_object(found, as_json=as_json)
    if found["depth"] > most:
        fail(CONDITION_DOES_NOT_HOLD, f"{found['depth']} deliveries wait; {most} may")


_WEBHOOK = click.option("--webhook", metavar="ID", help="Of this one alone.")


@queue.command()
@_WEBHOOK
@click.option("--rate", type=click.IntRange(1, 2000), default=100, show_default=True)
@api_options(tenant=True)
@json_option
def replay(access: Access, as_json: bool, webhook: str | None, rate: int) -> None:
    """Send all that was given up again, of every webhook of a tenant, so many a second each.

    Goes on by itself; `nizam webhook replays ID` shows how far it is.
    """
    with access.in_tenant() as tenant:
        done = {
            url: tenant.webhooks.replay(it, rate_per_second=rate)
            for it, url in _webhooks(tenant, webhook)
        }
    print_object(done or {"webhooks": 0}, as_json=as_json)


@queue.command()
@_WEBHOOK
@click.option("--dead", is_flag=True, help="Remove what was given up, with its attempts, for good.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@api_options(tenant=True)
@json_option
def purge(access: Access, as_json: bool, webhook: str | None, dead: bool, yes: bool) -> None:
    """Give up what waits to be delivered to a tenant's webhooks; it can be replayed.

    With --dead, remove instead what was given up before. It is written to the audit log.
    """
    with access.in_tenant() as tenant:
        which = _webhooks(tenant, webhook)
        if not yes:
            what = "REMOVE what was given up" if dead else "give up what waits"
            click.confirm(f"{what}, of {len(which)} webhooks?", abort=True, err=True)
        done = {url: tenant.webhooks.purge(it, "dead" if dead else "waiting") for it, url in which}
    print_object(done or {"webhooks": 0}, as_json=as_json)


def _webhooks(tenant: TenantClient, webhook: str | None) -> list[tuple[str, str]]:
    """(id, id and url) of each that is meant."""
    found = [tenant.webhooks.find(webhook)] if webhook else list(tenant.webhooks.list())
    return [(str(it.id), f"{it.id} {it.body.url}") for it in found]
