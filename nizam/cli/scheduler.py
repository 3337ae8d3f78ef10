"""`nizam scheduler`: what NIZAM does on schedule, and doing one of it now."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nizam.cli.exits import CANNOT_REACH, CONDITION_DOES_NOT_HOLD, WRONG_USAGE, fail
from nizam.cli.output import json_option, print_json, print_object, print_rows
from nizam.cli.settings import config_option, loaded_or_fail

if TYPE_CHECKING:
    from nizam.store.system.scheduled_tasks import TaskState

_COLUMNS = ("task", "succeeded_at", "seconds", "removed", "next_at", "late", "error")


@click.group()
def scheduler() -> None:
    """The scheduled work: purges, retention, partitions."""


@scheduler.command("list")
@config_option
@json_option
def list_tasks(config: Path | None, as_json: bool) -> None:
    """Show each task: when it last succeeded, what its last turn removed, when it is due again.

    Reads the database itself. Exit codes: 0 all is well, 1 a task is late, 3 the database cannot
    be read.
    """
    from nizam.errors import DatabaseUnavailable
    from nizam.ops.scheduled_work import read_scheduled_work

    dsn = loaded_or_fail(config).settings.database.direct_dsn()
    try:
        work = read_scheduled_work(dsn)
    except DatabaseUnavailable as error:
        fail(CANNOT_REACH, f"the database cannot be read: {error.detail}")
    rows = [_row(it) for it in work.tasks]
    if as_json:
        print_json({"leader": work.leader, "tasks": rows})
    else:
        print_rows(rows, _COLUMNS, as_json=False)
        click.echo(f"led by {work.leader}" if work.leader else "no instance leads it now")
    if work.late:
        sys.exit(CONDITION_DOES_NOT_HOLD)


@scheduler.command()
@click.argument("task")
@click.option(
    "--timeout",
    type=click.FloatRange(0),
    default=60.0,
    show_default=True,
    help="For how many seconds to wait for its end.",
)
@config_option
@json_option
def run(config: Path | None, task: str, timeout: float, as_json: bool) -> None:
    """Have the leading instance do one task now, and wait for its end.

    Exit codes: 0 it is done, 1 it failed, 2 there is no such task, 3 it did not end in time, no
    instance leads, or the database cannot be reached.
    """
    from nizam.errors import DatabaseUnavailable
    from nizam.ops.scheduled_work import run_task

    dsn = loaded_or_fail(config).settings.database.direct_dsn()
    try:
        done = run_task(dsn, task, timeout)
    except LookupError as error:
        fail(WRONG_USAGE, str(error.args[0]))
    except TimeoutError as error:
        fail(CANNOT_REACH, str(error))
    except DatabaseUnavailable as error:
        fail(CANNOT_REACH, f"the database cannot be reached: {error.detail}")
    print_object(_row(done), as_json=as_json)
    if done.error is not None:
        sys.exit(CONDITION_DOES_NOT_HOLD)


def _row(it: TaskState) -> dict[str, Any]:
    return {
        "task": it.name,
        "interval_seconds": it.interval_seconds,
        "succeeded_at": _time(it.succeeded_at),
        "ended_at": _time(it.ended_at),
        "seconds": None if it.duration_ms is None else it.duration_ms / 1000,
        "removed": it.removed,
        "next_at": _time(it.next_at),
        "late": it.late,
        "error": it.error,
    }


def _time(moment: Any) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds")
