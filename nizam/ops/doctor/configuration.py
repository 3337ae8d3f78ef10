"""The settings themselves: what is accepted, but not wise."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from ipaddress import ip_network
from urllib.parse import urlsplit

from nizam.ops.doctor.addresses import is_any, is_loopback, is_public
from nizam.ops.doctor.finding import Area, Declaring, Finding, Severity
from nizam.ops.doctor.running import Context, Probe
from nizam.settings import SettingsError

_check = Declaring(Area.CONFIGURATION)

SETTINGS_VALID = _check(
    "settings",
    "whether every setting is accepted; nothing else can be checked otherwise",
    "The daemon does not start with settings that are wrong.",
    "Change what is named; docs/settings.md has every setting, `nizam check-config` shows them.",
)
NOTES = _check(
    "notes",
    "settings that are accepted without being needed, and what follows from those left out",
    "It is seldom what was meant.",
    "See docs/settings.md.",
    Severity.NOTE,
)
DEBUG = _check(
    "debug",
    "whether APP_DEBUG shows tracebacks to clients that are not this machine",
    "A traceback shows file names and values to whoever causes an error.",
    "Set APP_DEBUG=false, and APP_ENV=production where this is a production system.",
    Severity.WARNING,
)
APP_URL = _check(
    "app-url",
    "whether APP_URL is an https address that clients can reach",
    "Keys, passwords and sessions cross the network in clear, and links in answers lead nowhere.",
    "Set APP_URL to the https address of the load balancer: docs/load-balancing.md.",
    Severity.WARNING,
)
LISTENING = _check(
    "listening",
    "whether NIZAM_HTTP_HOST is an address that the Internet reaches",
    "NIZAM speaks plain HTTP there, and serves FreeSWITCH's questions, health and metrics too.",
    "Set NIZAM_HTTP_HOST to loopback or an address of the private network, behind a load balancer "
    "that does TLS; close the port in the firewall: docs/security.md.",
    Severity.WARNING,
)
METRICS = _check(
    "metrics",
    "whether /metrics has a token where others can reach it",
    "Without one it is open to what comes from loopback, a proxy of this machine included, and "
    "closed to a Prometheus elsewhere.",
    "Set NIZAM_METRICS_TOKEN, and give it to Prometheus as a bearer token: docs/monitoring.md.",
    Severity.WARNING,
)
XML_NETWORKS = _check(
    "xml-networks",
    "whether FreeSWITCH's questions are taken from its networks alone",
    "Whoever learns a node's password may then ask for SIP credentials from anywhere.",
    "Set NIZAM_XML_ALLOWED_NETWORKS to the networks that the nodes are in.",
    Severity.WARNING,
)
TRUSTED_PROXIES = _check(
    "trusted-proxies",
    "whose X-Forwarded-For is believed",
    "Believing everybody lets clients choose their address, and so escape limits and lockouts; "
    "believing nobody makes all clients of a load balancer one.",
    "Set NIZAM_TRUSTED_PROXIES to the addresses of the load balancers.",
)
WEBHOOK_NETWORKS = _check(
    "webhook-networks",
    "which networks that are not public webhooks may reach",
    "A tenant chooses where webhooks go: it could speak to what is only meant for this machine, or "
    "to the metadata service of a cloud.",
    "Name the networks of the receivers alone in NIZAM_WEBHOOK_ALLOWED_NETWORKS.",
)
CORS = _check(
    "cors",
    "whether browsers may call the API from pages that came without encryption",
    "Whoever is on the way can put a script into such a page, which then acts for the user.",
    "Write https:// origins in SANCTUM_STATEFUL_DOMAINS.",
    Severity.WARNING,
)
MAIL = _check(
    "mail",
    "whether emails can be sent, and encrypted",
    "Without a mail server nobody is told of emergency calls by email; without encryption its "
    "password crosses the network in clear.",
    "Set MAIL_HOST and MAIL_FROM_ADDRESS, and MAIL_ENCRYPTION=starttls or tls.",
    Severity.WARNING,
)
DATABASE_TLS = _check(
    "database-tls",
    "whether the way to PostgreSQL on another machine is encrypted and verified",
    "Whoever is on the way reads everything, or takes the server's place.",
    "Set DB_SSLMODE=verify-full and DB_SSLROOTCERT, or lead it through WireGuard: "
    "docs/security.md.",
    Severity.WARNING,
)
REDIS_TLS = _check(
    "redis-tls",
    "whether the way to Redis on another machine is encrypted",
    "Its password, queued webhooks and sessions cross the network in clear.",
    "Set REDIS_TLS=true and REDIS_TLS_CA, or lead it through WireGuard: docs/security.md.",
    Severity.WARNING,
)
CLEAR_TEXT = _check(
    "clear-text",
    "whether the storage of recordings and the Pusher service are reached by https",
    "Recordings, events and the keys to them cross the network in clear.",
    "Use an https address in NIZAM_S3_ENDPOINT, and PUSHER_SCHEME=https.",
    Severity.WARNING,
)

CHECKS = (
    *(SETTINGS_VALID, NOTES, DEBUG, APP_URL),
    *(LISTENING, METRICS, XML_NETWORKS, TRUSTED_PROXIES, WEBHOOK_NETWORKS, CORS, MAIL),
    *(DATABASE_TLS, REDIS_TLS, CLEAR_TEXT),
)

_DANGEROUS = tuple(
    ip_network(it) for it in ("127.0.0.0/8", "::1/128", "169.254.0.0/16", "fe80::/10")
)


def probes(context: Context) -> list[Probe]:
    """One probe: nothing here has to be waited for."""
    return [Probe(SETTINGS_VALID, "settings", partial(_look, context))]


def refused(error: SettingsError) -> list[Finding]:
    """What is found where the settings are wrong."""
    return [
        SETTINGS_VALID.wrong(problem.name, problem.detail, mend=SETTINGS_VALID.mend)
        for problem in error.problems
    ]


def _look(context: Context) -> Iterator[Finding]:
    yield SETTINGS_VALID.ok("settings", "every one is accepted")
    # Said in words of its own by another check.
    notes = [it for it in context.loaded.notes if not it.startswith("NIZAM_SECRET_KEYS ")]
    yield from (NOTES.note("settings", it) for it in notes)
    if not notes:
        yield NOTES.ok("settings", "nothing to note")
    yield from _address(context)
    yield from _proxies(context)
    yield from _outwards(context)


def _address(context: Context) -> Iterator[Finding]:
    settings = context.settings
    url = urlsplit(settings.app_url)
    local = is_loopback(url.hostname or "")
    yield DEBUG.judge(
        "APP_DEBUG",
        f"on, and clients come to {settings.app_url}" if settings.debug and not local else None,
        "off" if not settings.debug else "on, for this machine alone",
    )
    problem = None
    if settings.production and local:
        problem = f"{settings.app_url} is this machine alone"
    elif url.scheme != "https" and not local:
        problem = f"{settings.app_url} is not encrypted"
    yield APP_URL.judge("APP_URL", problem, settings.app_url)
    host, token = settings.http.host, settings.http.metrics_token
    beyond = is_any(host) or not is_loopback(host)
    problem = None
    severity = Severity.WARNING
    if is_public(host):
        problem = f"{host} is a public address"
    elif is_any(host):
        problem = f"{host} is every address of this machine, public ones included"
        severity = Severity.NOTE
    yield LISTENING.judge("NIZAM_HTTP_HOST", problem, host, severity)
    yield METRICS.judge(
        "NIZAM_METRICS_TOKEN",
        f"not set, while {host} is listened on" if beyond and token is None else None,
        "set" if token is not None else "not set, and only this machine gets there",
    )
    networks = settings.http.xml_allowed_networks
    everybody = any(it.prefixlen == 0 for it in networks) or not networks
    yield XML_NETWORKS.judge(
        "NIZAM_XML_ALLOWED_NETWORKS",
        f"questions are taken from everywhere, while {host} is listened on"
        if beyond and everybody
        else None,
        ", ".join(map(str, networks)) or "not set, and only this machine gets there",
    )


def _proxies(context: Context) -> Iterator[Finding]:
    settings = context.settings
    proxies = settings.http.trusted_proxies
    wide = [str(it) for it in proxies if it.prefixlen == 0]
    behind = settings.app_url.startswith("https://") and not proxies
    if wide:
        yield TRUSTED_PROXIES.wrong("NIZAM_TRUSTED_PROXIES", f"{wide[0]} is everybody")
    elif behind:
        yield TRUSTED_PROXIES.wrong(
            "NIZAM_TRUSTED_PROXIES",
            "not set, while APP_URL is https and so a load balancer is in front",
            Severity.WARNING,
        )
    else:
        shown = ", ".join(map(str, proxies)) or "nobody, and there is no load balancer"
        yield TRUSTED_PROXIES.ok("NIZAM_TRUSTED_PROXIES", shown)


def _outwards(context: Context) -> Iterator[Finding]:
    settings = context.settings
    allowed = settings.webhooks.allowed_networks
    risky = [
        str(it)
        for it in allowed
        if any(it.version == bad.version and it.overlaps(bad) for bad in _DANGEROUS)
    ]
    yield WEBHOOK_NETWORKS.judge(
        "NIZAM_WEBHOOK_ALLOWED_NETWORKS",
        f"{', '.join(risky)} holds this machine or link-local addresses" if risky else None,
        ", ".join(map(str, allowed)) or "public addresses alone",
        Severity.FAILURE if settings.production else Severity.WARNING,
    )
    clear = [
        it
        for it in settings.cors_origins
        if it.startswith("http://") and not is_loopback(urlsplit(it).hostname or "")
    ]
    yield CORS.judge(
        "SANCTUM_STATEFUL_DOMAINS",
        f"{', '.join(clear)} is not encrypted" if clear else None,
        ", ".join(settings.cors_origins) or "none",
    )
    mail = settings.mail
    if mail.host is None:
        yield MAIL.wrong("MAIL_HOST", "not set: no emails are sent", Severity.NOTE)
    else:
        open_way = mail.security == "none" and not is_loopback(mail.host)
        yield MAIL.judge(
            "MAIL_ENCRYPTION",
            f"none, to {mail.host}" if open_way else None,
            f"{mail.security} to {mail.host}",
        )
    database = settings.database
    hosts = [host for host, _ in database.every_host]
    remote = [it for it in hosts if not is_loopback(it)]
    yield DATABASE_TLS.judge(
        "DB_SSLMODE",
        f"{database.sslmode}, to {', '.join(remote)}"
        if remote and database.sslmode not in ("verify-ca", "verify-full")
        else None,
        database.sslmode if remote else "on this machine",
    )
    redis = settings.redis
    remote = [host for host, _ in redis.places if not is_loopback(host)]
    yield REDIS_TLS.judge(
        "REDIS_TLS",
        f"false, to {', '.join(remote)}" if remote and not redis.tls else None,
        "true" if redis.tls else "on this machine",
    )
    yield from _clear_text(context)


def _clear_text(context: Context) -> Iterator[Finding]:
    settings = context.settings
    used = {}
    if settings.recordings.storage == "s3":
        used["NIZAM_S3_ENDPOINT"] = settings.recordings.s3_endpoint or "https://amazonaws.com"
    if settings.pusher.connection == "pusher":
        used["PUSHER_SCHEME"] = settings.pusher.url
    clear = {
        name: url
        for name, url in used.items()
        if url.startswith("http://") and not is_loopback(urlsplit(url).hostname or "")
    }
    yield from (CLEAR_TEXT.wrong(name, f"{url} is not encrypted") for name, url in clear.items())
    if not clear:
        yield CLEAR_TEXT.ok("settings", ", ".join(used) or "neither is used")
