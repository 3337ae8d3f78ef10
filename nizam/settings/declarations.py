"""Every setting, declared once: its names, what it accepts, its default and what it is for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from nizam.settings import parsers as p
from nizam.settings.values import Role


@attrs.frozen
class Setting:
    """One setting. `name` is its name in the environment, `key` its place in the file.

    A setting without a key is only checked: it is accepted so that a deployment's environment
    can stay as it is, and has no place in Settings.
    """

    name: str
    key: str | None
    parse: p.Parser
    default: Any
    accepted: str
    about: str
    secret: bool = False
    example: Any = None


_PORT = "a port from 1 to 65535"
_HOST = "a host name or an IP address"
_NETWORKS = "networks in CIDR form, such as 10.0.0.0/8"
_TEXT = "any text"
_DAYS = "days, from 0 to 3650; 0 keeps them for ever"
_SECRET = "any text; also from a file: see the top"  # noqa: S105 - a description
_LEVELS = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")

TITLES: Mapping[str, str] = {
    "": "The process",
    "http": "HTTP: the API, and FreeSWITCH's questions",
    "database": "PostgreSQL 15 or newer",
    "redis": "Redis or Valkey 7 or newer",
    "live": "What goes on now: how much of it is held in memory",
    "freeswitch": "FreeSWITCH: one node here, more as [[nodes]] or through the API",
    "sip": "The SIP profiles that every node is given",
    "webhooks": "Webhooks",
    "realtime": "Streams of events: WebSocket and server-sent events",
    "pusher": "Events for a Pusher-protocol service, such as Pusher, Ably or Soketi",
    "mail": "Email: who is to be told of emergency calls",
    "recordings": "Where complete recordings lie",
    "retention": "How long things are kept; the scheduler role removes what is older",
}

SETTINGS: tuple[Setting, ...] = (
    Setting(
        "APP_ENV",
        "environment",
        p.word("production", "staging", "development", "local", "testing"),
        "production",
        "production, staging, development, local or testing",
        "What kind of system this is.",
    ),
    Setting(
        "APP_DEBUG",
        "debug",
        p.boolean,
        False,
        "true or false; never true in production",
        "Whether internal errors show their traceback to the client.",
    ),
    Setting(
        "APP_URL",
        "app_url",
        p.http_url,
        "http://127.0.0.1:8080",
        "an http or https URL",
        "The address by which clients reach this system.",
    ),
    Setting(
        "NIZAM_ROLES",
        "roles",
        p.roles,
        frozenset(Role),
        f"any of {', '.join(Role)}",
        "What this process does; --roles takes precedence.",
    ),
    Setting(
        "LOG_LEVEL",
        "log_level",
        p.word(*_LEVELS),
        "info",
        ", ".join(_LEVELS),
        "The least severe log lines to write.",
    ),
    Setting(
        "API_RATE_LIMIT",
        "api_rate_limit",
        p.integer(1, 1_000_000),
        60,
        "a whole number from 1 to 1000000",
        "API requests a minute for each key, or each address without one.",
    ),
    Setting(
        "API_TENANT_RATE_LIMIT",
        "api_tenant_rate_limit",
        p.integer(1, 10_000_000),
        6000,
        "a whole number from 1 to 10000000",
        "API requests a minute for all keys and users of one tenant together.",
    ),
    Setting(
        "SANCTUM_STATEFUL_DOMAINS",
        "cors_origins",
        p.origins,
        (),
        "host names with an optional port, or origins such as https://console.example.com",
        "Where browsers may call the API from: the console's addresses.",
        example=["console.example.com"],
    ),
    Setting(
        "NIZAM_STATE_DIRECTORY",
        "state_directory",
        p.directory,
        Path("/var/lib/nizam"),
        "an absolute path",
        "What this process keeps on disk; systemd makes it.",
    ),
    Setting(
        "NIZAM_MEDIA_ROOT",
        "media_root",
        p.media_directory,
        Path("/var/lib/nizam/media"),
        "an absolute path of letters, digits, blanks and _.+-, the same on every FreeSWITCH node",
        "Prompts, greetings, voicemail and recordings.",
    ),
    Setting(
        "NIZAM_SPEECH",
        "speech",
        p.speech,
        None,
        "ENGINE:VOICE; unset: texts are not spoken",
        "The text-to-speech module that every FreeSWITCH node has loaded, for call flows.",
        example="flite:slt",
    ),
    Setting(
        "NIZAM_SECRET_KEYS",
        "secret_keys",
        p.secret_keys,
        (),
        "ID:BASE64 with 32 random bytes each, such as k1:$(openssl rand -base64 32)",
        "Keys that encrypt stored passwords. The first encrypts, all decrypt.",
        secret=True,
        example=["k1:BASE64"],
    ),
    # -- http
    Setting(
        "NIZAM_HTTP_HOST",
        "http.host",
        p.ip_address,
        "127.0.0.1",
        "an IP address of this machine; 0.0.0.0 is every one",
        "Where to listen.",
    ),
    Setting("NIZAM_HTTP_PORT", "http.port", p.port, 8080, _PORT, "The port to listen on."),
    Setting(
        "NIZAM_METRICS_TOKEN",
        "http.metrics_token",
        p.secret,
        None,
        _SECRET,
        "The bearer token for /metrics; without one only loopback may read it.",
        secret=True,
    ),
    Setting(
        "NIZAM_XML_ALLOWED_NETWORKS",
        "http.xml_allowed_networks",
        p.networks,
        (),
        _NETWORKS,
        "Where FreeSWITCH may ask from; empty allows every address.",
        example=["10.0.0.0/8"],
    ),
    Setting(
        "NIZAM_TRUSTED_PROXIES",
        "http.trusted_proxies",
        p.networks,
        (),
        _NETWORKS,
        "Load balancers whose X-Forwarded-For is believed.",
        example=["10.0.0.0/8"],
    ),
    # -- database
    Setting("DB_HOST", "database.host", p.host, "127.0.0.1", _HOST, "The primary."),
    Setting("DB_PORT", "database.port", p.port, 5432, _PORT, "Its port."),
    Setting("DB_DATABASE", "database.name", p.text, "nizam", _TEXT, "The database's name."),
    Setting("DB_USERNAME", "database.username", p.text, "nizam", _TEXT, "The role to log in as."),
    Setting(
        "DB_PASSWORD", "database.password", p.secret, None, _SECRET, "Its password.", secret=True
    ),
    Setting(
        "DB_SSLMODE",
        "database.sslmode",
        p.word("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
        "prefer",
        "disable, allow, prefer, require, verify-ca or verify-full",
        "libpq's sslmode.",
    ),
    Setting(
        "DB_SSLROOTCERT",
        "database.sslrootcert",
        p.text,
        None,
        "the path of a file, or system",
        "The certificate authorities to trust, for verify-ca and verify-full.",
        example="/etc/ssl/certs/ca-certificates.crt",
    ),
    Setting(
        "DB_READ_HOST",
        "database.read_hosts",
        p.words,
        (),
        f"{_HOST}, each with an optional :port",
        "Read replicas, which list queries go to. In the environment: DB_READ_HOST_1, _2 ...",
        example=["replica-1.example.com"],
    ),
    Setting(
        "NIZAM_DB_POOL_SIZE",
        "database.pool_size",
        p.integer(2, 200),
        8,
        "a whole number from 2 to 200",
        "Connections of this process to the primary.",
    ),
    Setting(
        "NIZAM_DB_READ_POOL_SIZE",
        "database.read_pool_size",
        p.integer(1, 200),
        4,
        "a whole number from 1 to 200",
        "Connections of this process to each read replica.",
    ),
    # -- redis
    Setting("REDIS_HOST", "redis.host", p.host, "127.0.0.1", _HOST, "The server."),
    Setting("REDIS_PORT", "redis.port", p.port, 6379, _PORT, "Its port."),
    Setting(
        "REDIS_USERNAME", "redis.username", p.text, None, _TEXT, "The ACL user, if not the default."
    ),
    Setting(
        "REDIS_PASSWORD", "redis.password", p.secret, None, _SECRET, "Its password.", secret=True
    ),
    Setting(
        "REDIS_DB",
        "redis.database",
        p.integer(0, 1023),
        0,
        "a whole number from 0 to 1023",
        "The number of the database.",
    ),
    Setting(
        "NIZAM_LIMITS_TIMEOUT_MS",
        "redis.limits_timeout_ms",
        p.integer(1, 5000),
        20,
        "a whole number from 1 to 5000",
        "How long a call with limits waits for Redis before this instance counts by itself.",
    ),
    # -- live
    Setting(
        "NIZAM_LIVE_MAX_CALLS",
        "live.max_calls",
        p.integer(100, 1_000_000),
        50_000,
        "a whole number from 100 to 1000000",
        "How many calls under way are shown, over all tenants and nodes.",
    ),
    Setting(
        "NIZAM_LIVE_MAX_CALLS_PER_TENANT",
        "live.max_calls_per_tenant",
        p.integer(10, 1_000_000),
        10_000,
        "a whole number from 10 to 1000000",
        "How many calls under way are shown of one tenant.",
    ),
    Setting(
        "NIZAM_LIVE_MAX_REGISTRATIONS",
        "live.max_registrations",
        p.integer(100, 10_000_000),
        200_000,
        "a whole number from 100 to 10000000",
        "How many registered phones are known, over all tenants and nodes.",
    ),
    Setting(
        "NIZAM_LIVE_MAX_REGISTRATIONS_PER_TENANT",
        "live.max_registrations_per_tenant",
        p.integer(10, 10_000_000),
        50_000,
        "a whole number from 10 to 10000000",
        "How many registered phones are known of one tenant.",
    ),
    # -- freeswitch
    Setting(
        "ESL_HOST",
        "freeswitch.esl_host",
        p.host,
        None,
        _HOST,
        "The event socket's host; unset: no node here.",
        example="freeswitch.internal",
    ),
    Setting("ESL_PORT", "freeswitch.esl_port", p.port, 8021, _PORT, "Its port."),
    Setting(
        "ESL_PASSWORD",
        "freeswitch.esl_password",
        p.secret,
        None,
        _SECRET,
        "Its password; needed with a host.",
        secret=True,
    ),
    Setting(
        "NIZAM_NODE_NAME",
        "freeswitch.name",
        p.text,
        "freeswitch",
        _TEXT,
        "What this node is called in events, metrics and the API.",
    ),
    Setting(
        "NIZAM_XML_USERNAME",
        "freeswitch.xml_username",
        p.text,
        None,
        _TEXT,
        "The user name of xml_curl.conf.xml and json_cdr.conf.xml on the node.",
        example="freeswitch",
    ),
    Setting(
        "NIZAM_XML_PASSWORD",
        "freeswitch.xml_password",
        p.secret,
        None,
        _SECRET,
        "Its password; without one the node's questions are refused.",
        secret=True,
    ),
    # -- sip
    Setting(
        "NIZAM_SIP_INTERNAL_IP",
        "sip.internal_ip",
        p.ip_address,
        None,
        "an IP address of the node; unset: FreeSWITCH chooses",
        "Where phones register.",
        example="10.0.0.5",
    ),
    Setting("NIZAM_SIP_INTERNAL_PORT", "sip.internal_port", p.port, 5060, _PORT, "Its port."),
    Setting(
        "NIZAM_SIP_EXTERNAL_IP",
        "sip.external_ip",
        p.ip_address,
        None,
        "an IP address of the node; unset: FreeSWITCH chooses",
        "Where carriers send calls to.",
        example="10.0.0.5",
    ),
    Setting("NIZAM_SIP_EXTERNAL_PORT", "sip.external_port", p.port, 5080, _PORT, "Its port."),
    Setting(
        "NIZAM_SIP_RTP_IP",
        "sip.rtp_ip",
        p.ip_address,
        None,
        "an IP address of the node; unset: FreeSWITCH chooses",
        "Where audio is received.",
        example="10.0.0.5",
    ),
    Setting(
        "NIZAM_SIP_ADVERTISED_IP",
        "sip.advertised_ip",
        p.ip_address,
        None,
        "an IP address; unset: the one listened on",
        "The public address to tell carriers when the node is behind NAT.",
        example="203.0.113.5",
    ),
    Setting(
        "NIZAM_SIP_RTP_PORT_FIRST",
        "sip.rtp_port_first",
        p.port,
        16384,
        _PORT,
        "The first UDP port of audio; a node takes it over when it starts.",
    ),
    Setting("NIZAM_SIP_RTP_PORT_LAST", "sip.rtp_port_last", p.port, 32768, _PORT, "The last one."),
    Setting(
        "NIZAM_SIP_DOMAIN_SUFFIX",
        "sip.domain_suffix",
        p.host,
        None,
        "a DNS name",
        "A provisioned tenant without a domain of its own gets <slug>.<this>.",
        example="sip.example.com",
    ),
    # -- webhooks
    Setting(
        "NIZAM_WEBHOOK_ALLOWED_NETWORKS",
        "webhooks.allowed_networks",
        p.networks,
        (),
        _NETWORKS,
        "Networks that are not public which webhooks may be sent to all the same.",
        example=["10.1.0.0/16"],
    ),
    Setting(
        "NIZAM_WEBHOOK_CONCURRENCY",
        "webhooks.concurrency",
        p.integer(1, 1000),
        64,
        "a whole number from 1 to 1000",
        "Requests of this process under way at once.",
    ),
    Setting(
        "NIZAM_WEBHOOK_ENDPOINT_CONCURRENCY",
        "webhooks.endpoint_concurrency",
        p.integer(1, 1000),
        8,
        "a whole number from 1 to 1000",
        "Of these, to one endpoint.",
    ),
    # -- mail
    Setting(
        "NIZAM_REALTIME_MAX_STREAMS",
        "realtime.max_streams",
        p.integer(1, 100_000),
        10_000,
        "a whole number from 1 to 100000",
        "Streams that one instance has open at a time.",
    ),
    Setting(
        "NIZAM_REALTIME_MAX_STREAMS_OF_TENANT",
        "realtime.max_streams_of_tenant",
        p.integer(1, 100_000),
        5_000,
        "a whole number from 1 to 100000",
        "Of those, streams that show one tenant.",
    ),
    Setting(
        "BROADCAST_CONNECTION",
        "pusher.connection",
        p.word("reverb", "native", "pusher"),
        "native",
        "reverb or native, which both mean the built-in WebSocket, or pusher",
        "With pusher, events are published to a service that speaks its protocol, too.",
    ),
    Setting(
        "PUSHER_APP_ID",
        "pusher.app_id",
        p.text,
        None,
        _TEXT,
        "The application's id; used with BROADCAST_CONNECTION=pusher.",
    ),
    Setting("PUSHER_APP_KEY", "pusher.app_key", p.text, None, _TEXT, "Its key."),
    Setting(
        "PUSHER_APP_SECRET",
        "pusher.app_secret",
        p.secret,
        None,
        _SECRET,
        "Its secret, which signs requests.",
        secret=True,
    ),
    Setting(
        "PUSHER_APP_CLUSTER",
        "pusher.app_cluster",
        p.host,
        "mt1",
        "the name of a cluster of Pusher, such as us2",
        "Where Pusher has the application.",
    ),
    Setting(
        "PUSHER_HOST",
        "pusher.host",
        p.host,
        None,
        _HOST,
        "Another service that speaks the protocol, instead of a cluster of Pusher.",
        example="soketi.internal",
    ),
    Setting("PUSHER_PORT", "pusher.port", p.port, 443, _PORT, "The port of its API."),
    Setting(
        "PUSHER_SCHEME",
        "pusher.scheme",
        p.word("https", "http"),
        "https",
        "https or http",
        "How its API is reached.",
    ),
    Setting(
        "NIZAM_PUSHER_EVENT_TYPES",
        "pusher.event_types",
        p.words,
        ("call.*",),
        "types of events, and families such as call.*",
        "What is published, on the channel private-tenant.{id}.calls of each tenant.",
    ),
    Setting(
        "MAIL_HOST",
        "mail.host",
        p.host,
        None,
        _HOST,
        "The mail server that takes emails; without one none are sent.",
        example="smtp.example.com",
    ),
    Setting("MAIL_PORT", "mail.port", p.port, 587, _PORT, "Its port."),
    Setting(
        "MAIL_ENCRYPTION",
        "mail.security",
        p.word("starttls", "tls", "none"),
        "starttls",
        "starttls, tls (from the first byte, port 465) or none",
        "How the connection is encrypted.",
    ),
    Setting("MAIL_USERNAME", "mail.username", p.text, None, _TEXT, "What to sign in with."),
    Setting(
        "MAIL_PASSWORD", "mail.password", p.secret, None, _SECRET, "Its password.", secret=True
    ),
    Setting(
        "MAIL_FROM_ADDRESS",
        "mail.sender",
        p.email_address,
        None,
        "an email address",
        "Who the emails come from.",
        example="nizam@example.com",
    ),
    # -- recordings
    Setting(
        "NIZAM_RECORDINGS_STORAGE",
        "recordings.storage",
        p.word("local", "s3"),
        "local",
        "local (the media root) or s3 (an S3-compatible object storage)",
        "Where they are moved once they are complete.",
    ),
    Setting(
        "NIZAM_S3_BUCKET",
        "recordings.s3_bucket",
        p.text,
        None,
        "the name of a bucket; needed with s3",
        "Where in the object storage.",
        example="recordings",
    ),
    Setting(
        "NIZAM_S3_ENDPOINT",
        "recordings.s3_endpoint",
        p.http_url,
        None,
        "an http or https URL; unset: Amazon's, of the region",
        "The object storage.",
        example="https://s3.example.com",
    ),
    Setting("NIZAM_S3_REGION", "recordings.s3_region", p.text, "us-east-1", _TEXT, "Its region."),
    Setting(
        "NIZAM_S3_PREFIX",
        "recordings.s3_prefix",
        p.object_prefix,
        "",
        "letters, digits and _.-/, such as nizam/",
        "What the names of all objects begin with.",
    ),
    Setting(
        "NIZAM_S3_ADDRESSING",
        "recordings.s3_addressing",
        p.word("auto", "path", "virtual"),
        "auto",
        "auto, path (endpoint/bucket) or virtual (bucket.endpoint)",
        "How buckets are addressed.",
    ),
    Setting(
        "NIZAM_S3_ACCESS_KEY_ID",
        "recordings.s3_access_key_id",
        p.text,
        None,
        "text; unset: those of the machine, as the AWS tools find them",
        "What to sign requests with.",
    ),
    Setting(
        "NIZAM_S3_SECRET_ACCESS_KEY",
        "recordings.s3_secret_access_key",
        p.secret,
        None,
        _SECRET,
        "Its secret.",
        secret=True,
    ),
    # -- retention
    Setting(
        "NIZAM_TENANT_GRACE_DAYS",
        "retention.tenant_grace_days",
        p.integer(0, 3650),
        30,
        "a whole number from 0 to 3650",
        "Days from the end of a tenant to the purge of its data, unless the request says.",
    ),
    Setting(
        "NIZAM_RETENTION_EVENT_DAYS",
        "retention.event_days",
        p.integer(0, 3650),
        90,
        _DAYS,
        "Events; whole months are dropped.",
    ),
    Setting(
        "NIZAM_RETENTION_CDR_DAYS",
        "retention.cdr_days",
        p.integer(0, 3650),
        730,
        _DAYS,
        "Call detail records; whole months are dropped.",
    ),
    Setting(
        "NIZAM_RETENTION_EXPLANATION_DAYS",
        "retention.explanation_days",
        p.integer(0, 3650),
        30,
        _DAYS,
        "Why calls went where they went; whole months are dropped.",
    ),
    Setting(
        "NIZAM_RETENTION_DELIVERY_DAYS",
        "retention.delivery_days",
        p.integer(0, 3650),
        30,
        _DAYS,
        "Webhook deliveries that have ended, attempts, and emails.",
    ),
    Setting(
        "NIZAM_RETENTION_CHANGE_DAYS",
        "retention.change_days",
        p.integer(1, 3650),
        30,
        "a whole number from 1 to 3650",
        "The feed of changes: an instance that was away for longer loads everything again.",
    ),
    Setting(
        "NIZAM_RETENTION_REVISION_DAYS",
        "retention.revision_days",
        p.integer(0, 3650),
        365,
        _DAYS,
        "Former configurations of tenants; the latest one stays.",
    ),
    Setting(
        "NIZAM_RETENTION_AUDIT_DAYS",
        "retention.audit_days",
        p.integer(0, 3650),
        0,
        _DAYS,
        "The audit log; only from the beginning of each chain, so that the rest still verifies.",
    ),
    # -- accepted for the deployment guide's sake, checked only
    Setting("DB_CONNECTION", None, p.word("pgsql"), "pgsql", "pgsql", "PostgreSQL is the one."),
    Setting("QUEUE_CONNECTION", None, p.word("redis"), "redis", "redis", "Queues are in Redis."),
    Setting("CACHE_STORE", None, p.word("redis"), "redis", "redis", "Caches are in Redis."),
    Setting("SESSION_DRIVER", None, p.word("redis"), "redis", "redis", "Sessions are in Redis."),
    Setting("LOG_CHANNEL", None, p.word("stderr"), "stderr", "stderr", "Logs go to stderr."),
    Setting(
        "REDIS_CLIENT",
        None,
        p.word("phpredis", "predis", "txredisapi"),
        "txredisapi",
        "phpredis, predis or txredisapi, which make no difference",
        "The client library is built in.",
    ),
    Setting(
        "REDIS_CLUSTER",
        None,
        p.nothing,
        None,
        "nothing: only a single server, REDIS_HOST, works",
        "Redis Cluster.",
    ),
)

# Names with a number or a word at their end.
READ_HOST_PREFIX = "DB_READ_HOST_"
CLUSTER_SEED_PREFIX = "REDIS_CLUSTER_SEED_"
NOT_NEEDED: Mapping[str, str] = {
    "REVERB_": "the WebSocket server is built in, so this is not needed",
}

# The fields of one [[nodes]] table are those of [freeswitch].
NODE_FIELDS: Mapping[str, Setting] = {
    setting.key.removeprefix("freeswitch."): setting
    for setting in SETTINGS
    if setting.key and setting.key.startswith("freeswitch.")
}
