"""What this machine grants the daemon: files, connections, memory, time zones; and its unit."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from zoneinfo import available_timezones

from nizam.ops.doctor.finding import Area, Declaring, Finding, Severity
from nizam.ops.doctor.postgres import asked
from nizam.ops.doctor.running import Context, Probe, ProbeError
from nizam.settings import Role, Settings

PROC = Path("/proc")
OTHER_FILES = 1024
REQUEST_CONNECTIONS = 4096
BACKLOG = 1024
LOW_MEMORY_SHARE = 0.08
MANY_RESTARTS = 3
_check = Declaring(Area.PROCESS)

FILES = _check(
    "open-files",
    "whether the daemons of this machine may open as many files as connections are allowed",
    "Connections beyond are refused, FreeSWITCH's questions among them.",
    "Set LimitNOFILE=65536 in the unit, as in systemd/nizam.service, and restart it.",
    Severity.WARNING,
)
USER = _check(
    "user",
    "whether a daemon of this machine runs as root",
    "A hole in it would then be one in the whole machine.",
    "Run it as the user nizam, as systemd/nizam.service does.",
    Severity.WARNING,
)
UNIT = _check(
    "unit",
    "whether the unit nizam.service, where there is one, runs and stays up",
    "A daemon that is started again and again drops streams and delays everything else.",
    "journalctl -u nizam has its last words.",
    Severity.WARNING,
)
BACKLOG_LIMIT = _check(
    "backlog",
    f"whether net.core.somaxconn is {BACKLOG} or more",
    "FreeSWITCH makes a connection for every question: in a burst those beyond are dropped, and "
    "asked again a second later.",
    "sysctl -w net.core.somaxconn=4096, and the same in /etc/sysctl.d.",
    Severity.WARNING,
)
MEMORY = _check(
    "memory",
    f"whether more than {LOW_MEMORY_SHARE:.0%} of this machine's memory is available",
    "The kernel ends the largest process when there is none left.",
    "Find out what takes it (`ps aux --sort -rss`), or add some.",
    Severity.WARNING,
)
TIME_ZONES = _check(
    "time-zones",
    "whether Python and PostgreSQL know the time zones of all tenants",
    "Opening hours cannot be decided in a zone that is not known.",
    "Install tzdata on this machine and on PostgreSQL's, or correct the tenant's time_zone.",
)
CHECKS = (FILES, USER, UNIT, BACKLOG_LIMIT, MEMORY, TIME_ZONES)

_LIMIT = re.compile(r"^Max open files\s+(\d+|unlimited)", re.M)
_ZONES = """
select distinct body->>'time_zone',
    exists (select from pg_timezone_names where name = body->>'time_zone')
from tenants where body->>'time_zone' is not null
"""
_SHOWN = ("LoadState", "ActiveState", "NRestarts", "LimitNOFILE", "WatchdogUSec")


def probes(context: Context) -> list[Probe]:
    """This machine, and the zones that tenants use."""
    settings = context.settings
    return [
        Probe(FILES, "this machine", partial(judge_machine, settings, PROC)),
        Probe(UNIT, "nizam.service", _unit),
        Probe(TIME_ZONES, "time zones", partial(_time_zones, settings)),
    ]


def files_needed(settings: Settings) -> int:
    """How many files a daemon with these settings may have open."""
    database, webhooks = settings.database, settings.webhooks
    found = OTHER_FILES + REQUEST_CONNECTIONS + database.pool_size + webhooks.concurrency
    return found + (settings.realtime.max_streams if Role.REALTIME in settings.roles else 0)


def judge_machine(settings: Settings, proc: Path) -> Iterator[Finding]:
    """Judges what /proc says."""
    running = [it for it in proc.iterdir() if it.name.isdigit() and is_daemon(it)]
    yield from judge_daemons(running, files_needed(settings))
    backlog = int((proc / "sys/net/core/somaxconn").read_text())
    seen = f"net.core.somaxconn is {backlog}"
    yield BACKLOG_LIMIT.judge("this machine", seen if backlog < BACKLOG else None, seen)
    lines = (it.split() for it in (proc / "meminfo").read_text().splitlines())
    memory = {it[0].rstrip(":"): int(it[1]) for it in lines}
    share = memory["MemAvailable"] / memory["MemTotal"]
    seen = f"{share:.0%} of {memory['MemTotal'] // 2**10} MiB available"
    yield MEMORY.judge("this machine", seen if share < LOW_MEMORY_SHARE else None, seen)


def is_daemon(process: Path) -> bool:
    """Whether a folder of /proc is that of a daemon."""
    try:
        words = process.joinpath("cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    names = [os.path.basename(it) for it in words]
    return b"twistd" in names and b"nizam" in words


def judge_daemons(running: Sequence[Path], needed: int) -> Iterator[Finding]:
    """Judges what the daemons of these folders of /proc are granted."""
    if not running:
        yield FILES.note("this machine", "no daemon runs here that this user can see")
    for process in running:
        subject = f"process {process.name}"
        try:
            found = _LIMIT.search(process.joinpath("limits").read_text())
            owner = process.stat().st_uid
        except OSError:
            yield FILES.note(subject, "this user may not look at it: ask as root or as nizam")
            continue
        limit = 2**63 if found is None or found[1] == "unlimited" else int(found[1])
        seen = f"it may open {limit} files; needed: up to {needed}"
        yield FILES.judge(subject, seen if limit < needed else None, seen)
        yield USER.judge(subject, "it runs as root" if owner == 0 else None, f"user id {owner}")


def _unit() -> Iterator[Finding]:
    systemctl = shutil.which("systemctl")
    if systemctl is None:
        yield UNIT.ok("nizam.service", "there is no systemd here")
        return
    asked_for = [systemctl, "show", "nizam.service", f"--property={','.join(_SHOWN)}"]
    done = subprocess.run(asked_for, capture_output=True, text=True, timeout=5, check=False)  # noqa: S603 - a program we looked up
    lines = (it.partition("=") for it in done.stdout.splitlines())
    yield judge_unit({name: value for name, equals, value in lines if equals})


def judge_unit(shown: Mapping[str, str]) -> Finding:
    """Judges what `systemctl show` says of the unit."""
    subject = "nizam.service"
    state, restarts = shown.get("ActiveState", ""), int(shown.get("NRestarts") or 0)
    if shown.get("LoadState") != "loaded":
        return UNIT.ok(subject, "there is no such unit here")
    if state != "active":
        return UNIT.wrong(subject, f"it is {state}")
    if restarts > MANY_RESTARTS:
        return UNIT.wrong(subject, f"it was started again {restarts} times")
    if shown.get("WatchdogUSec") in ("0", "", None):
        return UNIT.note(subject, "it has no watchdog", mend="Take systemd/nizam.service.")
    return UNIT.ok(subject, f"active, started again {restarts} times")


def _time_zones(settings: Settings) -> Iterator[Finding]:
    here = available_timezones()
    try:
        with asked(settings.database.direct_dsn()) as server:
            used = {str(name): bool(known) for name, known in server.rows(_ZONES)}
    except ProbeError:
        yield judge_zones({}, here)
        return
    yield judge_zones(used, here)


def judge_zones(used: Mapping[str, bool], here: set[str]) -> Finding:
    """Judges the zones that tenants use, and whether PostgreSQL knows each, by those that are
    known here."""
    unknown = sorted(it for it in used if it not in here)
    strange = sorted(it for it, known in used.items() if not known)
    if not here:
        return TIME_ZONES.wrong("this machine", "there is no time zone data")
    if unknown:
        return TIME_ZONES.wrong("this machine", f"not known here: {', '.join(unknown)}")
    if strange:
        return TIME_ZONES.wrong("postgresql", f"not known there: {', '.join(strange)}")
    return TIME_ZONES.ok("time zones", f"{len(here)} known, {len(used)} used by tenants")
