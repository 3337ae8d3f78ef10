"""Backups: how old the last one is, whether it is whole and was ever restored, and whether there
is room for the next one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from nizam.ops.backup import verification
from nizam.ops.backup.errors import BackupError
from nizam.ops.backup.folder import BackupFolder, Listed
from nizam.ops.backup.manifest import Manifest
from nizam.ops.backup.verification import Verification
from nizam.ops.doctor.finding import Area, Declaring, Finding, Severity
from nizam.ops.doctor.postgres import asked
from nizam.ops.doctor.running import Context, Probe
from nizam.settings import Settings
from nizam.store.system.backups import LAST

OLD = timedelta(hours=26)
"""As the alert NizamBackupOld has it: a night and some hours."""
VERY_OLD = timedelta(days=7)
UNPROVEN = timedelta(days=15)
"""Verified every week, with one week left out."""
_check = Declaring(Area.BACKUPS)

AGE = _check(
    "age",
    f"whether a backup of PostgreSQL has ended within {OLD // timedelta(hours=1)} hours, wherever "
    "it was made",
    "What was changed since the last one is lost with the database.",
    "journalctl -u nizam-backup has why there is none; `systemctl enable --now nizam-backup.timer` "
    "makes one every night, `nizam backup` one now: docs/backup.md.",
)
FOLDER = _check(
    "folder",
    "whether NIZAM_BACKUP_FOLDER is on this machine, can be read, and is on another disk than the "
    "media root",
    "What is on the disk that it is a backup of goes with it.",
    "Mount another machine's disk there, or copy it away: docs/backup.md.",
    Severity.WARNING,
)
WHOLE = _check(
    "whole",
    "whether the manifest of each backup can be read, and the newest has every file in its size",
    "It could not be restored when it is needed.",
    "Make one now with `nizam backup`; remove the one that is named, or keep it for what it has.",
)
VERIFIED = _check(
    "verified",
    f"whether `nizam backup verify` found one good within {UNPROVEN.days} days",
    "A backup that was never restored may be none, and the keys for its secrets may be lost.",
    "Run `nizam backup verify` here once a week; what it finds wrong says what to do.",
)
ROOM = _check(
    "room",
    "whether there is room for two more backups of the newest one's size",
    "The next one fails when there is none.",
    "Enlarge the disk, shorten NIZAM_BACKUP_KEEP_DAYS, or leave recordings out "
    "(--without-recordings).",
)
CHECKS = (AGE, FOLDER, WHOLE, VERIFIED, ROOM)


def probes(context: Context) -> list[Probe]:
    """What the database knows of backups, and the folder."""
    settings = context.settings
    return [
        Probe(AGE, "the last backup", partial(_age, settings), told_elsewhere=True),
        Probe(FOLDER, f"backup folder {settings.backup.folder}", partial(_folder, settings)),
    ]


def _age(settings: Settings) -> Iterator[Finding]:
    with asked(settings.database.direct_dsn()) as database:
        found = {part: ended for part, ended, _ in database.rows(LAST)}
    yield judge_age(found.get("postgresql"), datetime.now(UTC))


def judge_age(ended: datetime | None, now: datetime) -> Finding:
    """Judges when the last backup of PostgreSQL ended."""
    subject = "the last backup"
    if ended is None:
        return AGE.wrong(subject, "there has never been one", Severity.WARNING)
    age = now - ended
    seen = f"it ended {_ago(age)}, at {ended.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    severity = Severity.FAILURE if age > VERY_OLD else Severity.WARNING
    return AGE.judge(subject, seen if age > OLD else None, seen, severity)


def _folder(settings: Settings) -> Iterator[Finding]:
    path = settings.backup.folder
    subject = f"backup folder {path}"
    if not path.exists():
        yield FOLDER.note(subject, "not on this machine: backups are made elsewhere, or not at all")
        return
    if path.is_dir() and not os.access(path, os.R_OK | os.X_OK):
        mend = "Run nizam doctor as the user who makes the backups (nizam), or as root."
        yield FOLDER.note(subject, "this user may not read it", mend)
        return
    try:
        found = BackupFolder(path).backups()
    except BackupError as error:
        yield FOLDER.wrong(subject, error.detail)
        return
    media = settings.media_root
    if media.exists() and media.stat().st_dev == path.stat().st_dev:
        yield FOLDER.note(subject, f"on one disk with {media}", FOLDER.mend)
    else:
        yield FOLDER.ok(subject, f"{len(found)} backups")
    if found:
        yield from _judge(subject, found)


def _judge(subject: str, found: Sequence[Listed]) -> Iterator[Finding]:
    for it in found:
        if it.manifest is None:
            severity = Severity.FAILURE if it is found[0] else Severity.WARNING
            yield WHOLE.wrong(subject, it.problem, severity)
    whole = [(it.path, it.manifest) for it in found if it.manifest is not None]
    if not whole:
        return
    newest, manifest = whole[0]
    problem = next(_missing(newest, manifest), None)
    yield WHOLE.judge(f"backup {newest}", problem, f"{len(manifest.files)} files are there")
    yield judge_verified(subject, [_verification(path) for path, _ in whole], datetime.now(UTC))
    size = sum(it.bytes for it in manifest.files.values())
    yield judge_room(subject, size, shutil.disk_usage(newest).free)


def _missing(path: Path, manifest: Manifest) -> Iterator[str]:
    for name, facts in manifest.files.items():
        try:
            size = (path / name).stat().st_size
        except OSError as error:
            yield f"{name}: {error.strerror}"
            continue
        if size != facts.bytes:
            yield f"{name} has {size} bytes, and had {facts.bytes}"


def _verification(path: Path) -> tuple[str, Verification | None]:
    try:
        return path.name, verification.last(path)
    except BackupError:
        return path.name, None


def judge_verified(
    subject: str, found: Sequence[tuple[str, Verification | None]], now: datetime
) -> Finding:
    """Judges what was noted of each backup, by its name, when it was verified; the last one
    counts."""
    notes = [(note.verified_at, name, note) for name, note in found if note is not None]
    if not notes:
        return VERIFIED.wrong(subject, "none of them was ever verified", Severity.WARNING)
    when, name, note = max(notes, key=lambda it: it[0])
    if not note.good:
        return VERIFIED.wrong(subject, f"{name} was found not good: {note.problem}")
    seen = f"{name} was found good {_ago(now - when)}"
    old = now - when > UNPROVEN
    return VERIFIED.judge(subject, seen if old else None, seen, Severity.WARNING)


def judge_room(subject: str, size: int, free: int) -> Finding:
    """Judges whether another backup of so many bytes fits."""
    seen = (
        f"{free // 2**20} MiB are free, the newest took {size // 2**20 + 1} MiB and its new media"
    )
    severity = Severity.FAILURE if free < size else Severity.WARNING
    return ROOM.judge(subject, seen if free < 2 * size else None, seen, severity)


def _ago(age: timedelta) -> str:
    hours = age // timedelta(hours=1)
    return f"{hours} hours ago" if hours < 72 else f"{age.days} days ago"
