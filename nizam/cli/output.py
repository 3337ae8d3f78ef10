"""What commands print: tables and YAML for people, JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import click

Function = Callable[..., Any]
Row = Mapping[str, Any]


def json_option(function: Function) -> Function:
    """Adds --json; it is given as `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")(
        function
    )


def print_json(value: Any) -> None:
    """One JSON value, with times, ids and the like as texts."""
    click.echo(to_json(value))


def to_json(value: Any) -> str:
    """The value as JSON that people can read, too."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def print_object(document: Row, *, as_json: bool) -> None:
    """One object."""
    if as_json:
        print_json(document)
    else:
        click.echo(to_yaml(document), nl=False)


def to_yaml(document: Any) -> str:
    """The document as YAML, its fields in their order."""
    import yaml

    text: str = yaml.dump(
        document, Dumper=_dumper(), sort_keys=False, allow_unicode=True, default_flow_style=False
    )
    return text


def print_rows(
    rows: Iterable[Row], columns: Sequence[str], *, as_json: bool, err: bool = False
) -> None:
    """A list: a table of these columns, on standard error with `err`; or a JSON array of
    everything."""
    if as_json:
        print_json(list(rows))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.upper().replace("_", " "), no_wrap=True)
    for row in rows:
        table.add_row(*(Text(cell(row.get(column))) for column in columns))
    # A pipe gets whole lines; a terminal gets lines that fit.
    stream = sys.stderr if err else sys.stdout
    width = None if stream.isatty() else 100_000
    Console(file=stream, width=width, highlight=False).print(table)


def cell(value: Any) -> str:
    """A value as a table shows it."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)


def _dumper() -> Any:
    import yaml

    class Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
        def ignore_aliases(self, data: Any) -> bool:
            return True

    return Dumper
