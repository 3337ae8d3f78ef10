"""Whether instances of NIZAM run: they would work on, and write to, what is being restored."""

from __future__ import annotations

import psycopg2

from nizam.ops.backup.database import connected
from nizam.ops.backup.errors import PeerUnreachable

_LEASES = "select name, holder from leases where expires_at > now() order by name"
_SESSIONS = """
select coalesce(host(client_addr), 'this machine'), application_name, count(*)
from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid() and application_name like 'nizam%'
group by 1, 2 order by 1, 2
"""


def running(dsn: str) -> list[str]:
    """What shows that instances run, one line each; nothing where there is no database."""
    found = []
    try:
        with connected(dsn, "nizam restore") as connection, connection.cursor() as cursor:
            cursor.execute(_SESSIONS)
            found += [
                f"{number} connections of {name} from {address}"
                for address, name, number in cursor.fetchall()
            ]
            try:
                cursor.execute(_LEASES)
            except psycopg2.errors.UndefinedTable:
                return found
            found += [f"{holder} holds the lease {name}" for name, holder in cursor.fetchall()]
    except PeerUnreachable:
        # Without a database nobody can work on it; without a server the next step says so.
        pass
    return found
