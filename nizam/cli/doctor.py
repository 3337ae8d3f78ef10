"""`nizam doctor`: what is wrong, why it matters, how to mend it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nizam.cli.output import json_option, print_json
from nizam.cli.settings import config_option

if TYPE_CHECKING:
    from nizam.ops.doctor import Finding

# Those of nizam.ops.doctor.Area, which `--help` need not import.
AREAS = (
    *("configuration", "database", "redis", "nodes", "freeswitch", "clocks", "certificates"),
    *("disk", "backups", "process", "names"),
)
ENDS = {"ok": 0, "note": 0, "warning": 1, "failure": 2}
"""The exit status for the worst that was found."""
_COLOURS = {"ok": "green", "note": "cyan", "warning": "yellow", "failure": "red"}


@click.command()
@config_option
@click.option(
    "--only",
    "only",
    multiple=True,
    type=click.Choice(AREAS),
    help="Check this area alone; may be given several times.",
)
@click.option("--quiet", "-q", is_flag=True, help="Show what is not well alone.")
@click.option(
    "--deadline",
    type=click.FloatRange(1, 300),
    default=10.0,
    show_default=True,
    help="How many seconds each check may take; they run side by side.",
)
@click.option(
    "--freeswitch-folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("/etc/freeswitch"),
    show_default=True,
    help="Where FreeSWITCH's configuration is, if it runs on this machine.",
)
@json_option
def doctor(
    config: Path | None,
    only: Sequence[str],
    quiet: bool,
    deadline: float,
    freeswitch_folder: Path,
    as_json: bool,
) -> None:
    """Check everything that NIZAM needs, from this machine, and say how to mend what is wrong.

    Looks at the settings, PostgreSQL and its replicas, Redis, each FreeSWITCH node and its
    configuration, clocks, certificates, disks, backups, limits of this machine and names of
    hosts. Changes nothing. Run it on a machine of NIZAM as the user nizam, or as root to see other
    users' processes; on a FreeSWITCH machine it reads that one's files too. docs/doctor.md lists
    every check.

    Exit codes: 0 all is well, or there are notes alone; 1 there are warnings; 2 there are failures
    (or wrong usage).
    """
    from nizam.ops.doctor import Area, Context, examine
    from nizam.ops.doctor.configuration import refused
    from nizam.settings import SettingsError, load

    try:
        loaded = load(config, os.environ)
    except SettingsError as error:
        findings = refused(error)
    else:
        areas = tuple(map(Area, only)) or tuple(Area)
        findings = examine(Context(loaded, config, freeswitch_folder), areas, deadline)
    worst = max((it.severity for it in findings), default=None)
    status = "ok" if worst is None else worst.value
    if as_json:
        print_json({"status": status, "counts": _counts(findings), "findings": _plain(findings)})
    else:
        _print(findings, quiet=quiet)
    sys.exit(ENDS[status])


def _counts(findings: Iterable[Finding]) -> dict[str, int]:
    counts = dict.fromkeys(ENDS, 0)
    for it in findings:
        counts[it.severity.value] += 1
    return counts


def _plain(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    return [
        {
            "check": it.check,
            "area": it.area.value,
            "subject": it.subject,
            "severity": it.severity.value,
            "detail": it.detail,
            "why": it.why,
            "mend": it.mend,
        }
        for it in findings
    ]


def _print(findings: Sequence[Finding], *, quiet: bool) -> None:
    area = None
    for it in findings:
        severity = it.severity.value
        if quiet and severity == "ok":
            continue
        if it.area is not area:
            area = it.area
            click.secho(f"\n{area.value}", bold=True)
        mark = click.style(f"{severity:<8}", fg=_COLOURS[severity])
        click.echo(f"{mark} {it.check.partition('.')[2]}: {it.subject}: {it.detail}")
        if severity in ("warning", "failure"):
            click.echo(f"         why   {it.why}")
        if it.mend:
            click.echo(f"         mend  {it.mend}")
    counts = _counts(findings)
    shown = [
        f"{number} {name}{'s' if number != 1 and name != 'ok' else ''}"
        for name, number in counts.items()
    ]
    click.echo(f"\n{', '.join(shown)}")
