"""Statements and transactions on a pool of connections to one PostgreSQL server.

A caller's deadline is detached from the statement: the caller is told in time, the statement
finishes (or is timed out by the server) on its connection, and a connection that stays silent much
longer is replaced.
"""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeVar
from uuid import UUID

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from nizam.errors import DatabaseUnavailable
from nizam.store.connection import Arguments, Connection, Result, Row, Select, Statement
from nizam.store.connections import Connections

T = TypeVar("T")

TENANT_ROLE = "nizam_tenant"
DEADLINE_SECONDS = 5.0
WAIT_SECONDS = 3.0
STATEMENT_SECONDS = 15.0
QUEUE_LIMIT = 1000
ABANDON_SECONDS = 20.0
"""How long after its caller has gone a silent statement may keep its connection."""

_COMMIT: Statement = ("commit", ())
_GIVE_RESULT: Statement = ("select current_setting('nizam.result')::jsonb", ())


def scope_sql(tenant_id: UUID) -> str:
    """The statement after which a transaction sees and touches this tenant's rows only."""
    return (
        f"select set_config('role', '{TENANT_ROLE}', true), "
        f"set_config('nizam.tenant', '{UUID(str(tenant_id))}', true)"
    )


class Transaction:
    """What the work inside a transaction is given.

    What is added waits for the next query, or the commit, and makes one round trip with it; so
    does the beginning.
    """

    def __init__(
        self,
        send: Callable[[Sequence[Statement]], Coroutine[Any, Any, Result]],
        ending: Callable[[], None] = lambda: None,
    ) -> None:
        self._send = send
        self._ending = ending
        self._added: list[Statement] = []
        self._over = False
        self.committed = False
        """Whether it has committed: there is nothing left to be done then."""

    def add(self, sql: str, args: Arguments = ()) -> None:
        """Run a statement before the next one; that one raises what this one would."""
        self._added.append((sql, args))

    async def query(self, sql: str, args: Arguments = ()) -> list[Row]:
        """Run a statement; its rows, or an empty list for one without any."""
        return (await self._run((sql, args))).rows

    async def query_all(self, selects: Sequence[Select]) -> list[list[dict[str, Any]]]:
        """The rows of several selects, which all see the same state, in one round trip; as JSON,
        with UUIDs as text."""
        texts = [
            f"(select coalesce(jsonb_agg(it), '[]') from ({sql}) it)"  # noqa: S608 - our own text
            for sql, _ in selects
        ]
        args = [it for _, given in selects for it in given]
        return list((await self.query(f"select {', '.join(texts)}", args))[0])

    async def execute(self, sql: str, args: Arguments = ()) -> int:
        """Run a statement; how many rows it touched."""
        return (await self._run((sql, args))).count

    async def commit(self) -> None:
        """Make it last."""
        await self._commit(_COMMIT)

    async def commit_with(self, ctes: str, expression: str, args: Arguments) -> Any:
        """Run the select of an expression, after common table expressions, and commit, in one
        round trip; the value of the expression, which is jsonb.

        Of several statements in a message the last one's result counts, and the commit has none:
        the value goes by a setting of the session, which is read behind it.
        """
        keep = f"{ctes} select set_config('nizam.result', ({expression})::text, false)"
        return (await self._commit((keep, args), _COMMIT, _GIVE_RESULT)).rows[0][0]

    async def _commit(self, *statements: Statement) -> Result:
        # On its way before anybody is told that it is.
        committing = Deferred.fromCoroutine(self._run(*statements))
        self._ending()
        result = await committing
        self.committed = True
        return result

    async def _run(self, *statements: Statement) -> Result:
        if self._over:
            raise DatabaseUnavailable("the transaction took too long and is rolled back")
        added, self._added = self._added, []
        return await self._send([*added, *statements])

    def end(self) -> None:
        """Refuse further statements: nobody waits for the result any more."""
        self._over = True

    @property
    def over(self) -> bool:
        """Whether it may no longer commit."""
        return self._over


@attrs.define
class _Job:
    """One use of a connection, seen from the caller's side."""

    connection: Connection | None = None
    transaction: Transaction | None = None
    overdue: bool = False


class Pool:
    """`size` connections to `dsn`; `name` labels its metrics.

    Placeholders are psycopg2's (`%s`, `%(name)s`). Every method raises DatabaseUnavailable within
    its deadline (seconds) when PostgreSQL does not answer, and psycopg2's errors for statements
    that are wrong or violate a constraint.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        dsn: str,
        size: int,
        name: str,
        *,
        deadline: float = DEADLINE_SECONDS,
        wait: float = WAIT_SECONDS,
        queue_limit: int = QUEUE_LIMIT,
        statement_seconds: float = STATEMENT_SECONDS,
        server_timeouts: bool = True,
    ) -> None:
        self.reactor = reactor
        self.dsn = dsn
        self._deadline = deadline
        # PgBouncer refuses start-up options; there the timeouts belong to the role.
        options = (
            f"-c statement_timeout={int(statement_seconds * 1000)} "
            f"-c idle_in_transaction_session_timeout={int(statement_seconds * 1000)}"
            if server_timeouts
            else ""
        )
        self.name = name
        self.size = size
        self._connections = Connections(
            reactor, dsn, size, name, options=options, wait=wait, queue_limit=queue_limit
        )
        self._abandonments: set[Any] = set()
        self._before = ""

    def replayed(self, position: int) -> Pool:
        """The same pool, of which everything that is read raises ReplicaBehindError unless its
        server has replayed the write-ahead log up to the position."""
        view = copy.copy(self)
        view._before = f"select nizam_replayed({int(position)}); "
        return view

    # -- life ---------------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin connecting; returns when the first attempt has succeeded or failed."""
        await self._connections.start()

    async def stop(self) -> None:
        """Let what is running finish for a few seconds, then close every connection."""
        await self._connections.stop()
        for call in list(self._abandonments):
            call.cancel()
        self._abandonments.clear()

    @property
    def available(self) -> bool:
        """Whether at least one connection is live."""
        return self._connections.available

    @property
    def in_use(self) -> int:
        """How many connections are handed out."""
        return self._connections.in_use

    # -- statements -----------------------------------------------------------------------------

    async def query(
        self, sql: str, args: Arguments = (), deadline: float | None = None
    ) -> list[Row]:
        """Run one statement by itself; its rows. A select is tried again on another connection
        when the one it has ends under it."""
        return (await self._statement(sql, args, deadline, sql)).rows

    async def execute(self, sql: str, args: Arguments = (), deadline: float | None = None) -> int:
        """Run one statement by itself; how many rows it touched."""
        return (await self._statement(sql, args, deadline, sql)).count

    async def tenant_query(
        self, tenant_id: UUID, sql: str, args: Arguments = (), deadline: float | None = None
    ) -> list[Row]:
        """Like `query`, as the unprivileged role and under this tenant's row-level security."""
        return (await self._statement(f"{scope_sql(tenant_id)}; {sql}", args, deadline, sql)).rows

    async def transaction(
        self,
        work: Callable[[Transaction], Awaitable[T]],
        deadline: float | None = None,
        *,
        ending: Callable[[], None] = lambda: None,
    ) -> T:
        """Run `work` in a transaction: committed when it returns, unless it has done so itself,
        rolled back when it raises.

        Past the deadline it is rolled back too, unless the commit was already on its way. `ending`
        is called when it is.
        """
        return await self._transaction(f"begin; {self._before}", work, deadline, ending)

    async def tenant_transaction(
        self,
        tenant_id: UUID,
        work: Callable[[Transaction], Awaitable[T]],
        deadline: float | None = None,
    ) -> T:
        """Like `transaction`, as the unprivileged role and under this tenant's row-level
        security."""
        begin = f"begin; {self._before}{scope_sql(tenant_id)}"
        return await self._transaction(begin, work, deadline)

    async def _statement(
        self, sql: str, args: Arguments, deadline: float | None, inner: str
    ) -> Result:
        # After a restart of the server every idle connection may be dead and not know it yet.
        retries = self.size if inner.lstrip()[:6].lower() == "select" else 0

        async def work(job: _Job) -> Result:
            left = retries
            while True:
                connection = job.connection = await self._connections.checkout()
                try:
                    return await connection.run(self._before + sql, args)
                except DatabaseUnavailable:
                    if connection.live or not left or job.overdue:
                        raise
                    left -= 1
                finally:
                    self._connections.release(connection)

        return await self._in_time(work, deadline)

    async def _transaction(
        self,
        begin: str,
        work: Callable[[Transaction], Awaitable[T]],
        deadline: float | None,
        ending: Callable[[], None] = lambda: None,
    ) -> T:
        async def run(job: _Job) -> T:
            async def send(statements: Sequence[Statement]) -> Result:
                if job.connection is None:
                    return await self._begin(job, [(begin, ()), *statements])
                return await job.connection.run_all(statements)

            job.transaction = transaction = Transaction(send, ending)
            try:
                result = await work(transaction)
                if not transaction.committed:
                    if transaction.over:
                        raise DatabaseUnavailable("the transaction took too long")
                    await transaction.commit()
            except BaseException:
                if job.connection is not None and job.connection.live:
                    await job.connection.run("rollback")
                raise
            finally:
                if job.connection is not None:
                    self._connections.release(job.connection)
            return result

        return await self._in_time(run, deadline)

    async def _begin(self, job: _Job, statements: Sequence[Statement]) -> Result:
        """Begin with these on a connection that is the job's then.

        Nothing is lost by trying the next one, unless this one may have committed.
        """
        left = 0 if _COMMIT in statements else self.size
        while True:
            connection = await self._connections.checkout()
            job.connection = connection
            try:
                return await connection.run_all(statements)
            except DatabaseUnavailable:
                if connection.live or not left or job.overdue:
                    raise
                left -= 1
                job.connection = None
                self._connections.release(connection)

    async def _in_time(self, work: Callable[[_Job], Awaitable[T]], deadline: float | None) -> T:
        """The result of `work`, or DatabaseUnavailable after the deadline while it goes on."""
        seconds = self._deadline if deadline is None else deadline
        job = _Job()
        told: Deferred[T] = Deferred()

        def expire() -> None:
            job.overdue = True
            if job.transaction is not None:
                job.transaction.end()
            abandonment = self.reactor.callLater(ABANDON_SECONDS, abandon)
            self._abandonments.add(abandonment)
            finished.addBoth(self._end_abandonment, abandonment)
            told.errback(DatabaseUnavailable(f"PostgreSQL did not answer within {seconds:g} s"))

        def abandon() -> None:
            if job.connection is not None:
                self._log.warn("replacing a connection of {pool}: no answer", pool=self.name)
                job.connection.close()

        timer = self.reactor.callLater(seconds, expire)

        async def run() -> None:
            try:
                result = await work(job)
            except BaseException as error:
                if timer.active():
                    timer.cancel()
                    told.errback(error)
            else:
                if timer.active():
                    timer.cancel()
                    told.callback(result)

        finished: Deferred[None] = Deferred.fromCoroutine(run())
        return await told

    def _end_abandonment(self, result: Any, call: Any) -> Any:
        self._abandonments.discard(call)
        if call.active():
            call.cancel()
        return result
