"""The `nizam` command.

`root` lists the commands, each with the file that it stands in; a file is imported when its
command is used, so that `nizam --help` answers at once. Exit codes are in `exits`.
"""

from __future__ import annotations


def main() -> None:
    """The console script."""
    from nizam.cli.root import commands

    commands(prog_name="nizam")
