"""Names of hosts: whether each that the settings name is known, and how fast."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from ipaddress import ip_address
from urllib.parse import urlsplit

from nizam.ops.doctor.addresses import addresses_of
from nizam.ops.doctor.finding import Area, Declaring, Finding, Severity
from nizam.ops.doctor.known_nodes import KnownNode
from nizam.ops.doctor.running import Context, Probe
from nizam.settings import Settings

SLOW_SECONDS = 1.0
_check = Declaring(Area.NAMES)

KNOWN = _check(
    "known",
    "whether DNS knows each host that the settings and nodes name",
    "What cannot be found cannot be reached.",
    "Correct the name in the setting, in /etc/hosts or in DNS.",
)
FAST = _check(
    "fast",
    f"whether that takes less than {SLOW_SECONDS:g} s",
    "Every new connection, of webhooks above all, waits for it.",
    "Look at /etc/resolv.conf: a name server that does not answer is asked first.",
    Severity.WARNING,
)
CHECKS = (KNOWN, FAST)


def probes(context: Context, nodes: Sequence[KnownNode]) -> list[Probe]:
    """One for each name."""
    named = hosts_of(context.settings, nodes)
    return [Probe(KNOWN, host, partial(_look, host, why)) for host, why in named.items()]


def hosts_of(settings: Settings, nodes: Sequence[KnownNode]) -> Mapping[str, str]:
    """The host names that are used, each with what names it; IP addresses are none."""
    found: dict[str, str] = {}
    given = {
        "DB_HOST": tuple(host for host, _ in settings.database.every_host),
        "REDIS_HOST": tuple(host for host, _ in settings.redis.places),
        "MAIL_HOST": (settings.mail.host or "",),
        "APP_URL": (urlsplit(settings.app_url).hostname or "",),
        **{f"the node {it.name}": (it.host,) for it in nodes},
    }
    if settings.recordings.storage == "s3" and settings.recordings.s3_endpoint:
        given["NIZAM_S3_ENDPOINT"] = (urlsplit(settings.recordings.s3_endpoint).hostname or "",)
    if settings.pusher.connection == "pusher":
        given["PUSHER_HOST"] = (urlsplit(settings.pusher.url).hostname or "",)
    for why, hosts in given.items():
        for host in hosts:
            if host and not host.startswith("/") and not _is_address(host):
                found.setdefault(host, why)
    return found


def _is_address(host: str) -> bool:
    try:
        ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def _look(host: str, why: str) -> Iterator[Finding]:
    began = time.monotonic()
    try:
        found = addresses_of(host)
    except OSError as error:
        yield KNOWN.wrong(host, f"named by {why}: {error.strerror or error}")
        return
    yield KNOWN.ok(host, ", ".join(map(str, found)))
    yield judge_speed(host, time.monotonic() - began)


def judge_speed(host: str, seconds: float) -> Finding:
    """Judges how long a look-up took."""
    seen = f"found within {seconds * 1000:.0f} ms"
    return FAST.judge(host, seen if seconds > SLOW_SECONDS else None, seen)
