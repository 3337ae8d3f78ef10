"""FreeSWITCH's configuration out of an archive: all of it, and nothing beside its folder."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from nizam.ops.backup.archive import pack, unpack
from nizam.ops.backup.errors import Damaged


def test_what_was_packed_comes_back(tmp_path: Path) -> None:
    root = tmp_path / "etc"
    (root / "autoload_configs").mkdir(parents=True, mode=0o750)
    (root / "freeswitch.xml").write_text("<document/>")
    (root / "autoload_configs/xml_curl.conf.xml").write_text("<configuration/>")
    (root / "tls.pem").symlink_to("/etc/ssl/nizam.pem")
    pack(root, tmp_path / "it.tar.gz", lambda *_: None)
    unpack(tmp_path / "it.tar.gz", tmp_path / "new")
    new = tmp_path / "new"
    assert (new / "freeswitch.xml").read_text() == "<document/>"
    assert (new / "autoload_configs/xml_curl.conf.xml").read_text() == "<configuration/>"
    assert (new / "autoload_configs").stat().st_mode & 0o777 == 0o750
    assert os.readlink(new / "tls.pem") == "/etc/ssl/nizam.pem"


def member(name: str, *, link: str | None = None, mode: int = 0o644) -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.mode = mode
    if link is not None:
        found.type, found.linkname = tarfile.SYMTYPE, link
    return found


def made(path: Path, *members: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for it in members:
            archive.addfile(it, io.BytesIO())
    return path


@pytest.mark.parametrize(
    "members",
    [
        [member("../outside")],
        [member("a/../../outside")],
        [member("link", link=".."), member("link/outside")],
        [member("one", link="two"), member("two", link=".."), member("one/outside")],
    ],
)
def test_nothing_is_written_outside(members: list[tarfile.TarInfo], tmp_path: Path) -> None:
    path = made(tmp_path / "it.tar.gz", *members)
    with pytest.raises(Damaged):
        unpack(path, tmp_path / "new")
    assert list(tmp_path.iterdir()) == [path]


def test_an_absolute_name_is_written_nowhere(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    path = made(tmp_path / "it.tar.gz", member(str(outside)))
    with pytest.raises(Damaged):
        unpack(path, tmp_path / "new")
    assert list(tmp_path.iterdir()) == [path]


def test_nobody_else_may_write_or_become_the_owner(tmp_path: Path) -> None:
    unpack(made(tmp_path / "it.tar.gz", member("a", mode=0o6777)), tmp_path / "new")
    assert (tmp_path / "new/a").stat().st_mode & 0o7777 == 0o755
