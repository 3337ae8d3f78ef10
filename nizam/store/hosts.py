"""The servers that a DSN names, and connecting to the one that will do.

libpq goes through them by itself, but only while it may block: asynchronously it knows no time
limit, so that one frozen server would keep it from the next; and it changes the socket under the
reactor's hands. So each is tried here with a DSN of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from psycopg2.extensions import make_dsn, parse_dsn

from nizam.errors import DatabaseUnavailable
from nizam.store.connection import Connection

ONE_OF_SEVERAL_SECONDS = 2.0
"""How long one of several servers may take: a frozen one must not keep us from the next."""

_ADVICE = (
    ("root certificate file", "DB_SSLROOTCERT names the file of the authorities to trust"),
    (
        "certificate verify failed",
        "none of the authorities in DB_SSLROOTCERT has signed the server's certificate",
    ),
    (
        "does not match host name",
        "with DB_SSLMODE verify-full, DB_HOST has to be a name in the server's certificate",
    ),
    ("does not support SSL", "DB_SSLMODE asks for TLS, which the server does not have"),
    ("no encryption", "the server takes TLS only: set DB_SSLMODE to verify-full or require"),
    ("authentication failed", "see DB_USERNAME and DB_PASSWORD"),
    ("unsupported startup parameter", "DB_HOST is a PgBouncer: name the servers in DB_DIRECT_HOST"),
)


def single_hosts(dsn: str) -> tuple[str, ...]:
    """A DSN for each server of one that may name several."""
    parameters = parse_dsn(dsn)
    hosts = parameters.get("host", "").split(",")
    if len(hosts) == 1:
        return (dsn,)
    ports = parameters.get("port", "5432").split(",")
    ports = ports * len(hosts) if len(ports) == 1 else ports
    own = [{"host": host, "port": port} for host, port in zip(hosts, ports, strict=True)]
    return tuple(make_dsn(**{**parameters, **it}) for it in own)


def explained(reason: str) -> str:
    """Why PostgreSQL could not be reached, with the settings that have to do with it."""
    advice = [it for words, it in _ADVICE if words in reason]
    return f"{reason} ({'; '.join(advice)})" if advice else reason


class Hosts:
    """The servers of `dsn`, of which the one that took the last connection comes first."""

    def __init__(self, dsn: str) -> None:
        self._dsns = list(single_hosts(dsn))

    async def connect(
        self,
        reactor: Any,
        seconds: float,
        options: str = "",
        on_lost: Callable[[Connection], None] | None = None,
        on_notify: Callable[[str], None] | None = None,
    ) -> Connection:
        """A connection to the first that gives one, each asked for `seconds`, or 2 s if there are
        several. `options` are libpq's. Raises DatabaseUnavailable with what each said."""
        problems = []
        each = seconds if len(self._dsns) == 1 else min(seconds, ONE_OF_SEVERAL_SECONDS)
        for dsn in list(self._dsns):
            connection = Connection(reactor, on_lost, on_notify)
            try:
                await connection.connect(dsn, each, options)
            except DatabaseUnavailable as error:
                problems.append(error.detail or "")
                continue
            self._dsns.remove(dsn)
            self._dsns.insert(0, dsn)
            return connection
        raise DatabaseUnavailable(explained("; ".join(problems)))
