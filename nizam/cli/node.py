"""`nizam node`: what switch nodes have beside what every resource has: draining them, and the list
of them for a SIP proxy."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nizam.cli.access import Access, api_options
from nizam.cli.dispatcher import dispatcher_list, written_anew
from nizam.cli.exits import CONDITION_DOES_NOT_HOLD, fail
from nizam.cli.output import json_option, print_object
from nizam.cli.resources import group

if TYPE_CHECKING:
    from nizam.client import Client, Object
    from nizam.model.switch_node import SwitchNode

node = group("switch_node")
LOOK_SECONDS = 1.0


@node.command()
@click.argument("what", metavar="ID|NAME")
@click.option("--wait", is_flag=True, help="Return when no call is on it any more.")
@click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    default=3600.0,
    show_default=True,
    metavar="SECONDS",
    help="With --wait: exit with status 1 if there are calls after so long.",
)
@api_options()
@json_option
def drain(access: Access, as_json: bool, what: str, wait: bool, timeout: float) -> None:
    """Give one switch node no new calls; those on it go on.

    Phones stay registered at it and can be called, emergency calls go through. It is in service
    again with `nizam node resume`.
    """
    with access.client() as client:
        found = client.switch_nodes.find(what)
        if found.body.status == "in_service":
            client.switch_nodes.update(found.id, {"status": "draining"})
        shown = client.switch_nodes.get(found.id)
        if wait:
            shown = _drained(client, shown, timeout)
    print_object(_state(shown), as_json=as_json)


@node.command()
@click.argument("what", metavar="ID|NAME")
@api_options()
@json_option
def resume(access: Access, as_json: bool, what: str) -> None:
    """Put one switch node into service again."""
    with access.client() as client:
        found = client.switch_nodes.find(what)
        client.switch_nodes.update(found.id, {"status": "in_service"})
        shown = client.switch_nodes.get(found.id)
    print_object(_state(shown), as_json=as_json)


@node.command()
@click.option(
    "--write",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write it to this file, and only if it is another than before; say whether it was.",
)
@api_options()
def dispatcher(access: Access, file: Path | None) -> None:
    """Print the switch nodes as a list for Kamailio's module dispatcher.

    With their weights; one that is draining gets no new calls and registrations, one that is out
    of service is left out. `kamcmd dispatcher.reload` has Kamailio read it.
    """
    with access.client() as client:
        nodes = [it.body for it in client.switch_nodes.list()]
    text, problems = dispatcher_list(nodes)
    for it in problems:
        click.echo(it, err=True)
    if text is None:
        fail(CONDITION_DOES_NOT_HOLD, "no switch node could take calls: nothing is written")
    if file is None:
        click.echo(text, nl=False)
    else:
        click.echo("changed" if written_anew(file, text) else "unchanged")


def _drained(client: Client, shown: Object[SwitchNode], timeout: float) -> Object[SwitchNode]:
    """The node once it has no calls; while nobody hears it, nobody knows."""
    end, told = time.monotonic() + timeout, None
    while (left := shown.extra.get("calls")) != 0:
        if shown.body.status == "in_service":
            fail(CONDITION_DOES_NOT_HOLD, f"{shown.body.name} was put into service meanwhile")
        words = "not heard" if left is None else f"{left} calls left"
        if time.monotonic() >= end:
            fail(CONDITION_DOES_NOT_HOLD, f"{shown.body.name}: {words}")
        if words != told:
            click.echo(f"{shown.body.name}: {words}", err=True)
            told = words
        time.sleep(max(0.0, min(LOOK_SECONDS, end - time.monotonic())))
        shown = client.switch_nodes.get(shown.id)
    return shown


def _state(it: Object[SwitchNode]) -> dict[str, object]:
    """What somebody wants to know who takes a node out of service."""
    return {
        "name": it.body.name,
        "status": it.body.status,
        "connected": it.extra["link"]["connected"],
        "calls": it.extra["calls"],
        "registrations": it.extra["registrations"],
    }
