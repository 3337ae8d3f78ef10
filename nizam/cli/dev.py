"""`nizam dev`: everything on this machine."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import click

from nizam.cli.exits import CANNOT_REACH, CONDITION_DOES_NOT_HOLD, WRONG_USAGE, fail


@click.command()
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
    from nizam.settings import SettingsError

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
