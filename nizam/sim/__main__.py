"""Runs a simulated FreeSWITCH by itself: `python -m nizam.sim --help`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
import click
from twisted.internet.defer import Deferred
from twisted.internet.task import react

from nizam.sim.settings import Dialable, Durations, Scenery, User
from nizam.sim.switch import SimulatedSwitch


class _Address(click.ParamType[tuple[str, str, str]]):
    """`NUMBER@DOMAIN`, and what may follow it behind a colon."""

    name = "number@domain"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str, str]:
        address, _, rest = str(value).partition(":")
        number, at, domain = address.partition("@")
        if not at or not number or not domain:
            self.fail(f"{value!r} is not NUMBER@DOMAIN", param, ctx)
        return number, domain, rest


@click.command()
@click.option("--esl-port", default=8021, show_default=True, help="Event socket port.")
@click.option("--esl-host", default="127.0.0.1", show_default=True, help="Its address.")
@click.option("--password", default="ClueCon", show_default=True, help="Its password.")
@click.option("--xml-url", default="", help="Where mod_xml_curl asks, such as .../freeswitch/xml.")
@click.option("--xml-user", default="", metavar="NAME:PASSWORD", help="Its HTTP credentials.")
@click.option("--cdr-url", default="", help="Where mod_json_cdr posts, such as .../freeswitch/cdr.")
@click.option(
    "--cdr-error-folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where refused CDRs are kept.",
)
@click.option(
    "--user",
    "users",
    multiple=True,
    type=_Address(),
    metavar="NUMBER@DOMAIN:PASSWORD",
    help="A phone that registers; repeatable.",
)
@click.option("--did", "dids", multiple=True, help="A number dialled from outside; repeatable.")
@click.option(
    "--ring-group",
    "ring_groups",
    multiple=True,
    type=_Address(),
    metavar="NUMBER@DOMAIN",
    help="A ring group to dial; repeatable.",
)
@click.option(
    "--ivr",
    "ivrs",
    multiple=True,
    type=_Address(),
    metavar="NUMBER@DOMAIN[:DIGITS]",
    help="An IVR to dial, and what to press in it; repeatable.",
)
@click.option("--outside", "outside", multiple=True, help="An outside number to dial; repeatable.")
@click.option("--cps", default=1.0, show_default=True, help="Calls a second.")
@click.option(
    "--talk",
    nargs=2,
    type=float,
    default=(5.0, 20.0),
    show_default=True,
    help="Shortest and longest conversation in seconds.",
)
@click.option("--pace", default=1.0, show_default=True, help="Real seconds per simulated one.")
@click.option("--seed", default=1, show_default=True, help="Makes a run repeatable.")
@click.option("--seconds", type=float, help="Stop placing calls after this long, then leave.")
@click.option(
    "--truth",
    "truth_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write what happened here when leaving, one call per line.",
)
def main(
    esl_port: int,
    esl_host: str,
    password: str,
    xml_url: str,
    xml_user: str,
    cdr_url: str,
    cdr_error_folder: Path | None,
    users: tuple[tuple[str, str, str], ...],
    dids: tuple[str, ...],
    ring_groups: tuple[tuple[str, str, str], ...],
    ivrs: tuple[tuple[str, str, str], ...],
    outside: tuple[str, ...],
    cps: float,
    talk: tuple[float, float],
    pace: float,
    seed: int,
    seconds: float | None,
    truth_file: Path | None,
) -> None:
    """A FreeSWITCH made of nothing but its network behaviour."""
    username, _, http_password = xml_user.partition(":")
    scenery = Scenery(
        users=tuple(User(number, domain, secret) for number, domain, secret in users),
        dids=dids,
        ring_groups=tuple(Dialable(number, domain) for number, domain, _ in ring_groups),
        ivrs=tuple(Dialable(n, domain, (keys,) if keys else ()) for n, domain, keys in ivrs),
        outside_numbers=outside or Scenery().outside_numbers,
        durations=Durations(talk=talk),
        pace=pace,
    )

    async def run(reactor: Any) -> None:
        switch = SimulatedSwitch(
            reactor,
            esl_port=esl_port,
            esl_host=esl_host,
            password=password,
            xml_url=xml_url,
            xml_username=username,
            xml_password=http_password,
            cdr_url=cdr_url,
            cdr_error_folder=cdr_error_folder,
            scenery=scenery,
            calls_per_second=cps if users else 0.0,
            seed=seed,
        )
        leaving: Deferred[None] = Deferred()
        reactor.addSystemEventTrigger("before", "shutdown", switch.stop_calls)
        await switch.start()
        click.echo(f"event socket on {esl_host}:{switch.esl_port}")
        if seconds is not None:
            reactor.callLater(seconds, leaving.callback, None)
        await leaving
        switch.stop_calls()
        await switch.drain()
        _report(switch, truth_file)
        await switch.stop()

    react(lambda reactor: Deferred.fromCoroutine(run(reactor)))


def _report(switch: SimulatedSwitch, truth_file: Path | None) -> None:
    truth = switch.truth
    click.echo(
        f"{truth.placed} calls placed, {len(truth.calls)} ended, {len(truth.posted)} CDRs taken, "
        f"{len(truth.spooled)} refused, {len(truth.problems)} problems"
    )
    for problem in truth.problems[:20]:
        click.echo(f"  {problem}", err=True)
    if truth_file is not None:
        lines = [json.dumps(attrs.asdict(call)) for call in truth.calls]
        truth_file.write_text("\n".join([*lines, ""]))


if __name__ == "__main__":
    main()
