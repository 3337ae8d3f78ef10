"""`import` and `export` of the groups whose lists can be made from files, or be had as files."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn

import click

from nizam.cli.access import Access, api_options
from nizam.cli.exits import CONDITION_DOES_NOT_HOLD, fail
from nizam.cli.output import json_option, print_json, print_rows
from nizam.cli.resources import filter_option, parsed_filter
from nizam.cli.unfinished import Unfinished, unfinished

if TYPE_CHECKING:
    from nizam.client import ApiError
    from nizam.client.tables import Imported

_PROGRESS_SECONDS = 0.2
_FAULTS = ("row", "column", "message")


def add_export(to: click.Group, part: str, text: str, place: tuple[str, str] | None = None) -> None:
    """Give the group its `export`; `part` is what the client calls the list. One that can be gone
    on with has its `place`: the field that it is sorted by, and that of the ids."""

    def resume_option(command: Any) -> Any:
        words = "Go on with a file that was cut off, after its last whole row."
        return click.option("--resume", is_flag=True, hidden=place is None, help=words)(command)

    @to.command("export", help=text)
    @filter_option
    @click.option("--sort", help="A field; with - before it, descending.")
    @click.option(
        "--format",
        "form",
        type=click.Choice(["csv", "ndjson"]),
        default="csv",
        show_default=True,
        help="CSV, or a JSON object on each line.",
    )
    @click.option(
        "--output",
        "-o",
        default="-",
        help="The file to write; it appears when it is whole.  [default: standard output]",
    )
    @resume_option
    @api_options(tenant=True)
    def run(
        access: Access,
        filters: tuple[str, ...],
        sort: str | None,
        form: str,
        output: str,
        resume: bool,
    ) -> None:
        chosen: dict[str, Any] = dict(parsed_filter(it) for it in filters)
        begun = Unfinished(0, None)
        if resume:
            if place is None or output == "-":
                raise click.UsageError("--resume goes on with the --output FILE of a history")
            begun = _begun(output, form, sort or place[0], place[1])
        with access.in_tenant() as tenant:
            exported = getattr(tenant, part).export(
                form, sort=sort, after_row=begun.after, **chosen
            )
            kept = place is not None
            with (
                exported as pieces,
                target(output, begun.size, keep=kept) as file,
                _progress() as show,
            ):
                for piece in pieces:
                    file.write(piece)
                    show(len(piece))


def add_import(to: click.Group, part: str, words: str) -> None:
    """Give the group its `import`."""

    @to.command("import", help=f"Make and change {words} from a CSV file: all of it, or nothing.")
    @click.argument("file")
    @click.option("--dry-run", is_flag=True, help="Check everything, and change nothing.")
    @click.option(
        "--on-existing",
        type=click.Choice(["refuse", "update", "skip"]),
        default="refuse",
        show_default=True,
        help="What becomes of a number that is there already.",
    )
    @api_options(tenant=True)
    @json_option
    def run(access: Access, as_json: bool, file: str, dry_run: bool, on_existing: str) -> None:
        from nizam.client import ApiError
        from nizam.client.errors import CellError

        content = content_of(file)
        with access.in_tenant() as tenant:
            try:
                done = getattr(tenant, part).import_csv(
                    content, dry_run=dry_run, on_existing=on_existing
                )
            except ApiError as error:
                if not any(isinstance(it, CellError) for it in error.errors):
                    raise
                refused(error, as_json=as_json)
        _print_done(done, as_json=as_json)


def content_of(name: str) -> bytes:
    """What is in the file of this name, or comes on standard input."""
    try:
        return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise click.BadParameter(f"{name}: {error}", param_hint="FILE") from None


def _begun(name: str, form: str, sort: str, identifier: str) -> Unfinished:
    """How far the file of this name came."""
    part = f"{name}.part"
    try:
        with open(part, "rb") as file:
            return unfinished(file, form, sort, identifier)
    except FileNotFoundError:
        return Unfinished(0, None)
    except (OSError, ValueError) as error:
        raise click.BadParameter(f"{part}: {error}", param_hint="--resume") from None


@contextlib.contextmanager
def target(name: str, size: int = 0, *, keep: bool = False) -> Iterator[BinaryIO]:
    """The file of this name, which is there when everything was written, and not before.

    With a `size` it goes on with the first so many bytes of what was kept of it; with `keep` what
    has come of a file that is cut off is kept as NAME.part.
    """
    if name == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    part = f"{name}.part"
    try:
        file = open(part, "r+b" if size else "wb")  # noqa: SIM115 - closed below
        file.truncate(size)
        file.seek(size)
    except OSError as error:
        raise click.BadParameter(f"{name}: {error}", param_hint="--output") from None
    try:
        with file:
            yield file
        os.replace(part, name)
    except BaseException:
        if keep and os.path.getsize(part):
            click.echo(f"{part} keeps what has come; --resume goes on with it", err=True)
        else:
            os.unlink(part)
        raise


@contextlib.contextmanager
def _progress() -> Iterator[Any]:
    """What is to be told of each piece; people see how much has come so far."""
    seen = 0
    shown = time.monotonic()

    def show(size: int) -> None:
        nonlocal seen, shown
        seen += size
        if sys.stderr.isatty() and time.monotonic() - shown > _PROGRESS_SECONDS:
            shown = time.monotonic()
            click.echo(f"\r{seen:,} bytes", err=True, nl=False)

    yield show
    click.echo(f"{chr(13) if sys.stderr.isatty() else ''}{seen:,} bytes", err=True)


def refused(error: ApiError, *, as_json: bool) -> NoReturn:
    """Say what is wrong with the file, and end."""
    rows = [
        {name: getattr(it, name, None) for name in ("row", "column", "code", "message")}
        for it in error.errors
    ]
    total = error.extra.get("error_count", len(rows))
    if as_json:
        print_json({"code": error.code, "error_count": total, "errors": rows})
    else:
        print_rows(rows, _FAULTS, as_json=False, err=True)
    more = f", of which {len(rows)} are shown" if total > len(rows) else ""
    fail(
        CONDITION_DOES_NOT_HOLD,
        f"nothing was imported: {total} things are wrong{more} "
        f"({error.code}, request {error.request_id})",
    )


def _print_done(done: Imported, *, as_json: bool) -> None:
    import attrs

    told = attrs.asdict(done)
    if as_json:
        print_json(told)
    elif done.generated:
        columns = [name for name in done.generated[0] if name not in ("row", "id")]
        print_rows(done.generated, columns, as_json=False)
        click.echo(f"# shown this once: {', '.join(columns[1:])}", err=True)
    if not as_json:
        counts = ", ".join(
            f"{told[name]} {name}"
            for name in ("created", "updated", "unchanged", "skipped")
            if told[name]
        )
        would = "would be " if done.dry_run and counts else ""
        click.echo(f"{done.rows} rows: {would}{counts or 'nothing'}", err=True)
