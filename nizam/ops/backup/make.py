"""Making a backup: each part in its turn, then the manifest, then its name."""

from __future__ import annotations

import socket
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import attrs
import psycopg2

from nizam import __version__
from nizam.ops.backup import archive, tree
from nizam.ops.backup.database import Snapshot, connected
from nizam.ops.backup.errors import BackupError
from nizam.ops.backup.folder import BackupFolder, discard, name_of
from nizam.ops.backup.manifest import (
    FILE,
    FORMAT,
    PRODUCT,
    DatabaseFacts,
    FileFacts,
    Manifest,
    ObjectFacts,
    RedisFacts,
    SecretFacts,
    TreeFacts,
    write,
)
from nizam.ops.backup.redis_dump import dump as dump_redis
from nizam.ops.backup.redis_servers import servers_of
from nizam.ops.backup.writing import Progress, new_file
from nizam.settings import Settings
from nizam.store.system.backups import NOTE

DATABASE_FILE = "postgresql.dump"
CONFIGURATION_FILE = "freeswitch.tar.gz"
OBJECTS_FILE = "objects.ndjson.gz"


@attrs.frozen(kw_only=True)
class Wanted:
    """Which parts are wanted beside PostgreSQL, which is in every backup."""

    redis: bool = True
    freeswitch: bool = True
    media: bool = True
    recordings: bool = True


@attrs.frozen(kw_only=True)
class Made:
    """A backup that is whole: where it is, what is in it, which ones were removed for their age,
    and what went wrong afterwards, for which it is no worse."""

    path: Path
    manifest: Manifest
    removed: tuple[str, ...]
    warnings: tuple[str, ...]


def make_backup(
    settings: Settings,
    folder: BackupFolder,
    wanted: Wanted,
    progress: Progress,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Made:
    """Make a backup in `folder`, then remove those that are too old.

    Raises BackupError, and then nothing of it is left, whatever has happened; an interruption
    leaves nothing either.
    """
    if folder.path.resolve().is_relative_to(settings.media_root.resolve()):
        raise BackupError(
            f"{folder.path} is below the media root, of which it would hold itself: "
            "name another folder (NIZAM_BACKUP_FOLDER, --to)"
        )
    with folder.locked():
        started = now()
        unfinished = folder.begin(name_of(started))
        try:
            manifest = _Making(settings, folder, unfinished, wanted, progress).manifest(
                started, now
            )
            with new_file(unfinished / FILE) as file:
                file.write(write(manifest))
            path = folder.keep(unfinished)
        except BaseException:
            discard(unfinished)
            raise
        warnings = _note(settings.database.direct_dsn(), manifest)
        try:
            removed = folder.rotate(now(), settings.backup.keep_days)
        except BackupError as error:
            removed, warnings = [], [*warnings, f"old backups stay: {error.detail}"]
    return Made(path=path, manifest=manifest, removed=tuple(removed), warnings=tuple(warnings))


@attrs.define
class _Making:
    settings: Settings
    folder: BackupFolder
    unfinished: Path
    wanted: Wanted
    progress: Progress
    files: dict[str, FileFacts] = attrs.field(factory=dict)
    left_out: dict[str, str] = attrs.field(factory=dict)

    def manifest(self, started: datetime, now: Callable[[], datetime]) -> Manifest:
        redis = self._redis()
        database, objects, secrets = self._database()
        freeswitch = self._freeswitch()
        media = self._media()
        return Manifest(
            format=FORMAT,
            product=PRODUCT,
            name=name_of(started),
            nizam_version=__version__,
            host=socket.gethostname(),
            started_at=started,
            finished_at=now(),
            database=database,
            redis=redis,
            freeswitch=freeswitch,
            media=media,
            objects=objects,
            secrets=secrets,
            left_out=self.left_out,
            files=self.files,
        )

    def _redis(self) -> tuple[RedisFacts, ...]:
        if not self.wanted.redis:
            self.left_out["redis"] = "--without-redis"
            return ()
        found = []
        servers = servers_of(self.settings.redis)
        for number, server in enumerate(servers, 1):
            name = "redis.rdb" if len(servers) == 1 else f"redis-{number}.rdb"
            facts, self.files[name] = dump_redis(server, self.unfinished / name, self.progress)
            found.append(facts)
        return tuple(found)

    def _database(self) -> tuple[DatabaseFacts, ObjectFacts | None, SecretFacts]:
        with Snapshot.of(self.settings.database.direct_dsn()) as snapshot:
            facts, self.files[DATABASE_FILE] = snapshot.dump(
                self.unfinished / DATABASE_FILE, self.progress
            )
            return facts, self._objects(snapshot), snapshot.secrets()

    def _objects(self, snapshot: Snapshot) -> ObjectFacts | None:
        it = self.settings.recordings
        if it.storage != "s3" or it.s3_bucket is None:
            return None
        number, size, self.files[OBJECTS_FILE] = snapshot.list_objects(
            self.unfinished / OBJECTS_FILE
        )
        self.left_out["recordings in object storage"] = "they are listed: back the bucket up itself"
        return ObjectFacts(
            bucket=it.s3_bucket,
            endpoint=it.s3_endpoint,
            prefix=it.s3_prefix,
            file=OBJECTS_FILE,
            recordings=number,
            bytes=size,
        )

    def _freeswitch(self) -> TreeFacts | None:
        root = self.settings.backup.freeswitch_configuration
        if not self.wanted.freeswitch:
            self.left_out["freeswitch"] = "--without-freeswitch"
            return None
        if not root.is_dir():
            self.left_out["freeswitch"] = (
                f"{root} is not on this machine (NIZAM_FREESWITCH_CONFIGURATION)"
            )
            return None
        facts, self.files[CONFIGURATION_FILE] = archive.pack(
            root, self.unfinished / CONFIGURATION_FILE, self.progress
        )
        return facts

    def _media(self) -> TreeFacts | None:
        root = self.settings.media_root
        if not self.wanted.media:
            self.left_out["media"] = "--without-media"
            return None
        if not root.is_dir():
            self.left_out["media"] = f"{root} is not on this machine (NIZAM_MEDIA_ROOT)"
            return None
        if not self.wanted.recordings:
            self.left_out["recordings"] = "--without-recordings"
        facts, self.files[tree.LIST] = tree.copy(
            root, self.unfinished, self._before(), self.progress, self._enters
        )
        return facts

    def _enters(self, folder: str) -> bool:
        # Recordings are in TENANT/recordings below the media root.
        return self.wanted.recordings or folder.split("/")[1:] != ["recordings"]

    def _before(self) -> Path | None:
        for it in self.folder.backups():
            if it.manifest is not None and it.manifest.media is not None:
                return it.path
        return None


def _note(dsn: str, manifest: Manifest) -> list[str]:
    """Have the database know of the backup, for those who watch; what went wrong with that."""
    sizes = {"postgresql": manifest.files[manifest.database.file].bytes}
    if manifest.redis:
        sizes["redis"] = sum(manifest.files[it.file].bytes for it in manifest.redis)
    if manifest.freeswitch is not None:
        sizes["freeswitch"] = manifest.freeswitch.bytes
    if manifest.media is not None and "recordings" not in manifest.left_out:
        sizes["media"] = manifest.media.bytes
    common = {"name": manifest.name, "finished_at": manifest.finished_at}
    try:
        with connected(dsn) as connection, connection.cursor() as cursor:
            for part, size in sizes.items():
                cursor.execute(NOTE, {**common, "part": part, "bytes": size})
    except (BackupError, psycopg2.Error) as error:
        return [f"the database does not know of it, so its age is not measured: {error}".strip()]
    return []
