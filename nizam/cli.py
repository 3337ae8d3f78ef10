"""The `nizam` command.

Exit codes: 0 fine, 1 the condition asked about does not hold, 2 wrong usage, 3 cannot reach what
is needed.
"""

from __future__ import annotations

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


if __name__ == "__main__":
    main()
