"""Whether the database has the tables of this release: what has to be so before requests come."""

from __future__ import annotations

from importlib.resources import files
from typing import Any, Final, Protocol

import psycopg2
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from nizam.errors import DatabaseUnavailable
from nizam.ops.health import Finding, State

ASK_SECONDS: Final = 2.0
_ANSWER_SECONDS: Final = 1.0


class Queries(Protocol):
    """What is needed of a pool."""

    async def query(self, sql: str, args: Any = (), deadline: float | None = None) -> list[Any]:
        """The rows of a statement."""


def latest_revision() -> str:
    """The last migration of this release. They are named after their revisions, which begin with
    numbers, so that nothing has to be imported to know it."""
    folder = files("nizam.store") / "migrations" / "versions"
    return max(it.name[:-3] for it in folder.iterdir() if it.name[:1].isdigit())


class SchemaCheck(Service):
    """Asks for the revision of the database until it is this release's or a later one.

    Later ones only add while two releases run side by side, so an instance of the older release
    stays well. A database that is away says nothing about its tables.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, pool: Queries, needed: str) -> None:
        self._pool = pool
        self._needed = needed
        self._finding = Finding(State.DEGRADED, {"reason": "not asked yet"})
        self._asking = LoopingCall(lambda: Deferred.fromCoroutine(self.ask()))
        self._asking.clock = clock

    def startService(self) -> None:  # noqa: N802 - Twisted's name
        """Begin to ask."""
        super().startService()  # type: ignore[no-untyped-call]
        self._asking.start(ASK_SECONDS)

    def stopService(self) -> None:  # noqa: N802 - Twisted's name
        """Ask no more."""
        super().stopService()  # type: ignore[no-untyped-call]
        if self._asking.running:
            self._asking.stop()

    def finding(self) -> Finding:
        """Failed while tables are missing."""
        return self._finding

    async def ask(self) -> None:
        """Look once; no more after it was right."""
        try:
            rows = await self._pool.query(
                "select version_num from alembic_version", deadline=_ANSWER_SECONDS
            )
            present = rows[0][0] if rows else ""
        except psycopg2.errors.UndefinedTable:
            present = ""
        except (DatabaseUnavailable, psycopg2.Error) as error:
            self._finding = Finding(State.DEGRADED, {"reason": type(error).__name__})
            return
        if present >= self._needed:
            self._finding = Finding(State.OK)
            if self._asking.running:
                self._asking.stop()
            return
        if self._finding.state is not State.FAILED:
            self._log.error(
                "the database lacks migrations: it is at {present}, this release needs {needed}."
                " Run `nizam migrate`",
                present=present or "none",
                needed=self._needed,
            )
        self._finding = Finding(State.FAILED, {"reason": "migrations are missing"})
