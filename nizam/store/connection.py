"""One connection to PostgreSQL: a thin typed wrapper around txpostgres.

txpostgres's Deferreds are never cancelled here: that breaks its connections. What hangs is ended
by closing the connection.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import attrs
import orjson
import psycopg2
import psycopg2.extensions
import psycopg2.extras
from twisted.internet.defer import CancelledError
from txpostgres import txpostgres

from nizam.errors import DatabaseUnavailable

Row = tuple[Any, ...]
Arguments = Sequence[Any] | Mapping[str, Any]
Statement = tuple[str, Arguments]
"""Its text with psycopg2's placeholders, and what stands in for them."""
Select = tuple[str, Sequence[Any]]
"""A query that only reads; its placeholders are all `%s`."""

_READ_ONLY = "25006"
"""The primary has become a replica."""
_BEHIND = "NZ001"
"""What nizam_replayed raises, of a migration."""
_STATEMENT_TIMED_OUT = "the statement took too long and was ended by PostgreSQL"
_GONE_SQLSTATES = frozenset(
    {
        "57P01",  # admin_shutdown
        "57P02",  # crash_shutdown
        "57P03",  # cannot_connect_now
        _READ_ONLY,
        "25P03",  # idle_in_transaction_session_timeout
    }
)
_NONE: Final = -1
_ESTABLISHED: Final = (
    psycopg2.extensions.STATUS_READY,
    psycopg2.extensions.STATUS_BEGIN,
    psycopg2.extensions.STATUS_PREPARED,
)
_TRY_AGAIN_SQLSTATES = frozenset({"40001", "40P01", "55P03", "53300", "53200", "53100"})


def _json_literal(value: dict[str, Any]) -> psycopg2.extras.Json:
    return psycopg2.extras.Json(value, dumps=lambda it: orjson.dumps(it).decode())


psycopg2.extras.register_uuid()  # type: ignore[no-untyped-call]
psycopg2.extras.register_default_json(globally=True, loads=orjson.loads)
psycopg2.extras.register_default_jsonb(globally=True, loads=orjson.loads)
psycopg2.extensions.register_adapter(dict, _json_literal)


@attrs.frozen
class Result:
    """What a statement gave: its rows, and how many rows it touched."""

    rows: list[Row]
    count: int


class ReplicaBehindError(Exception):
    """A replica has not replayed the log as far as a read asks for."""


class _Cursor(txpostgres.Cursor):  # type: ignore[misc]
    """Is watched by the descriptor of its connection."""

    def fileno(self) -> int:
        return int(self._connection.fileno())


class _Connection(txpostgres.Connection):  # type: ignore[misc]
    """Tells at once when an idle connection ends, and hands on notifications in their order.

    The reactor watches a duplicate of the socket's descriptor. libpq closes its own as soon as it
    notices that the server is gone, and while it connects, when it goes on to the next address or
    tries again without TLS: watched, it would stay known to the reactor, and whatever connection is
    given the same number next, its own next socket too, would be broken.
    """

    cursorFactory = _Cursor  # noqa: N815 - txpostgres's name

    def __init__(
        self,
        reactor: Any,
        on_lost: Callable[[], None],
        on_notify: Callable[[str], None] | None,
    ) -> None:
        super().__init__(reactor)
        self._on_lost = on_lost
        self._on_notify = on_notify
        self._watched = _NONE

    def fileno(self) -> int:
        if self._watched == _NONE:
            # None is left of one that was refused, although it is not called closed.
            socket = _NONE if self._connection.closed else self._connection.fileno()
            if socket == _NONE:
                return _NONE
            self._watched = os.dup(socket)
        return self._watched

    def continuePolling(self, swallowErrors: bool = False) -> None:  # noqa: N802, N803 - txpostgres's
        if self._connection.status not in _ESTABLISHED and self._watched != _NONE:
            # After this there may be another socket. What brought us here may be an event for
            # whoever had the number a moment ago, so that we are watched yet.
            self.reactor.removeReader(self)
            self.reactor.removeWriter(self)
            self._let_go()
        super().continuePolling(swallowErrors)

    def close(self) -> None:
        super().close()
        self._let_go()

    def _let_go(self) -> None:
        watched, self._watched = self._watched, _NONE
        if watched != _NONE:
            os.close(watched)

    def doRead(self) -> None:  # noqa: N802 - Twisted's name
        try:
            super().doRead()
        except (psycopg2.Error, ValueError):
            # Nobody is waiting for an answer, so nobody else is told. A ValueError comes of
            # watching on a socket that libpq closed meanwhile: txpostgres asks it too early.
            self.reactor.removeReader(self)
            self._on_lost()

    def checkForNotifies(self) -> None:  # noqa: N802 - txpostgres's name
        # txpostgres's own dispatch through a Cooperator reorders bursts.
        pending = self._connection.notifies[:]
        del self._connection.notifies[:]
        if self._on_notify is not None:
            for notification in pending:
                self._on_notify(notification.payload)


def _place(dsn: str) -> str:
    """Which server a DSN names, for people: ` at host:port`."""
    parts = psycopg2.extensions.parse_dsn(dsn)
    return f" at {parts['host']}:{parts.get('port', 5432)}" if "host" in parts else ""


class Connection:
    """A live connection; one statement at a time. `on_lost` is called once when it ends."""

    def __init__(
        self,
        reactor: Any,
        on_lost: Callable[[Connection], None] | None = None,
        on_notify: Callable[[str], None] | None = None,
    ) -> None:
        self._reactor = reactor
        self._report = on_lost
        self._inner = _Connection(reactor, self._lost, on_notify)
        self._closed = False
        self.read_only = False
        """Whether it has ended because its server takes no changes any more."""

    async def connect(self, dsn: str, seconds: float, options: str = "") -> None:
        """Connect within `seconds`; DatabaseUnavailable otherwise. `options` as libpq's."""
        timer = self._reactor.callLater(seconds, self.close)
        try:
            given = {"options": options} if options else {}
            await self._inner.connect(dsn, **given)
        except Exception as error:
            self.close()
            reason = " ".join(str(error).split()) or type(error).__name__
            raise DatabaseUnavailable(
                f"cannot connect to PostgreSQL{_place(dsn)}: {reason}"
            ) from None
        finally:
            if timer.active():
                timer.cancel()

    @property
    def live(self) -> bool:
        """Whether statements can be run, as far as is known."""
        return not self._closed and not self._inner.closed

    @property
    def idle(self) -> bool:
        """Whether it is live and outside of any transaction."""
        return (
            self.live
            and self._inner.get_transaction_status() == psycopg2.extensions.TRANSACTION_STATUS_IDLE
        )

    async def run(self, sql: str, arguments: Arguments = ()) -> Result:
        """Run a statement, or several of which the last one's result counts.

        Raises DatabaseUnavailable when the connection ends, the statement is timed out or the
        server asks to try again, ReplicaBehindError; psycopg2's own errors (IntegrityError ...)
        otherwise.
        """
        if not self.live:
            raise DatabaseUnavailable("the connection to PostgreSQL has ended")
        try:
            cursor = self._inner.cursor()
            await cursor.execute(sql, arguments or None)
            rows = cursor.fetchall() if cursor.description is not None else []
            return Result(rows, cursor.rowcount)
        except CancelledError:
            raise DatabaseUnavailable(_STATEMENT_TIMED_OUT) from None
        except psycopg2.Error as error:
            state = error.pgcode or ""
            if self._inner.closed or state in _GONE_SQLSTATES or _is_lost(error):
                self.read_only = state == _READ_ONLY
                self.close()
                raise DatabaseUnavailable(f"the connection to PostgreSQL ended: {error}") from None
            if state in _TRY_AGAIN_SQLSTATES:
                raise DatabaseUnavailable(f"PostgreSQL asks to try again: {error}") from None
            if state == _BEHIND:
                raise ReplicaBehindError from None
            raise
        except Exception as error:
            # Twisted's ConnectionDone, from closing it while a statement was running.
            if not self._closed:
                raise
            raise DatabaseUnavailable(f"the connection to PostgreSQL ended: {error}") from None

    async def run_all(self, statements: Sequence[Statement]) -> Result:
        """Run several statements in one round trip; the last one's result. Raises as `run`: the
        first that fails keeps those after it from running."""
        if not self.live:
            raise DatabaseUnavailable("the connection to PostgreSQL has ended")
        cursor = self._inner.cursor()
        texts = [cursor.mogrify(sql, args or None).decode() for sql, args in statements]
        return await self.run("; ".join(texts))

    def close(self) -> None:
        """Close it; a running statement fails with DatabaseUnavailable."""
        if self._closed:
            return
        self._closed = True
        if self._inner.pollable() is not None:
            self._inner.close()
        report, self._report = self._report, None
        if report is not None:
            report(self)

    def _lost(self) -> None:
        self.close()


def _is_lost(error: psycopg2.Error) -> bool:
    return error.pgcode is None and isinstance(
        error, psycopg2.OperationalError | psycopg2.InterfaceError
    )
