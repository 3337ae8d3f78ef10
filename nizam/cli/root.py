"""The list of all commands. A new one is a line here and its function in a file beside this."""

from __future__ import annotations

import click

from nizam import __version__
from nizam.cli.lazy import LazyGroup

COMMANDS: dict[str, tuple[str, str]] = {
    "dev": ("nizam.cli.dev:dev", "Run everything on this machine, with a demo tenant."),
    "check-config": ("nizam.cli.installation:check_config", "Check and show the settings."),
    "migrate": ("nizam.cli.installation:migrate", "Bring the database's tables up to date."),
    "doctor": ("nizam.cli.installation:doctor", "Check PostgreSQL, Redis, nodes and media."),
    "audit": ("nizam.cli.audit:audit", "Verify the audit log."),
}


@click.group(
    cls=LazyGroup,
    table=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__)
def commands() -> None:
    """The control plane for FreeSWITCH: run it with `twistd nizam`, try it with `nizam dev`."""
