"""`nizam backup`: making backups, looking at them, and finding out whether they are good."""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nizam.cli.exits import CANNOT_REACH, CONDITION_DOES_NOT_HOLD, fail
from nizam.cli.output import json_option, print_json, print_rows
from nizam.cli.settings import config_option, loaded_or_fail

if TYPE_CHECKING:
    from nizam.ops.backup.folder import BackupFolder, Listed
    from nizam.ops.backup.verify import Verified
    from nizam.settings import Settings

_PROGRESS_SECONDS = 3.0
_INTERRUPTED = 128 + signal.SIGTERM
folder_option = click.option(
    "--to",
    "folder",
    metavar="FOLDER",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the backups are kept.  [default: NIZAM_BACKUP_FOLDER]",
)


@click.group(invoke_without_command=True)
@config_option
@folder_option
@click.option("--without-redis", is_flag=True, help="Leave Redis out.")
@click.option("--without-freeswitch", is_flag=True, help="Leave FreeSWITCH's configuration out.")
@click.option("--without-media", is_flag=True, help="Leave the media root out.")
@click.option("--without-recordings", is_flag=True, help="Leave recordings out of the media.")
@json_option
@click.pass_context
def backup(
    context: click.Context,
    config: Path | None,
    folder: Path | None,
    without_redis: bool,
    without_freeswitch: bool,
    without_media: bool,
    without_recordings: bool,
    as_json: bool,
) -> None:
    """Back up PostgreSQL, Redis, FreeSWITCH's configuration and the media root.

    A backup is a folder in --to that is there when it is whole, and not before. Afterwards those
    that are older than NIZAM_BACKUP_KEEP_DAYS are removed. NIZAM_SECRET_KEYS are not in it: keep
    them elsewhere. Exit codes: 0 it is made, 1 it is not and nothing of it is left, 3 a server
    cannot be reached.
    """
    if context.invoked_subcommand is not None:
        return
    from nizam.ops.backup.make import Wanted, make_backup

    settings = loaded_or_fail(config).settings
    wanted = Wanted(
        redis=not without_redis,
        freeswitch=not without_freeswitch,
        media=not without_media,
        recordings=not without_recordings,
    )
    with reporting():
        made = make_backup(settings, _folder(settings, folder), wanted, Progress())
    manifest = made.manifest
    keys = {"stored"} if manifest.secrets.stored_key else set()
    unknown = sorted(set(manifest.secrets.keys) - keys - {it.id for it in settings.secret_keys})
    warnings = list(made.warnings)
    if unknown:
        warnings.append(
            f"secrets are under keys that are not configured here: {', '.join(unknown)}"
        )
    for name, why in manifest.left_out.items():
        click.echo(f"left out: {name}: {why}", err=True)
    for warning in warnings:
        click.echo(f"warning: {warning}", err=True)
    if as_json:
        document = {"path": str(made.path), "removed": made.removed, "warnings": warnings}
        print_json(document | {"manifest": manifest.model_dump(mode="json")})
        return
    for name in made.removed:
        click.echo(f"removed {name}")
    click.echo(f"{made.path}: {size(manifest.bytes)}, {_parts(manifest)}")


@backup.command("list")
@config_option
@folder_option
@json_option
def list_backups(config: Path | None, folder: Path | None, as_json: bool) -> None:
    """Show the backups, the newest first.

    Exit codes: 0 all can be read, 1 there is none, or one that cannot be read.
    """
    with reporting():
        found = _folder(loaded_or_fail(config).settings, folder).backups()
    print_rows(
        [_row(it) for it in found],
        ("name", "seconds", "size", "version", "migration", "parts", "problem"),
        as_json=as_json,
    )
    if not found or any(it.problem for it in found):
        sys.exit(CONDITION_DOES_NOT_HOLD)


@backup.command()
@click.argument("name", metavar="[BACKUP]", required=False)
@config_option
@folder_option
@json_option
def verify(name: str | None, config: Path | None, folder: Path | None, as_json: bool) -> None:
    """Restore BACKUP, a name or a path, into scratch servers and look whether all is there.

    Without BACKUP the newest one is taken. Nothing that runs is touched. It needs room in
    TMPDIR for the database. The result is noted beside the backup, for nizam doctor.
    Exit codes: 0 the backup is good, 1 it is not, 3 there are no programs of PostgreSQL or Redis
    here.
    """
    from nizam.ops.backup.errors import BackupError
    from nizam.ops.backup.verification import keep
    from nizam.ops.backup.verify import verify_backup

    settings = loaded_or_fail(config).settings
    with reporting():
        path = _folder(settings, folder).find(name)
        verified = verify_backup(path, settings.secret_keys, Progress())
        try:
            keep(verified, datetime.now(UTC))
        except BackupError as error:
            click.echo(f"warning: the result is not noted: {error.detail}", err=True)
    _print(verified, as_json=as_json)
    if not verified.good:
        sys.exit(CONDITION_DOES_NOT_HOLD)


class Progress:
    """Says on stderr how far it is, every few seconds."""

    def __init__(self) -> None:
        self._said = time.monotonic()

    def __call__(self, what: str, done: int) -> None:
        now = time.monotonic()
        if now - self._said >= _PROGRESS_SECONDS:
            self._said = now
            click.echo(f"{what}: {size(done)} ..." if done else f"{what} ...", err=True)


@contextlib.contextmanager
def reporting() -> Iterator[None]:
    """End the process as the commands do when a backup fails, and clean up when it is stopped."""
    from nizam.errors import DatabaseUnavailable
    from nizam.ops.backup.errors import BackupError, PeerUnreachable

    def stop(number: int, frame: object) -> None:
        # What is under way ends as it does for an error, and leaves nothing.
        raise SystemExit(_INTERRUPTED)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except (PeerUnreachable, DatabaseUnavailable) as error:
        fail(CANNOT_REACH, error.detail)
    except BackupError as error:
        fail(CONDITION_DOES_NOT_HOLD, error.detail)
    finally:
        signal.signal(signal.SIGTERM, before)


def size(number: int) -> str:
    """Bytes for people: `1.5 GB`."""
    if number < 1000:
        return f"{number} B"
    value = float(number)
    for unit in ("kB", "MB", "GB"):
        value /= 1000
        if value < 1000:
            return f"{value:.1f} {unit}"
    return f"{value / 1000:.1f} TB"


def _folder(settings: Settings, folder: Path | None) -> BackupFolder:
    from nizam.ops.backup.folder import BackupFolder

    return BackupFolder((folder or settings.backup.folder).absolute())


def _row(it: Listed) -> dict[str, Any]:
    manifest = it.manifest
    if manifest is None:
        return {"name": it.path.name, "problem": it.problem}
    return {
        "name": manifest.name,
        "seconds": round((manifest.finished_at - manifest.started_at).total_seconds(), 1),
        "size": size(manifest.bytes),
        "bytes": manifest.bytes,
        "version": manifest.nizam_version,
        "migration": manifest.database.revision,
        "parts": _parts(manifest),
        "left_out": dict(manifest.left_out),
    }


def _parts(manifest: Any) -> str:
    rows = sum(manifest.database.tables.values())
    found = [f"PostgreSQL {rows} rows"]
    if manifest.redis:
        found.append("Redis")
    if manifest.freeswitch is not None:
        found.append(f"FreeSWITCH {manifest.freeswitch.files} files")
    if manifest.media is not None:
        new = manifest.media.files - manifest.media.linked
        found.append(f"media {manifest.media.files} files, {new} new")
    return ", ".join(found)


def _print(verified: Verified, *, as_json: bool) -> None:
    if as_json:
        checks = [
            {"name": it.name, "found": it.found, "problems": it.problems} for it in verified.checks
        ]
        print_json({"path": str(verified.path), "good": verified.good, "checks": checks})
        return
    for it in verified.checks:
        click.echo(f"{'BAD' if it.problems else 'ok':<4}{it.name}: {it.found}")
        for problem in it.problems:
            click.echo(f"    {problem}")
    click.echo(f"{verified.path} is {'good' if verified.good else 'NOT good'}")
