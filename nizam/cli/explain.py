"""`nizam explain`: where a call would go, and why."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import click

from nizam.cli.access import Access, api_options
from nizam.cli.instant import instant
from nizam.cli.output import cell, json_option, print_json


@click.command(
    epilog="\b\nExamples:\n"
    "  nizam explain --tenant acme --from 1001 --to 2001\n"
    "  nizam explain -t acme --from +4930123456 --to +12025550101 --public --at 2026-12-24T18:00\n"
    "  nizam explain -t acme --from 1001 --to 6000 --at 2026-12-24T18:00 --time-zone Europe/Berlin"
    "\n"
    "  nizam explain -t acme --from 1001 --to 5100 --press 4711 --rings USER_BUSY"
)
@click.option("--from", "from_", required=True, metavar="NUMBER", help="Who calls.")
@click.option("--to", required=True, metavar="NUMBER", help="What is dialled.")
@click.option("--public", is_flag=True, help="As a call that comes in from a carrier.")
@click.option("--at", metavar="TIME", help="At this instant, UTC unless told.  [default: now]")
@click.option("--time-zone", metavar="ZONE", help="Read --at as the clocks in this time zone do.")
@click.option(
    "--press", multiple=True, metavar="DIGITS", help="What is pressed in a call flow; repeat it."
)
@click.option(
    "--rings", multiple=True, metavar="CAUSE", help="How ringing ends: USER_BUSY; repeat it."
)
@click.option(
    "--answer", multiple=True, metavar="NODE=JSON", help="What a node's server says; repeat it."
)
@click.option("--xml", is_flag=True, help="Print the XML that FreeSWITCH would get, nothing else.")
@api_options(tenant=True)
@json_option
def explain(
    access: Access,
    as_json: bool,
    from_: str,
    to: str,
    public: bool,
    at: str | None,
    time_zone: str | None,
    press: tuple[str, ...],
    rings: tuple[str, ...],
    answer: tuple[str, ...],
    xml: bool,
) -> None:
    """Where a call would go, and why. No call is made."""
    moment = None if at is None else instant(at, time_zone)
    answers = dict(_answer(it) for it in answer)
    with access.in_tenant() as tenant:
        found = tenant.explain(
            from_,
            to,
            context="public" if public else "internal",
            at=moment,
            digits=press or None,
            dispositions=rings or None,
            answers=answers or None,
        )
    if as_json:
        print_json(found)
    elif xml:
        click.echo(found["xml"])
    else:
        print_decision(found, from_, to)
        for position, further in enumerate(found["then"], 1):
            print_decision(further, "then", str(position))


def _answer(written: str) -> tuple[str, Any]:
    node, equals, text = written.partition("=")
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not equals or not isinstance(found, dict):
        raise click.BadParameter(
            f"{written} is not a node and a JSON object", param_hint="--answer"
        )
    return node, found


def print_decision(found: Mapping[str, Any], from_: str, to: str) -> None:
    """A decision for people: what was looked at, then what is done."""
    click.echo(f"{from_} -> {to}: {click.style(found['outcome'], bold=True)}")
    for step in found["trace"]:
        click.echo(f"  {_step(step)}")
    click.echo(f"  {found['summary']}")
    for number, step in enumerate(found["plan"], 1):
        click.echo(f"{number:>3}. {_fields(step)}")
    for it in found["commands"]:
        changes = json.dumps(it["changes"], sort_keys=True)
        click.echo(f"changes {it['resource']} {it['id']}: {changes}")


def _step(step: Mapping[str, Any]) -> str:
    return f"{step['result']:<8} {step['step']}: {step['detail']}"


def _fields(step: Mapping[str, Any]) -> str:
    # What is kept of a call comes in another order than what was just made.
    more = [
        f"{name} {cell(it)}"
        for name, it in step.items()
        if name != "step" and it not in (None, [], {}, "")
    ]
    return " ".join([str(step["step"]), ", ".join(more)]).rstrip()
