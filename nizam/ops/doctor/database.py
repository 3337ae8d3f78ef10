"""PostgreSQL's primary: is it one, may NIZAM use it as it wants to, and does it keep its word."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial

import attrs
import psycopg2

from nizam.errors import DatabaseUnavailable
from nizam.ops.doctor.finding import Area, Declaring, Finding
from nizam.ops.doctor.postgres import Asked, asked
from nizam.ops.doctor.running import Context, NotReachedError, Probe, ProbeError
from nizam.ops.scheduled_work import ScheduledWork, read_scheduled_work
from nizam.settings import Settings
from nizam.store.pool import TENANT_ROLE

MINIMUM = 15
_check = Declaring(Area.DATABASE)

REACHABLE = _check(
    "reachable",
    "whether PostgreSQL lets NIZAM in",
    "Nothing can be changed or stored, and no instance can start anew.",
    "Start it, open its port to this machine, or correct DB_HOST, DB_PORT, DB_USERNAME, "
    "DB_PASSWORD and pg_hba.conf.",
)
POOLER = _check(
    "pooler",
    "whether PgBouncer lets NIZAM in, where DB_DIRECT_HOST says that DB_HOST is one",
    "Everything but LISTEN and migrations goes through it.",
    "Start it, or correct DB_HOST and its users: deploy/pgbouncer.",
)
VERSION = _check(
    "version",
    f"whether it is PostgreSQL {MINIMUM} or newer, with UTF-8",
    "Migrations use what older ones lack, and other encodings refuse names that people have.",
    "Upgrade the server; make the database with `encoding 'UTF8' template template0`.",
)
PRIMARY = _check(
    "primary",
    "whether DB_HOST takes changes",
    "A replica refuses every change: the API answers 503 and events wait in Redis.",
    "Let DB_HOST name the primary; after a failover promote a replica.",
)
ROLE = _check(
    "role",
    "what DB_USERNAME may do beyond its own database",
    "A superuser, or a role with BYPASSRLS, is not held by row-level security, and a hole in NIZAM "
    "is one in the whole server.",
    "alter role NAME nosuperuser nobypassrls; docs/install.md has the role that NIZAM needs.",
)
TENANT = _check(
    "tenant-role",
    f"whether the role {TENANT_ROLE} is there, can do nothing by itself, and can be taken",
    "Every query in a tenant's name runs under it; with more rights it would see other tenants.",
    f"`nizam migrate` makes it. alter role {TENANT_ROLE} nologin nosuperuser nobypassrls "
    f"nocreaterole; grant {TENANT_ROLE} to NAME.",
)
ROW_LEVEL_SECURITY = _check(
    "row-level-security",
    f"whether each table that {TENANT_ROLE} may use has row-level security, forced, and a policy",
    "It is what keeps tenants apart when a statement forgets to ask for the tenant.",
    "alter table NAME enable row level security; alter table NAME force row level security; "
    "restore the policy from the migration that makes the table.",
)
MIGRATIONS = _check(
    "migrations",
    "whether the tables are those of this release",
    "The daemon does not get ready, or fails at what is missing.",
    "nizam migrate",
)
DURABILITY = _check(
    "durability",
    "fsync, full_page_writes and synchronous_commit",
    "NIZAM tells FreeSWITCH and clients that something is stored once PostgreSQL says so; with "
    "these off it may be gone after a crash.",
    "Set them to on in postgresql.conf and reload; look for `alter role` or `alter database` too.",
)
SCHEDULED = _check(
    "scheduled-work",
    "whether the work on schedule is done: partitions, retention, purging, usage",
    "The database grows for ever, and without partitions made ahead writing gets slow.",
    "Have an instance with the scheduler role; `nizam scheduler list` has the errors.",
)

CHECKS = (
    *(
        REACHABLE,
        POOLER,
        VERSION,
        PRIMARY,
        ROLE,
        TENANT,
        ROW_LEVEL_SECURITY,
        MIGRATIONS,
        DURABILITY,
    ),
    SCHEDULED,
)
_ATTRIBUTES = {
    "rolsuper": "superuser",
    "rolbypassrls": "BYPASSRLS",
    "rolreplication": "REPLICATION",
}
_ROLE = """
select rolsuper, rolbypassrls, rolreplication, rolcreatedb, rolcreaterole, rolcanlogin
from pg_roles where rolname = %s
"""
_UNPROTECTED = """
select c.relname, c.relrowsecurity, c.relforcerowsecurity,
    exists (select from pg_policy p
            where p.polrelid = c.oid and %(role)s::regrole = any(p.polroles))
from pg_class c
where c.relnamespace = current_schema()::regnamespace and c.relkind in ('r', 'p')
  and (has_any_column_privilege(%(role)s, c.oid, 'select, insert, update')
       or has_table_privilege(%(role)s, c.oid, 'delete, truncate'))
  and not (c.relrowsecurity and c.relforcerowsecurity
           and exists (select from pg_policy p where p.polrelid = c.oid
                       and %(role)s::regrole = any(p.polroles)))
order by c.relname
"""
_PROTECTED = """
select count(*) from pg_class
where relnamespace = current_schema()::regnamespace and relforcerowsecurity
"""
_DURABILITY = """
select name, setting from pg_settings
where name in ('fsync', 'full_page_writes', 'synchronous_commit')
"""


def probes(context: Context) -> list[Probe]:
    """The primary, and the work that is done on schedule there."""
    settings = context.settings
    subject = primary_of(settings)
    found = []
    if settings.database.pooled:
        pooler = f"pgbouncer {settings.database.address}"
        found.append(Probe(POOLER, pooler, partial(_pooler, pooler, settings.database.dsn())))
    return [
        *found,
        Probe(REACHABLE, subject, partial(_look, subject, settings)),
        Probe(SCHEDULED, "scheduled work", partial(_scheduled, settings), told_elsewhere=True),
    ]


def primary_of(settings: Settings) -> str:
    """What the primary is called in findings."""
    return f"postgresql {direct_address(settings)}"


def direct_address(settings: Settings) -> str:
    """Where the servers are, behind PgBouncer if there is one, for people."""
    database = settings.database
    return attrs.evolve(database, host=database.direct_host or database.host).address


def _pooler(subject: str, dsn: str) -> Iterator[Finding]:
    try:
        with closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
            cursor.execute("select 1")
    except psycopg2.Error as error:
        raise ProbeError(str(error).strip()) from None
    yield POOLER.ok(subject, "lets NIZAM in")


def _look(subject: str, settings: Settings) -> Iterator[Finding]:
    dsn = settings.database.direct_dsn()
    with asked(dsn) as server:
        yield REACHABLE.ok(subject, f"as {settings.database.username}")
        yield _version(subject, server)
        yield takes_changes(subject, recovering=server.value("select pg_is_in_recovery()"))
        yield _role(subject, server)
        yield _tenant_role(subject, server)
        yield from _row_level_security(subject, server)
        settings_there = {str(name): str(it) for name, it in server.rows(_DURABILITY)}
        yield durability(subject, settings_there)
    yield _migrations(subject, dsn)


def takes_changes(subject: str, *, recovering: bool) -> Finding:
    """Judges whether it is the primary."""
    problem = "it is a replica: it takes no changes" if recovering else None
    return PRIMARY.judge(subject, problem, "takes changes")


def _version(subject: str, server: Asked) -> Finding:
    major, minor = server.version
    encoding = str(server.value("show server_encoding"))
    problem = None
    if major < MINIMUM:
        problem = f"PostgreSQL {major}.{minor}"
    elif encoding != "UTF8":
        problem = f"the database's encoding is {encoding}"
    return VERSION.judge(subject, problem, f"PostgreSQL {major}.{minor}, {encoding}")


def _role(subject: str, server: Asked) -> Finding:
    name = server.value("select current_user")
    ((*rights, _, _, _),) = server.rows(_ROLE, (name,))
    has = [word for word, on in zip(_ATTRIBUTES.values(), rights, strict=True) if on]
    return ROLE.judge(
        subject, f"{name} has {', '.join(has)}" if has else None, f"{name} has its database alone"
    )


def _tenant_role(subject: str, server: Asked) -> Finding:
    found = server.rows(_ROLE, (TENANT_ROLE,))
    if not found:
        return TENANT.wrong(subject, f"there is no role {TENANT_ROLE}", mend="nizam migrate")
    words = ("superuser", "BYPASSRLS", "REPLICATION", "CREATEDB", "CREATEROLE", "LOGIN")
    has = [word for word, on in zip(words, found[0], strict=True) if on]
    if has:
        return TENANT.wrong(subject, f"{TENANT_ROLE} has {', '.join(has)}")
    if not server.value(f"select pg_has_role('{TENANT_ROLE}', 'member')"):
        name = server.value("select current_user")
        return TENANT.wrong(subject, f"{name} may not become {TENANT_ROLE}")
    return TENANT.ok(subject, f"{TENANT_ROLE} has no rights of its own")


def _row_level_security(subject: str, server: Asked) -> Iterator[Finding]:
    if not server.value("select count(*) from pg_roles where rolname = %s", (TENANT_ROLE,)):
        return
    open_ones = server.rows(_UNPROTECTED, {"role": TENANT_ROLE})
    for name, enabled, forced, _ in open_ones:
        lacks = "off" if not enabled else "not forced" if not forced else "without a policy"
        yield ROW_LEVEL_SECURITY.wrong(f"table {name}", f"row-level security is {lacks}")
    if not open_ones:
        count = server.value(_PROTECTED)
        yield ROW_LEVEL_SECURITY.ok(subject, f"forced on all {count} tables of tenants")


def durability(subject: str, values: Mapping[str, str]) -> Finding:
    """What these settings promise: their values by their names."""
    off = sorted(name for name, value in values.items() if value == "off")
    local = values.get("synchronous_commit") == "local"
    return DURABILITY.judge(
        subject,
        f"off: {', '.join(off)}" if off else None,
        "on" if not local else "on, on the primary alone",
    )


def _migrations(subject: str, dsn: str) -> Finding:
    missing, problem = _pending(dsn)
    if problem is not None:
        return MIGRATIONS.wrong(subject, problem, mend="Correct DB_DATABASE.")
    return MIGRATIONS.judge(
        subject, f"missing: {', '.join(missing)}" if missing else None, "all are applied"
    )


def _pending(dsn: str) -> tuple[Sequence[str], str | None]:
    # SQLAlchemy takes half a second to import, which `--only` of another area need not wait for.
    from nizam.store.migrate import ForeignDatabase, pending

    find: Callable[[str], Sequence[str]] = pending
    try:
        return find(dsn), None
    except DatabaseUnavailable as error:
        raise ProbeError(error.detail) from None
    except ForeignDatabase as error:
        return (), error.detail


def _scheduled(settings: Settings) -> Iterator[Finding]:
    try:
        work = read_scheduled_work(settings.database.direct_dsn())
    except DatabaseUnavailable as error:
        raise NotReachedError(error.detail) from None
    yield _late(work)


def _late(work: ScheduledWork) -> Finding:
    if not work.late:
        return SCHEDULED.ok(
            "scheduled work",
            f"led by {work.leader}" if work.leader else "no instance leads it now",
        )
    errors = {it.error for it in work.tasks if it.late and it.error}
    who = "nobody leads it" if work.leader is None else f"led by {work.leader}"
    return SCHEDULED.wrong(
        "scheduled work", f"late: {', '.join(work.late)}; {'; '.join([who, *sorted(errors)])}"
    )
