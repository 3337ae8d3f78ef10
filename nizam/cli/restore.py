"""`nizam restore`: back from a backup."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from nizam.cli.backup import Progress, folder_option, reporting
from nizam.cli.exits import CONDITION_DOES_NOT_HOLD, WRONG_USAGE, fail
from nizam.cli.output import json_option, print_json
from nizam.cli.settings import config_option, loaded_or_fail

_PARTS = ("database", "redis", "media", "configuration")


@click.command()
@click.argument("name", metavar="BACKUP")
@config_option
@folder_option
@click.option(
    "--only", multiple=True, type=click.Choice(_PARTS), help="This part alone; can be repeated."
)
@click.option(
    "--replace",
    is_flag=True,
    help="Replace what is in use: the database is moved aside, Redis dumped and emptied, files "
    "that are others replaced.",
)
@click.option("--force", is_flag=True, help="Although instances are running.")
@click.option(
    "--configuration-to",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Where FreeSWITCH's configuration is put.  [default: beside it, as NAME.from-BACKUP]",
)
@click.option(
    "--configuration-in-place",
    is_flag=True,
    help="Put FreeSWITCH's configuration where it was; the present one is moved aside.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def restore(
    name: str,
    config: Path | None,
    folder: Path | None,
    only: tuple[str, ...],
    replace: bool,
    force: bool,
    configuration_to: Path | None,
    configuration_in_place: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Restore BACKUP, a name or a path, with the settings of this machine.

    All instances must be stopped. PostgreSQL comes first, then Redis, the migrations that have come
    since, the media root, and FreeSWITCH's configuration, into a folder of its own. What is in use
    is not touched without --replace. Exit codes: 0 it is done, 1 it is refused or has failed, 3 a
    server cannot be reached.
    """
    from nizam.ops.backup.folder import BackupFolder
    from nizam.ops.backup.restore import Wishes, carry_out, plan_restore

    if configuration_to is not None and configuration_in_place:
        fail(WRONG_USAGE, "--configuration-to and --configuration-in-place: one of the two")
    settings = loaded_or_fail(config).settings
    wishes = Wishes(
        only=only,
        replace=replace,
        force=force,
        configuration_to=None if configuration_to is None else configuration_to.absolute(),
        configuration_in_place=configuration_in_place,
    )
    with reporting():
        path = BackupFolder((folder or settings.backup.folder).absolute()).find(name)
        plan = plan_restore(settings, path, wishes, Progress())
        manifest = plan.manifest
        click.echo(f"{path}, made {manifest.started_at:%Y-%m-%d %H:%M:%S %Z}", err=True)
        for step in plan.steps:
            click.echo(f"  {step}", err=True)
        if not yes:
            if not sys.stdin.isatty():
                fail(WRONG_USAGE, "nothing was done: give --yes where nobody can be asked")
            if not click.confirm("Go on?", err=True):
                fail(CONDITION_DOES_NOT_HOLD, "nothing was done")
        done = carry_out(settings, plan, wishes, Progress())
    if as_json:
        print_json({"path": str(path), "parts": plan.parts, "done": done})
        return
    for line in done:
        click.echo(line)
    if "database" in plan.parts:
        click.echo("Start the instances now: nizam doctor says whether all is well")
