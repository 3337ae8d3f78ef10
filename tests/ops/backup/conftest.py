"""An installation to back up: a database with a tenant and secrets, Redis with keys, files."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from urllib.parse import unquote, urlsplit

import attrs
import pytest
import pytest_twisted

from nizam.embedded.redis import PrivateRedis
from nizam.ops.backup.folder import BackupFolder
from nizam.ops.backup.make import Made, Wanted, make_backup
from nizam.ops.backup.redis_connection import RedisConnection
from nizam.settings import Settings, load
from nizam.store.pool import Pool
from nizam.store.store import Store
from tests.database_settings import database_settings
from tests.store.conftest import BOX, make_tenant

KEY = "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
"""That of tests.store.conftest.BOX."""


def quiet(what: str, done: int) -> None:
    """Progress that nobody wants to hear of."""


@attrs.frozen
class Installation:
    """What is backed up, and the settings that name it."""

    environment: dict[str, str]
    media: Path
    configuration: Path
    folder: BackupFolder

    @property
    def settings(self) -> Settings:
        return load(None, self.environment).settings

    def with_(self, **names: str) -> Installation:
        return attrs.evolve(self, environment=self.environment | names)

    def backup(self, wanted: Wanted | None = None) -> Made:
        return make_backup(self.settings, self.folder, wanted or Wanted(), quiet)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The command as a process."""
        with self.start(*arguments) as child:
            output, errors = child.communicate(timeout=100)
        return subprocess.CompletedProcess(arguments, child.returncode, output, errors)

    def start(self, *arguments: str, prefix: Sequence[str] = ()) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*prefix, sys.executable, "-m", "nizam.cli", *arguments],
            env=os.environ | self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def redis_settings(url: str) -> dict[str, str]:
    it = urlsplit(url)
    return {
        "REDIS_HOST": it.hostname or "",
        "REDIS_PORT": str(it.port),
        "REDIS_PASSWORD": unquote(it.password or ""),
    }


def installation_in(folder: Path, servers: dict[str, str]) -> Installation:
    media, configuration = folder / "media", folder / "freeswitch"
    recordings = media / "t1" / "recordings"
    recordings.mkdir(parents=True)
    (recordings / "call.wav").write_bytes(bytes(range(256)) * 100)
    (media / "t1" / "greeting.wav").write_bytes(b"hello")
    (configuration / "sip_profiles").mkdir(parents=True)
    (configuration / "freeswitch.xml").write_text("<document/>")
    (configuration / "sip_profiles" / "external.xml").write_text("<profile/>")
    backups = folder / "backups"
    environment = {
        **servers,
        "NIZAM_SECRET_KEYS": KEY,
        "NIZAM_MEDIA_ROOT": str(media),
        "NIZAM_BACKUP_FOLDER": str(backups),
        "NIZAM_FREESWITCH_CONFIGURATION": str(configuration),
    }
    return Installation(environment, media, configuration, BackupFolder(backups))


@pytest_twisted.async_yield_fixture
async def installation(
    database: str, redis_url: str, tmp_path: Path
) -> AsyncIterator[Installation]:
    """Everything there is to back up."""
    from twisted.internet import reactor

    pool = Pool(reactor, database, size=2, name="test")
    await pool.start()
    acme = await make_tenant(Store(pool, BOX, environment="test"), "acme")
    await acme.create("extension", number="1001", display_name="Ada")
    await pool.stop()
    yield installation_in(tmp_path, database_settings(database) | redis_settings(redis_url))


@pytest.fixture
def redis(redis_url: str) -> Iterator[RedisConnection]:
    with connected(redis_url) as connection:
        yield connection


def connected(url: str) -> AbstractContextManager[RedisConnection]:
    """A connection."""
    it = redis_settings(url)
    return RedisConnection.to(
        it["REDIS_HOST"], int(it["REDIS_PORT"]), password=it["REDIS_PASSWORD"]
    )


@pytest.fixture
def other_redis(tmp_path: Path) -> Iterator[PrivateRedis]:
    """One more server, empty."""
    with PrivateRedis(tmp_path / "other-redis", durable=False) as server:
        yield server
