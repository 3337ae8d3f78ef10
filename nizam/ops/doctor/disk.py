"""Where NIZAM keeps files: is there room, may it write, and who else may read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from nizam.errors import NizamError
from nizam.media.folder import MediaFolder
from nizam.ops.doctor.finding import Area, Declaring, Finding, Severity
from nizam.ops.doctor.running import Context, Probe

FEW_BYTES = 2 * 2**30
VERY_FEW_BYTES = 256 * 2**20
LOW_SHARE = 0.10
VERY_LOW_SHARE = 0.02
_check = Declaring(Area.DISK)

MEDIA = _check(
    "media-root",
    "whether files can be written below NIZAM_MEDIA_ROOT",
    "Recordings, voicemail and prompts cannot be stored or played.",
    "Make it, or mount it, as on the switch; user nizam and user freeswitch are in one group that "
    "may write there: docs/media.md.",
)
SPACE = _check(
    "space",
    f"whether more than {LOW_SHARE:.0%} and {FEW_BYTES // 2**30} GiB of each file system is free",
    "A full disk loses recordings and voicemail, and stops what else is on it.",
    "Prune recordings (`nizam recordings prune`), shorten the retention, or enlarge the disk.",
)
INODES = _check(
    "inodes",
    f"whether more than {LOW_SHARE:.0%} of each file system's inodes are free",
    "Without one no file can be made, however much room there is.",
    "Remove small files, or make the file system with more inodes.",
)
PERMISSIONS = _check(
    "permissions",
    "whether other users of this machine can read what is kept there",
    "Recorded calls and voicemail are personal data.",
    "chmod 770 the media root, and 700 the backup folder.",
    Severity.WARNING,
)
CHECKS = (MEDIA, SPACE, INODES, PERMISSIONS)


def probes(context: Context) -> list[Probe]:
    """The media root, and the backup folder where it is on this machine."""
    settings = context.settings
    media, backups = settings.media_root, settings.backup.folder
    return [
        Probe(MEDIA, f"media root {media}", partial(_media, media)),
        Probe(SPACE, f"backup folder {backups}", partial(_backups, backups)),
    ]


def _media(root: Path) -> Iterator[Finding]:
    subject = f"media root {root}"
    if not root.is_dir():
        yield MEDIA.wrong(subject, "it does not exist")
        return
    try:
        yield MEDIA.ok(subject, MediaFolder(root).check())
    except NizamError as error:
        yield MEDIA.wrong(subject, error.detail)
    yield from _room(subject, root)


def _backups(folder: Path) -> Iterator[Finding]:
    if folder.is_dir():
        yield from _room(f"backup folder {folder}", folder)


def _room(subject: str, folder: Path) -> Iterator[Finding]:
    yield from judge_room(subject, os.statvfs(folder))
    mode = folder.stat().st_mode & 0o777
    yield PERMISSIONS.judge(
        subject, f"its mode is {mode:o}" if mode & 0o004 else None, f"its mode is {mode:o}"
    )


def judge_room(subject: str, found: os.statvfs_result) -> Iterator[Finding]:
    """Judges the room of a file system."""
    free, size = found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize
    seen = f"{free // 2**20} MiB of {size // 2**20} MiB free"
    full = free < VERY_FEW_BYTES or free < VERY_LOW_SHARE * size
    low = full or free < FEW_BYTES or free < LOW_SHARE * size
    severity = Severity.FAILURE if full else Severity.WARNING
    yield SPACE.judge(subject, seen if low else None, seen, severity)
    left, inodes = found.f_favail, found.f_files
    # Some file systems have no fixed number, and say 0.
    seen = f"{left} of {inodes} inodes free" if inodes else "as many inodes as there is room"
    low, full = left < LOW_SHARE * inodes, left < VERY_LOW_SHARE * inodes
    severity = Severity.FAILURE if full else Severity.WARNING
    yield INODES.judge(subject, seen if inodes and low else None, seen, severity)
