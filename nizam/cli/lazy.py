"""A group of commands whose files are imported only when they are used."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import click

Table = Mapping[str, tuple[str, str]]


class LazyGroup(click.Group):
    """A group over tables: the name of a command -> where it is, and its line of help.

    It is at `module:attribute`, or made by `module:function:argument`. There is a table for each
    section of `--help`, which shows the lines; they are the commands' own short help too.
    """

    def __init__(
        self, *args: Any, sections: Mapping[str, Table] | None = None, **more: Any
    ) -> None:
        super().__init__(*args, **more)
        self.sections = dict(sections or {})
        self.table = {name: it for table in self.sections.values() for name, it in table.items()}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the table."""
        return [*self.table, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name, imported now; None if there is none."""
        if cmd_name not in self.table:
            return super().get_command(ctx, cmd_name)
        place, line = self.table[cmd_name]
        module, attribute, *arguments = place.split(":")
        command = getattr(importlib.import_module(module), attribute)
        if arguments:
            command = command(*arguments)
        assert isinstance(command, click.Command), place  # noqa: S101 - the table is ours
        command.short_help = line
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the lists of commands from the tables alone."""
        for title, table in self.sections.items():
            with formatter.section(title):
                formatter.write_dl([(name, line) for name, (_, line) in table.items()])
