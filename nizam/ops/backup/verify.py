"""Whether a backup could be restored: found out by restoring it, into scratch servers.

It is not enough that the checksums are right: a dump may be whole and of no use. So the dump is
restored into a PostgreSQL of our own, its rows are counted, its audit log is verified, and some of
its secrets are decrypted with the keys that are configured here.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs

from nizam.embedded.binaries import find_postgres, find_redis
from nizam.embedded.postgres import PrivatePostgres
from nizam.embedded.process import EmbeddedServerError
from nizam.errors import DatabaseUnavailable
from nizam.ops.backup import archive, tree
from nizam.ops.backup import manifest as manifests
from nizam.ops.backup.database import connected, counts
from nizam.ops.backup.errors import BackupError, PeerUnreachable
from nizam.ops.backup.load import check_files, check_version, load_database, scratch_redis
from nizam.ops.backup.manifest import Manifest
from nizam.ops.backup.redis_dump import check_start
from nizam.ops.backup.writing import Progress
from nizam.settings import SecretKey
from nizam.store.migrate import current
from nizam.store.secret_check import unreadable
from nizam.store.verify_audit import verify as verify_audit


@attrs.frozen(kw_only=True)
class Check:
    """One thing that was looked at: what was found, and what is wrong with it."""

    name: str
    found: str
    problems: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class Verified:
    """What was found of a backup."""

    path: Path
    manifest: Manifest
    checks: tuple[Check, ...]

    @property
    def good(self) -> bool:
        """Whether nothing is wrong with it."""
        return not any(it.problems for it in self.checks)


def verify_backup(path: Path, keys: tuple[SecretKey, ...], progress: Progress) -> Verified:
    """Look at all of the backup; `keys` are those that are configured.

    Raises BackupError when there is nothing to look at, such as without a manifest, and
    PeerUnreachable where there are no programs to restore it into.
    """
    manifest = manifests.read(path)
    try:
        find_postgres(at_least=manifest.database.server_major)
        if manifest.redis:
            find_redis()
    except EmbeddedServerError as error:
        # Which says nothing of the backup.
        raise PeerUnreachable(f"there is nothing here to restore it into: {error.detail}") from None
    checks = tuple(_checks(path, manifest, keys, progress))
    return Verified(path=path, manifest=manifest, checks=checks)


def _checks(
    path: Path, manifest: Manifest, keys: tuple[SecretKey, ...], progress: Progress
) -> Iterator[Check]:
    problems = tuple(check_files(path, manifest, progress))
    yield Check(name="checksums", found=f"{len(manifest.files)} files", problems=problems)
    if manifest.media is not None:
        yield _tried("media", f"{manifest.media.files} files", lambda: tree.check(path, progress))
    if manifest.freeswitch is not None:
        yield _tried(
            "freeswitch", f"{manifest.freeswitch.files} files", lambda: _archive(path, manifest)
        )
    for facts in manifest.redis:

        def load(facts: manifests.RedisFacts = facts) -> Iterator[str]:
            check_start(path / facts.file)
            with scratch_redis(path, facts) as connection:
                connection.ask("DBSIZE")
            return iter(())

        yield _tried(f"redis {facts.server}", f"about {facts.keys} keys", load)
    if any(manifest.database.file in it for it in problems):
        # It would fail, or restore something else, which says nothing more.
        return
    yield from _database(path, manifest, keys, progress)


def _tried(name: str, found: str, look: object) -> Check:
    assert callable(look)  # noqa: S101 - one of ours
    try:
        return Check(name=name, found=found, problems=tuple(look()))
    except BackupError as error:
        return Check(name=name, found=found, problems=(error.detail,))


def _archive(path: Path, manifest: Manifest) -> Iterator[str]:
    assert manifest.freeswitch is not None  # noqa: S101 - or nobody asks
    number = archive.count(path / manifest.freeswitch.file)
    if number != manifest.freeswitch.files:
        yield f"{number} files are in the archive, {manifest.freeswitch.files} were put into it"


def _database(
    path: Path, manifest: Manifest, keys: tuple[SecretKey, ...], progress: Progress
) -> Iterator[Check]:
    facts = manifest.database
    name, found = "postgresql", f"{sum(facts.tables.values())} rows of {len(facts.tables)} tables"
    with tempfile.TemporaryDirectory(prefix="nizam-verify-") as folder:
        server = PrivatePostgres(
            Path(folder, "postgres"), durable=False, at_least=facts.server_major
        )
        try:
            check_version(manifest)
            server.start()
            load_database(server.dsn(), path, facts, progress)
            with connected(server.dsn()) as connection:
                counted = counts(connection, progress)
        except (BackupError, EmbeddedServerError) as error:
            yield Check(name=name, found=found, problems=(error.detail,))
            return
        else:
            yield Check(name=name, found=found, problems=tuple(_differ(counted, facts.tables)))
            yield _revision(server.dsn(), facts.revision)
            yield _audit(server.dsn(), progress)
            yield _secrets(server.dsn(), manifest, keys)
        finally:
            server.stop()


def _differ(counted: Mapping[str, int], written: Mapping[str, int]) -> Iterator[str]:
    for table in sorted({*counted, *written}):
        there, wanted = counted.get(table), written.get(table)
        if there != wanted:
            yield f"{table} has {there} rows when restored, and had {wanted}"


def _revision(dsn: str, revision: str) -> Check:
    found = current(dsn)
    problems = () if found == revision else (f"the manifest says {revision}",)
    return Check(name="migrations", found=str(found), problems=problems)


def _audit(dsn: str, progress: Progress) -> Check:
    rows = 0
    problems = []
    try:
        for report in verify_audit(dsn, progress=lambda done: progress("audit log", done)):
            rows += report.rows
            if report.broken:
                problems.append(f"{report.slug or 'the platform'}: {report.broken} breaks")
    except DatabaseUnavailable as error:
        problems.append(error.detail)
    return Check(name="audit log", found=f"{rows} rows", problems=tuple(problems))


def _secrets(dsn: str, manifest: Manifest, keys: tuple[SecretKey, ...]) -> Check:
    with connected(dsn) as connection:
        tried, problems = unreadable(connection, keys)
    total = sum(manifest.secrets.keys.values())
    named = ", ".join(sorted(manifest.secrets.keys)) or "none"
    return Check(
        name="secrets",
        found=f"{total} under the keys: {named}; {tried} of them decrypted",
        problems=tuple(problems),
    )
