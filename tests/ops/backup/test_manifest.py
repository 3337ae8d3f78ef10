"""A manifest is read as it was written, or not at all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from nizam.ops.backup.errors import BackupError, Damaged
from nizam.ops.backup.manifest import (
    FILE,
    FORMAT,
    DatabaseFacts,
    FileFacts,
    Manifest,
    SecretFacts,
    read,
    write,
)

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


def manifest_at(finished: datetime, name: str = "2026-03-04T050607Z") -> Manifest:
    """A manifest of a backup that ended then."""
    database = DatabaseFacts(
        file="postgresql.dump",
        database="nizam",
        server_version="15.1",
        dump_version="15.1",
        revision="0001_resources",
        wal_position="0/1",
        snapshot_at=finished,
        owner="nizam",
        roles=("nizam_tenant",),
        tables={"tenants": 3},
    )
    return Manifest(
        format=FORMAT,
        product="nizam",
        name=name,
        nizam_version="0.1",
        host="db1",
        started_at=finished,
        finished_at=finished,
        database=database,
        secrets=SecretFacts(keys={"k1": 1}, stored_key=False),
        left_out={},
        files={"postgresql.dump": FileFacts(bytes=5, sha256="0" * 64)},
    )


def put(folder: Path, manifest: Manifest) -> Path:
    folder.mkdir(parents=True)
    (folder / FILE).write_bytes(write(manifest))
    return folder / FILE


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    put(tmp_path / "b", manifest_at(NOW))
    assert read(tmp_path / "b") == manifest_at(NOW)


def test_no_byte_of_it_can_change_unnoticed(tmp_path: Path) -> None:
    path = put(tmp_path / "b", manifest_at(NOW))
    written = path.read_bytes()
    for place in range(0, len(written), 7):
        path.write_bytes(written[:place] + bytes([written[place] ^ 1]) + written[place + 1 :])
        if path.read_bytes().split() != written.split():
            with pytest.raises(BackupError):
                read(path.parent)


def signed(**fields: Any) -> Callable[[dict[str, Any]], bytes]:
    def made(document: dict[str, Any]) -> bytes:
        document |= fields
        plain = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        document["sha256"] = hashlib.sha256(plain.encode()).hexdigest()
        return json.dumps(document).encode()

    return made


@pytest.mark.parametrize(
    ("made", "kind", "said"),
    [
        (signed(format=2, nizam_version="9.1"), BackupError, "was made by NIZAM 9.1"),
        (signed(format=0), BackupError, "has the format 0, and this NIZAM reads 1"),
        (signed(product="other"), Damaged, "is no manifest of a backup"),
        (signed(database=None), Damaged, "lacks what it must have"),
        (lambda document: b"{", Damaged, "is no manifest of a backup"),
        (lambda document: b"[]", Damaged, "is no manifest of a backup"),
    ],
    ids=["newer", "unknown", "of others", "without the database", "cut off", "no object"],
)
def test_what_cannot_be_read_is_refused_with_the_reason(
    tmp_path: Path, made: Callable[[dict[str, Any]], bytes], kind: type[BackupError], said: str
) -> None:
    path = put(tmp_path / "b", manifest_at(NOW))
    document = json.loads(path.read_bytes())
    del document["sha256"]
    path.write_bytes(made(document))
    with pytest.raises(kind, match=said):
        read(tmp_path / "b")


def test_a_folder_without_one_is_no_backup(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="is no backup"):
        read(tmp_path)


def test_fields_that_a_later_version_adds_are_passed_over(tmp_path: Path) -> None:
    path = put(tmp_path / "b", manifest_at(NOW))
    document = json.loads(path.read_bytes())
    del document["sha256"]
    path.write_bytes(signed(colour="green")(document))
    assert read(tmp_path / "b") == manifest_at(NOW)
