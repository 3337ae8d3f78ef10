"""PostgreSQL from day to day: connections, long transactions, vacuum, partitions, replicas."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from nizam.ops.doctor.database import primary_of
from nizam.ops.doctor.finding import Area, Declaring, Finding, Severity
from nizam.ops.doctor.postgres import Asked, asked
from nizam.ops.doctor.running import Context, Probe
from nizam.settings import Settings
from nizam.store.system.partitions import MONTHS_AHEAD, PARTITIONED

BESIDE_THE_POOL = 4
"""Connections of a process beside its pool: what listens, and commands such as this one."""
LONG_SECONDS = 300
OLD_TRANSACTIONS = 1_000_000_000
TOO_OLD_TRANSACTIONS = 1_800_000_000
MOST_DEAD_SHARE = 0.3
FEW_DEAD_ROWS = 50_000
KEPT_BYTES = 10 * 2**30
_check = Declaring(Area.DATABASE)

CONNECTIONS = _check(
    "connections",
    "whether PostgreSQL has room for the pool of one more instance",
    "An instance that is restarted or added gets no connections, and cannot start.",
    "Raise max_connections, lower NIZAM_DB_POOL_SIZE, or put PgBouncer between.",
)
TRANSACTIONS = _check(
    "long-transactions",
    f"transactions that have been open for more than {LONG_SECONDS // 60} minutes",
    "Rows that were changed since cannot be cleaned up: tables grow, queries get slow, and a "
    "migration may wait behind one.",
    "Find out whose it is: select * from pg_stat_activity where pid = PID; end it with "
    "select pg_terminate_backend(PID). Set idle_in_transaction_session_timeout.",
    Severity.WARNING,
)
WRAPAROUND = _check(
    "wraparound",
    "how many transactions the oldest unfrozen row is old",
    "PostgreSQL stops taking changes when it comes near to 2 billion.",
    "Find out what holds vacuum up (long transactions, replication slots), then run "
    "`vacuumdb --freeze` on the database.",
)
VACUUM = _check(
    "vacuum",
    "whether autovacuum is on and keeps up with dead rows",
    "Tables and indices grow and every query reads what is no longer there.",
    "Set autovacuum=on; vacuum (analyze) NAME; lower autovacuum_vacuum_scale_factor for the table.",
    Severity.WARNING,
)
PARTITIONS = _check(
    "partitions",
    f"whether the monthly partitions of this month and the {MONTHS_AHEAD - 1} after it are there",
    "Rows then land in the default partition, which retention cannot drop by the month.",
    "nizam scheduler run partitions",
    Severity.WARNING,
)
SLOTS = _check(
    "replication-slots",
    "replication slots that nobody reads from",
    "The primary keeps all its log for them until the disk is full.",
    "Start the replica again, or select pg_drop_replication_slot('NAME').",
    Severity.WARNING,
)
REPLICA = _check(
    "replica",
    "whether each of DB_READ_HOST_n lets NIZAM in, is a replica and of the primary's version",
    "Lists and reports are read from the primary instead, which then has more to do.",
    "Start it, or correct DB_READ_HOST_n; pg_basebackup makes a new one.",
    Severity.WARNING,
)
LAG = _check(
    "replica-lag",
    "whether a replica is less behind than NIZAM_DB_MAX_REPLICA_LAG_MS",
    "NIZAM reads from the primary instead, and after a failover to it the difference is lost.",
    "Look at the network between, the load of the replica and long queries on it.",
    Severity.WARNING,
)

CHECKS = (CONNECTIONS, TRANSACTIONS, WRAPAROUND, VACUUM, PARTITIONS, SLOTS, REPLICA, LAG)

_ROOM = """
select current_setting('max_connections')::int, current_setting('superuser_reserved_connections')::int,
    (select count(*) from pg_stat_activity where backend_type = 'client backend'),
    (select rolconnlimit from pg_roles where rolname = current_user),
    (select datconnlimit from pg_database where datname = current_database())
"""  # noqa: E501
_LONG = """
select pid, coalesce(usename, '?'), coalesce(application_name, ''), state,
    extract(epoch from now() - xact_start)::int
from pg_stat_activity
where backend_type = 'client backend' and pid <> pg_backend_pid()
  and xact_start < now() - make_interval(secs => %s)
order by xact_start limit 5
"""
_AGE = """
select age(datfrozenxid), mxid_age(datminmxid) from pg_database where datname = current_database()
"""
_DEAD = """
select relname, n_dead_tup, n_live_tup from pg_stat_user_tables
where n_dead_tup > %s and n_dead_tup > %s * (n_live_tup + n_dead_tup)
order by n_dead_tup desc limit 5
"""
_MISSING = """
select t.name || to_char(m, '_YYYY_MM')
from unnest(%s) t(name),
    generate_series(date_trunc('month', now() at time zone 'UTC'),
        date_trunc('month', now() at time zone 'UTC') + make_interval(months => %s - 1),
        interval '1 month') m
where to_regclass(t.name) is not null and to_regclass(t.name || to_char(m, '_YYYY_MM')) is null
order by 1
"""
_SLOTS = """
select slot_name, coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::bigint,
    wal_status
from pg_replication_slots where not active order by slot_name
"""
_REPLICA = """
select pg_is_in_recovery(),
    case when pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() then 0
         else extract(epoch from now() - pg_last_xact_replay_timestamp()) end::float
"""


def probes(context: Context) -> list[Probe]:
    """The primary's state, and each replica."""
    settings = context.settings
    subject = primary_of(settings)
    database = settings.database
    most = database.max_replica_lag_ms / 1000
    named = (f"replica {host}:{port}" for host, port in database.read_hosts)
    replicas = [
        Probe(REPLICA, name, partial(_replica, name, dsn, most))
        for name, dsn in zip(named, database.read_dsns(), strict=True)
    ]
    load = Probe(CONNECTIONS, subject, partial(_look, subject, settings), told_elsewhere=True)
    return [load, *replicas]


def _look(subject: str, settings: Settings) -> Iterator[Finding]:
    with asked(settings.database.direct_dsn()) as server:
        yield room(subject, settings.database.pool_size, *server.rows(_ROOM)[0])
        yield from _transactions(subject, server)
        yield wraparound(subject, *server.rows(_AGE)[0])
        yield from _vacuum(subject, server)
        missing = [str(it) for (it,) in server.rows(_MISSING, (list(PARTITIONED), MONTHS_AHEAD))]
        yield PARTITIONS.judge(
            subject,
            f"missing: {', '.join(missing)}" if missing else None,
            f"made {MONTHS_AHEAD} months ahead",
        )
        if not server.value("select pg_is_in_recovery()"):
            yield from slots(subject, server.rows(_SLOTS))


def room(
    subject: str, pool: int, most: int, reserved: int, used: int, role: int, database: int
) -> Finding:
    """Judges the room for connections; a limit of -1 is none."""
    limits = [it for it in (most - reserved, role, database) if it >= 0]
    limit, needed = min(limits), pool + BESIDE_THE_POOL
    seen = f"{used} of {limit} connections are used; one more instance takes {needed}"
    if needed > limit:
        return CONNECTIONS.wrong(subject, f"{seen}, which is more than there can be")
    if limit - used < needed:
        return CONNECTIONS.wrong(subject, seen, Severity.WARNING)
    return CONNECTIONS.ok(subject, seen)


def _transactions(subject: str, server: Asked) -> Iterator[Finding]:
    found = server.rows(_LONG, (LONG_SECONDS,))
    for pid, user, program, state, seconds in found:
        yield TRANSACTIONS.wrong(
            subject, f"pid {pid} ({user}, {program or 'unnamed'}) is {state} for {seconds} s"
        )
    if not found:
        yield TRANSACTIONS.ok(subject, f"none is older than {LONG_SECONDS} s")


def wraparound(subject: str, age: int, multixact_age: int) -> Finding:
    """Judges the age of the oldest unfrozen row, in transactions."""
    oldest = max(age, multixact_age)
    return WRAPAROUND.judge(
        subject,
        f"{oldest} transactions" if oldest > OLD_TRANSACTIONS else None,
        f"{oldest} transactions",
        Severity.FAILURE if oldest > TOO_OLD_TRANSACTIONS else Severity.WARNING,
    )


def _vacuum(subject: str, server: Asked) -> Iterator[Finding]:
    if server.value("show autovacuum") == "off":
        yield VACUUM.wrong(subject, "autovacuum is off")
    dead = server.rows(_DEAD, (FEW_DEAD_ROWS, MOST_DEAD_SHARE))
    for name, rows, live in dead:
        yield VACUUM.wrong(f"table {name}", f"{rows} dead rows beside {live} live ones")
    if not dead:
        yield VACUUM.ok(subject, "no table has many dead rows")


def slots(subject: str, idle: Sequence[tuple[object, ...]]) -> Iterator[Finding]:
    """Judges slots that nobody reads from: name, bytes kept for it, state of the log."""
    for name, kept, state in idle:
        assert isinstance(kept, int)  # noqa: S101 - bigint
        lost = state in ("lost", "unreserved")
        yield SLOTS.wrong(
            f"slot {name}",
            f"nobody reads from it; {kept // 2**20} MiB are kept for it"
            + (f", and its log is {state}" if lost else ""),
            Severity.FAILURE if kept > KEPT_BYTES else Severity.WARNING,
        )
    if not idle:
        yield SLOTS.ok(subject, "each has a reader")


def _replica(subject: str, dsn: str, most: float) -> Iterator[Finding]:
    with asked(dsn) as server:
        version = f"PostgreSQL {server.version[0]}.{server.version[1]}"
        recovering, seconds = server.rows(_REPLICA)[0]
        yield from replica(subject, version, recovering, seconds, most)


def replica(
    subject: str, version: str, recovering: bool, seconds: float | None, most: float
) -> Iterator[Finding]:
    """Judges a server that is to be a replica, so many seconds behind, `most` at most."""
    yield REPLICA.judge(
        subject,
        None if recovering else "it takes changes: it is no replica",
        f"a replica with {version}",
    )
    if recovering:
        yield behind(subject, seconds, most)


def behind(subject: str, seconds: float | None, most: float) -> Finding:
    """Judges how far a replica is behind; None when it has not replayed anything yet."""
    if seconds is None:
        return LAG.note(subject, "nothing was replayed since it started")
    return LAG.judge(
        subject,
        f"{seconds:.1f} s behind" if seconds > most else None,
        f"{seconds:.1f} s behind",
    )
