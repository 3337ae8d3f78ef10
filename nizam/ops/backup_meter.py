"""How old the last backup of each part is, for Prometheus: read from the database, where
`nizam backup` notes it, wherever that was run."""

from __future__ import annotations

from typing import Final

import psycopg2
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from nizam import metrics
from nizam.errors import DatabaseUnavailable
from nizam.store.system.backups import Database, last_backups

LOOK_SECONDS: Final = 60.0


class BackupMeter(Service):
    """Sets the metrics of backups once a minute; they stay as they are while PostgreSQL is away."""

    _log = Logger()

    def __init__(self, clock: IReactorTime, database: Database) -> None:
        self._database = database
        self._loop = LoopingCall(lambda: Deferred.fromCoroutine(self.look()))
        self._loop.clock = clock

    def startService(self) -> None:  # noqa: N802 - Twisted's name
        """Begin to look."""
        super().startService()  # type: ignore[no-untyped-call]
        self._loop.start(LOOK_SECONDS)

    def stopService(self) -> None:  # noqa: N802 - Twisted's name
        """Stop looking."""
        super().stopService()  # type: ignore[no-untyped-call]
        self._loop.stop()

    async def look(self) -> None:
        """Ask the database once."""
        try:
            found = await last_backups(self._database)
        except (DatabaseUnavailable, psycopg2.Error) as error:
            self._log.debug("the backups are not known: {error}", error=str(error).strip())
            return
        for part, (ended, size) in found.items():
            metrics.BACKUP_TIMESTAMP_SECONDS.labels(part).set(ended.timestamp())
            metrics.BACKUP_SIZE_BYTES.labels(part).set(size)
