"""FreeSWITCH's configuration as one compressed archive (tar, gzip)."""

from __future__ import annotations

import os
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from nizam.ops.backup.errors import BackupError, Damaged
from nizam.ops.backup.manifest import FileFacts, TreeFacts
from nizam.ops.backup.writing import Progress, new_file, said


def pack(root: Path, path: Path, progress: Progress) -> tuple[TreeFacts, FileFacts]:
    """Write all that is below `root` to the archive `path`; names in it are below `root`."""
    number = size = 0

    def note(member: tarfile.TarInfo) -> tarfile.TarInfo:
        nonlocal number, size
        if member.isreg():
            number += 1
            size += member.size
            progress("FreeSWITCH's configuration", size)
        return member

    with new_file(path) as file:
        with (
            said(root, "read"),
            tarfile.open(fileobj=cast("object", file), mode="w|gz") as archive,  # type: ignore[call-overload]
        ):
            archive.add(root, arcname=".", filter=note)
        facts = file.facts
    return TreeFacts(root=str(root), file=path.name, files=number, bytes=size), facts


def count(path: Path) -> int:
    """Read the whole archive; how many files are in it. Damaged when it cannot be read."""
    number = 0
    try:
        with tarfile.open(path, mode="r|gz") as archive:
            for member in archive:
                if member.isreg():
                    content = archive.extractfile(member)
                    while content is not None and content.read(1 << 20):
                        pass
                    number += 1
    except (tarfile.TarError, EOFError, OSError) as error:
        raise Damaged(f"{path} cannot be read: {error}") from None
    return number


def unpack(path: Path, folder: Path) -> None:
    """Write what is in the archive to `folder`, which must not be there yet.

    Owners are kept where the process may; what others could write to, or would run as somebody
    else, is no longer so. Raises BackupError, and Damaged for an archive that reaches out of the
    folder, and then leaves nothing.
    """
    if folder.exists():
        raise BackupError(f"{folder} is there already: name another folder")
    passing = folder.with_name(f".{folder.name}.unfinished")
    try:
        with said(folder):
            passing.mkdir(parents=True, mode=0o700)
            with tarfile.open(path, mode="r|gz") as archive:
                # Newer Pythons want to be told; Debian 12's (3.11.2) has no filters.
                archive.extraction_filter = getattr(tarfile, "tar_filter", None)
                archive.extractall(passing, _inside(archive, passing))  # noqa: S202 - they are looked at
            os.rename(passing, folder)
    except tarfile.TarError as error:
        raise Damaged(f"{path} cannot be read: {error}") from None
    finally:
        shutil.rmtree(passing, ignore_errors=True)


def _inside(archive: tarfile.TarFile, folder: Path) -> Iterator[tarfile.TarInfo]:
    """The members, each looked at when those before it are written: links among them count."""
    root = os.path.realpath(folder)
    for member in archive:
        place = os.path.realpath(os.path.join(root, member.name))
        if os.path.commonpath((root, place)) != root:
            raise Damaged(f"{archive.name!s} reaches out of its folder: {member.name!r}")
        member.mode &= 0o755
        yield member
