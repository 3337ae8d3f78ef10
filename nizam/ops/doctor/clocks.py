"""Whether all clocks say the same."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from nizam.ops.doctor.database import primary_of
from nizam.ops.doctor.event_socket import event_socket
from nizam.ops.doctor.finding import Area, Declaring, Finding, Severity
from nizam.ops.doctor.known_nodes import KnownNode
from nizam.ops.doctor.postgres import asked
from nizam.ops.doctor.redis import named
from nizam.ops.doctor.redis_server import Place, redis_asked
from nizam.ops.doctor.running import Context, Probe, ProbeError
from nizam.settings import Settings

MOST_SECONDS = 1.0
FAR_TOO_MUCH_SECONDS = 10.0
_check = Declaring(Area.CLOCKS)

SKEW = _check(
    "skew",
    f"whether PostgreSQL, Redis and each node are within {MOST_SECONDS:g} s of this machine's time",
    "Opening hours, limits by the minute, signatures of webhooks (which receivers refuse after "
    "five minutes) and the order of events go by different clocks.",
    "Run chrony or systemd-timesyncd on every machine, and look at `timedatectl`.",
)
SYNCHRONISED = _check(
    "synchronised",
    "whether the kernel of this machine says that something keeps its time right",
    "A clock by itself goes wrong by seconds a day.",
    "Run chrony or systemd-timesyncd; a virtual machine may be kept right by its host.",
    Severity.NOTE,
)
CHECKS = (SKEW, SYNCHRONISED)

_TIMEX_BYTES = 256  # struct timex has 208 bytes on 64-bit Linux
_TIME_ERROR = 5


def probes(context: Context, nodes: Sequence[KnownNode]) -> list[Probe]:
    """Each other clock, and this one."""
    settings = context.settings
    ways: dict[str, Callable[[], float]] = {
        primary_of(settings): partial(_database_time, settings),
        **{named(it): partial(_redis_time, settings, it) for it in settings.redis.places},
        **{it.subject: partial(_node_time, it) for it in nodes},
    }
    found = [Probe(SKEW, subject, partial(_compare, subject, ask)) for subject, ask in ways.items()]
    return [*found, Probe(SYNCHRONISED, "this machine", _synchronised)]


def _compare(subject: str, offset: Callable[[], float]) -> Iterator[Finding]:
    try:
        seconds = offset()
    except (ProbeError, OSError):
        yield SKEW.note(subject, "not reached, so its time is not known")
        return
    yield judge_skew(subject, seconds)


def judge_skew(subject: str, seconds: float) -> Finding:
    """Judges by how many seconds another clock is ahead of this one's."""
    seen = f"{abs(seconds):.3f} s {'ahead' if seconds > 0 else 'behind'}"
    severity = Severity.FAILURE if abs(seconds) > FAR_TOO_MUCH_SECONDS else Severity.WARNING
    return SKEW.judge(subject, seen if abs(seconds) > MOST_SECONDS else None, seen, severity)


def offset_of(ask: Callable[[], float], now: Callable[[], float] = time.time) -> float:
    """By how many seconds the clock that `ask` reads is ahead: it was read in the middle."""
    before = now()
    there = ask()
    return there - (before + now()) / 2


def _database_time(settings: Settings) -> float:
    with asked(settings.database.direct_dsn()) as server:
        sql = "select extract(epoch from clock_timestamp())::float8"
        return offset_of(lambda: float(server.value(sql)))


def _redis_time(settings: Settings, place: Place) -> float:
    sentinel = settings.redis.kind == "sentinel"
    with redis_asked(settings.redis, place, sentinel=sentinel) as server:

        def ask() -> float:
            seconds, microseconds = server.ask("TIME")
            return int(seconds) + int(microseconds) / 1e6

        return offset_of(ask)


def _node_time(node: KnownNode) -> float:
    with event_socket(node.host, node.port, node.password) as switch:
        return offset_of(lambda: int(switch.api("strmicroepoch")) / 1e6)


def _synchronised() -> Iterator[Finding]:
    yield judge_kernel(_kernel_state())


def judge_kernel(state: int | None) -> Finding:
    """Judges what adjtimex(2) returns; None where it cannot be asked."""
    if state is None or state < 0:
        return SYNCHRONISED.note("this machine", "the kernel does not say")
    return SYNCHRONISED.judge(
        "this machine",
        "the kernel says that nothing keeps its time right" if state == _TIME_ERROR else None,
        "kept right",
    )


def _kernel_state() -> int | None:
    try:
        return int(ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES)))
    except (OSError, AttributeError):
        return None
