"""The `nizam` command.

Exit codes: 0 fine, 1 the condition asked about does not hold, 2 wrong usage, 3 cannot reach what
is needed.
"""

from __future__ import annotations

import ipaddress
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import click

from nizam import __version__
from nizam.settings import Loaded, SettingsError, load

CONDITION_DOES_NOT_HOLD = 1
WRONG_USAGE = 2
CANNOT_REACH = 3


def main() -> None:
    """The console script."""
    commands(prog_name="nizam")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def commands() -> None:
    """The control plane for FreeSWITCH: run it with `twistd nizam`, try it with `nizam dev`."""


def config_option(function: Callable[..., None]) -> Callable[..., None]:
    """Adds --config to a command; it is given as `config`."""
    return click.option(
        "--config",
        "-c",
        envvar="NIZAM_CONFIG",
        type=click.Path(dir_okay=False, path_type=Path),
        help="A TOML file with settings.",
    )(function)


def fail(status: int, message: str) -> NoReturn:
    """Say `message` on stderr and end with exit status `status`."""
    click.echo(message, err=True)
    sys.exit(status)


def loaded_or_fail(config: Path | None, status: int = WRONG_USAGE) -> Loaded:
    """The settings; ends the process with `status` and every problem if they are wrong."""
    try:
        return load(config, os.environ)
    except SettingsError as error:
        fail(status, str(error))


@commands.command("check-config")
@config_option
def check_config(config: Path | None) -> None:
    """Check the settings and show the effective ones, secrets masked."""
    from nizam.settings.render import render_effective

    click.echo(render_effective(loaded_or_fail(config, CONDITION_DOES_NOT_HOLD)), nl=False)


@commands.command()
@config_option
def migrate(config: Path | None) -> None:
    """Bring the database's tables up to date."""
    import psycopg2

    from nizam.errors import DatabaseUnavailable
    from nizam.store.migrate import pending, upgrade

    dsn = loaded_or_fail(config).settings.database.dsn()
    try:
        missing = pending(dsn)
        upgrade(dsn)
    except (psycopg2.OperationalError, DatabaseUnavailable) as error:
        fail(CANNOT_REACH, f"the database cannot be reached: {str(error).strip()}")
    click.echo(f"applied: {', '.join(missing)}" if missing else "nothing to do")


@commands.command()
@config_option
def doctor(config: Path | None) -> None:
    """Check PostgreSQL, Redis, each node's event socket and the media root."""
    from nizam.ops.doctor import Verdict, examine
    from nizam.store.migrate import pending

    findings = examine(loaded_or_fail(config).settings, pending)
    for finding in findings:
        click.echo(f"{finding.verdict:<12} {finding.name}: {finding.detail}")
    verdicts = {finding.verdict for finding in findings}
    if Verdict.UNREACHABLE in verdicts:
        sys.exit(CANNOT_REACH)
    if Verdict.UNFIT in verdicts:
        sys.exit(CONDITION_DOES_NOT_HOLD)


@commands.command()
@click.option(
    "--state-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where everything is kept. "
    "[default: /var/lib/nizam-dev for root, else ~/.local/state/nizam]",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port",
    default=8080,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="The port to listen on; 0 takes a free one.",
)
@click.option("--no-sim", is_flag=True, help="No simulated switch.")
@click.option(
    "--cps",
    default=0.5,
    show_default=True,
    type=click.FloatRange(0, 200),
    help="Calls a second that the simulated switch places.",
)
@click.option(
    "--node",
    "nodes",
    multiple=True,
    metavar="NAME=HOST:PORT:PASSWORD",
    help="A FreeSWITCH of your own, by its event socket; repeatable.",
)
def dev(
    state_dir: Path | None,
    host: str,
    port: int,
    no_sim: bool,
    cps: float,
    nodes: tuple[str, ...],
) -> None:
    """Run everything on this machine: private servers, a demo tenant and a simulated switch."""
    from nizam.dev.folder import FolderInUseError, default_folder
    from nizam.dev.options import DevOptions, parse_node
    from nizam.embedded.process import free_port
    from nizam.errors import NizamError

    try:
        address = str(ipaddress.ip_address("127.0.0.1" if host == "localhost" else host))
    except ValueError:
        raise click.BadParameter(f"{host!r} is not an IP address", param_hint="--host") from None
    try:
        parsed = tuple(map(parse_node, nodes))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--node") from None
    options = DevOptions(
        state_dir=state_dir or default_folder(),
        host=address,
        port=port or free_port(),
        simulate=not no_sim,
        calls_per_second=cps,
        nodes=parsed,
    )
    # The parts of the daemon are imported late, so that wrong usage is told at once.
    from nizam.dev.run import PortInUseError, run

    try:
        run(options, click.echo)
    except SettingsError as error:
        fail(WRONG_USAGE, str(error))
    except (FolderInUseError, PortInUseError) as error:
        fail(CONDITION_DOES_NOT_HOLD, str(error))
    except NizamError as error:
        fail(CANNOT_REACH, str(error))


if __name__ == "__main__":
    main()
