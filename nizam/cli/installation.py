"""Commands for an installation: its settings, its tables, its servers."""

from __future__ import annotations

from pathlib import Path

import click

from nizam.cli.exits import CANNOT_REACH, CONDITION_DOES_NOT_HOLD, fail
from nizam.cli.settings import config_option, loaded_or_fail


@click.command("check-config")
@config_option
def check_config(config: Path | None) -> None:
    """Check the settings and show the effective ones, secrets masked."""
    from nizam.settings.render import render_effective

    click.echo(render_effective(loaded_or_fail(config, CONDITION_DOES_NOT_HOLD)), nl=False)


@click.command()
@config_option
def migrate(config: Path | None) -> None:
    """Bring the database's tables up to date."""
    import psycopg2

    from nizam.errors import DatabaseUnavailable
    from nizam.store.migrate import ForeignDatabase, current, newer_than_this, pending, upgrade

    dsn = loaded_or_fail(config).settings.database.direct_dsn()
    try:
        missing = pending(dsn)
        upgrade(dsn)
        present = current(dsn)
    except (psycopg2.OperationalError, DatabaseUnavailable) as error:
        fail(CANNOT_REACH, f"the database cannot be reached: {str(error).strip()}")
    except ForeignDatabase as error:
        fail(CONDITION_DOES_NOT_HOLD, error.detail)
    if newer_than_this(present):
        click.echo(f"nothing to do: the database is at {present}, of a newer release")
    else:
        click.echo(f"applied: {', '.join(missing)}" if missing else "nothing to do")
