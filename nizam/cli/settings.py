"""What the commands that work on a server's own settings share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nizam.cli.exits import WRONG_USAGE, fail

if TYPE_CHECKING:
    from nizam.settings import Loaded


def config_option(function: Callable[..., None]) -> Callable[..., None]:
    """Adds --config to a command; it is given as `config`."""
    return click.option(
        "--config",
        "-c",
        envvar="NIZAM_CONFIG",
        type=click.Path(dir_okay=False, path_type=Path),
        help="A TOML file with settings.",
    )(function)


def loaded_or_fail(config: Path | None, status: int = WRONG_USAGE) -> Loaded:
    """The settings; ends the process with `status` and every problem if they are wrong."""
    from nizam.settings import SettingsError, load

    try:
        return load(config, os.environ)
    except SettingsError as error:
        fail(status, str(error))
