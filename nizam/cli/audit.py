"""`nizam audit`: whether the audit log is whole."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from nizam.cli.audit_list import list_rows
from nizam.cli.exits import CANNOT_REACH, CONDITION_DOES_NOT_HOLD, WRONG_USAGE, fail
from nizam.cli.settings import config_option, loaded_or_fail
from nizam.cli.tables import add_export

if TYPE_CHECKING:
    from nizam.store.system.audit import Head
    from nizam.store.verify_audit import ChainReport

_PROGRESS_SECONDS = 3.0


@click.group()
def audit() -> None:
    """The audit log, whose rows are chained by their hashes."""


audit.add_command(list_rows)
add_export(
    audit,
    "audit_logs",
    "Write who did what in a tenant to a file, the newest first.",
    ("-occurred_at", "id"),
)


@audit.command()
@config_option
@click.option(
    "--tenant", metavar="ID|SLUG|platform", help="Only this chain.  [default: all of them]"
)
@click.option(
    "--known",
    "known_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What an earlier `verify --json` printed: its heads must still be there.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def verify(config: Path | None, tenant: str | None, known_file: Path | None, as_json: bool) -> None:
    """Check that no row of the audit log was changed, removed or moved.

    Reads the database itself. Exit codes: 0 the log is whole, 1 it is not, 3 the database cannot
    be read. Keep what --json prints elsewhere: with --known, a log that was made anew shows too.
    """
    from nizam.errors import DatabaseUnavailable
    from nizam.store import verify_audit

    known = _known(known_file) if known_file else None
    dsn = loaded_or_fail(config).settings.database.direct_dsn()
    rows = broken = 0
    chains: list[dict[str, Any]] = []
    try:
        for report in verify_audit.verify(dsn, tenant, known, _Progress()):
            rows += report.rows
            broken += report.broken
            if as_json:
                chains.append(_document(report))
            elif report.broken or tenant is not None:
                _print(report)
    except DatabaseUnavailable as error:
        fail(CANNOT_REACH, f"the audit log cannot be read: {error.detail}")
    except LookupError as error:
        fail(WRONG_USAGE, str(error.args[0]))
    if as_json:
        summary = {"intact": not broken, "rows": rows, "broken": broken, "chains": chains}
        click.echo(json.dumps(summary, indent=2))
    else:
        click.echo(f"{rows} rows: {f'{broken} breaks' if broken else 'whole'}")
    if broken:
        sys.exit(CONDITION_DOES_NOT_HOLD)


def _known(path: Path) -> Mapping[UUID, Head]:
    from nizam.store.system.audit import PLATFORM_CHAIN, Head

    try:
        chains = json.loads(path.read_text("utf-8"))["chains"]
        return {
            UUID(it["tenant_id"]) if it["tenant_id"] else PLATFORM_CHAIN: Head(
                int(it["head"]["sequence"]), str(it["head"]["hash"])
            )
            for it in chains
            if it["head"]["sequence"]
        }
    except (ValueError, TypeError, KeyError) as error:
        fail(WRONG_USAGE, f"{path} is not what `verify --json` prints: {error!r}")


class _Progress:
    """Says on stderr how far it is, every few seconds."""

    def __init__(self) -> None:
        self._said = time.monotonic()

    def __call__(self, rows: int) -> None:
        now = time.monotonic()
        if now - self._said >= _PROGRESS_SECONDS:
            self._said = now
            click.echo(f"{rows} rows ...", err=True)


def _document(report: ChainReport) -> dict[str, Any]:
    return {
        "tenant_id": str(report.tenant_id) if report.tenant_id else None,
        "slug": report.slug,
        "rows": report.rows,
        "pruned": report.pruned,
        "head": {"sequence": report.head.sequence, "hash": report.head.hash},
        "broken": report.broken,
        "breaks": [
            {"sequence": it.sequence, "id": str(it.id) if it.id else None, "reason": it.reason}
            for it in report.breaks
        ],
    }


def _print(report: ChainReport) -> None:
    name = "the platform" if report.tenant_id is None else f"{report.slug} ({report.tenant_id})"
    state = f"{report.broken} breaks" if report.broken else "whole"
    click.echo(f"{name}: {report.rows} rows, {state}; head {report.head.sequence}")
    for it in report.breaks:
        row = f" ({it.id})" if it.id else ""
        click.echo(f"  row {it.sequence}{row}: {it.reason}")
    if report.broken > len(report.breaks):
        click.echo(f"  and {report.broken - len(report.breaks)} more")
