"""The settings as the rest of NIZAM sees them: frozen values, secrets that do not print."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from urllib.parse import quote, urlencode

import attrs

Network = IPv4Network | IPv6Network


class Role(enum.StrEnum):
    """What one process does; any subset of them makes a process."""

    XML = "xml"
    API = "api"
    INTAKE = "intake"
    DELIVER = "deliver"
    REALTIME = "realtime"
    SCHEDULER = "scheduler"


@attrs.frozen(repr=False)
class Secret:
    """A string that never shows in a repr, a log or an error; `reveal` gives it."""

    _value: str

    def reveal(self) -> str:
        """The secret itself, for the one place that hands it to a peer."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__


@attrs.frozen
class SecretKey:
    """A 256-bit key that encrypts stored secrets; `id` is stored with what it encrypted."""

    id: str
    key: bytes = attrs.field(repr=False)


def split_address(text: str) -> tuple[str, str]:
    """The two parts of `host`, `host:port` or `[address]:port`; the port may be empty."""
    if text.startswith("[") and "]" in text:
        name, _, rest = text[1:].partition("]")
        return name, rest.removeprefix(":")
    if text.count(":") == 1:
        name, _, number = text.partition(":")
        return name, number
    return text, ""


@attrs.frozen
class HttpSettings:
    """The HTTP side: where it listens and who may ask what."""

    host: str
    port: int
    reuse_port: bool
    metrics_token: Secret | None
    xml_allowed_networks: tuple[Network, ...]
    trusted_proxies: tuple[Network, ...]


@attrs.frozen
class DatabaseSettings:
    """PostgreSQL: the primary, the read replicas and the size of the pools.

    With a `direct_host` the `host` is that of PgBouncer, in transaction mode. Either may be several
    with commas between them, each with a port of its own or without.
    """

    host: str
    direct_host: str | None
    port: int
    name: str
    username: str
    password: Secret | None
    sslmode: str
    sslrootcert: str | None
    read_hosts: tuple[tuple[str, int], ...]
    pool_size: int
    read_pool_size: int
    max_replica_lag_ms: int

    @property
    def hosts(self) -> tuple[tuple[str, int], ...]:
        """Where the primary is looked for, one after the other."""
        return self._addresses(self.host)

    @property
    def address(self) -> str:
        """The same for people."""
        return ", ".join(f"{host}:{port}" for host, port in self.hosts)

    @property
    def every_host(self) -> tuple[tuple[str, int], ...]:
        """PgBouncer, the servers and the replicas."""
        direct = self._addresses(self.direct_host) if self.direct_host else ()
        return (*self.hosts, *direct, *self.read_hosts)

    @property
    def pooled(self) -> bool:
        """Whether a PgBouncer in transaction mode is between us and the servers."""
        return self.direct_host is not None

    def dsn(self) -> str:
        """A libpq URI of the primary. It holds the password: not for logs."""
        return self._dsn(*self.hosts)

    def direct_dsn(self) -> str:
        """A libpq URI of the primary itself, for what lasts longer than a transaction."""
        return self._dsn(*self._addresses(self.direct_host or self.host))

    def read_dsns(self) -> tuple[str, ...]:
        """A libpq URI for each read replica, in the order they were given."""
        return tuple(self._dsn(it) for it in self.read_hosts)

    def _addresses(self, hosts: str) -> tuple[tuple[str, int], ...]:
        found = map(split_address, hosts.split(","))
        return tuple((host, int(port or self.port)) for host, port in found)

    def _dsn(self, *hosts: tuple[str, int]) -> str:
        user = quote(self.username, safe="")
        if self.password is not None:
            user += f":{quote(self.password.reveal(), safe='')}"
        addresses = ",".join(
            f"{f'[{host}]' if ':' in host else quote(host, safe='')}:{port}" for host, port in hosts
        )
        # A frozen server must not hold a connection for longer than half a minute.
        parameters = {
            "application_name": "nizam",
            "sslmode": self.sslmode,
            "connect_timeout": "5",
            "keepalives_idle": "10",
            "keepalives_interval": "5",
            "keepalives_count": "3",
            "tcp_user_timeout": "25000",
        }
        if self.sslrootcert:
            parameters["sslrootcert"] = self.sslrootcert
        if len(hosts) > 1:
            # All but one of them are replicas.
            parameters["target_session_attrs"] = "read-write"
        name = quote(self.name, safe="")
        return f"postgresql://{user}@{addresses}/{name}?{urlencode(parameters)}"


@attrs.frozen
class RedisSettings:
    """Redis: one server; those that Sentinels watch over, if there are `sentinels`; or a cluster,
    which has at least one of `cluster_seeds`."""

    host: str
    port: int
    username: str | None
    password: Secret | None
    database: int
    tls: bool
    tls_ca: Path | None
    tls_certificate: Path | None
    tls_key: Path | None
    sentinels: tuple[tuple[str, int], ...]
    sentinel_service: str
    sentinel_username: str | None
    sentinel_password: Secret | None
    cluster: bool
    cluster_seeds: tuple[tuple[str, int], ...]
    limits_timeout_ms: int

    @property
    def kind(self) -> str:
        """`single`, `sentinel` or `cluster`."""
        if self.cluster:
            return "cluster"
        return "sentinel" if self.sentinels else "single"

    @property
    def places(self) -> tuple[tuple[str, int], ...]:
        """Where it is asked first: the server, the Sentinels or the seeds of the cluster."""
        return self.cluster_seeds or self.sentinels or ((self.host, self.port),)


@attrs.frozen
class LiveSettings:
    """How many calls and phones the live state holds, in all and for one tenant."""

    max_calls: int
    max_calls_per_tenant: int
    max_registrations: int
    max_registrations_per_tenant: int


@attrs.frozen
class NodeSettings:
    """A FreeSWITCH node named in the settings: its event socket and its XML credentials."""

    name: str
    esl_host: str
    esl_port: int
    esl_password: Secret
    xml_username: str | None = None
    xml_password: Secret | None = None


@attrs.frozen
class XmlClient:
    """Credentials with which a node asks us, and the name of that node."""

    node: str
    username: str
    password: Secret


@attrs.frozen
class SipSettings:
    """Addresses and ports of the SIP profiles that every node is given.

    None lets FreeSWITCH choose; `advertised_ip` is what it tells peers on the external profile.
    `domain_suffix` ends the domains of tenants that name none. Audio uses the UDP ports from
    `rtp_port_first` to `rtp_port_last`.
    """

    internal_ip: str | None
    internal_port: int
    external_ip: str | None
    external_port: int
    rtp_ip: str | None
    advertised_ip: str | None
    domain_suffix: str | None = None
    rtp_port_first: int = 16384
    rtp_port_last: int = 32768


@attrs.frozen
class WebhookSettings:
    """How webhooks leave: which non-public networks are allowed, how many at once."""

    allowed_networks: tuple[Network, ...]
    concurrency: int
    endpoint_concurrency: int


@attrs.frozen
class PusherSettings:
    """An application of a Pusher-protocol service; used where `connection` is `pusher`."""

    connection: str
    app_id: str | None
    app_key: str | None
    app_secret: Secret | None
    app_cluster: str
    host: str | None
    port: int
    scheme: str
    event_types: tuple[str, ...]

    @property
    def url(self) -> str:
        """The URL of its API, without a path."""
        host = self.host or f"api-{self.app_cluster}.pusher.com"
        usual = {"https": 443, "http": 80}[self.scheme] == self.port
        return f"{self.scheme}://{host}" if usual else f"{self.scheme}://{host}:{self.port}"


@attrs.frozen
class RealtimeSettings:
    """How many streams of events one instance has open at a time, and how many of one tenant."""

    max_streams: int
    max_streams_of_tenant: int


@attrs.frozen
class MailSettings:
    """The mail server that takes emails to people; without a host none are sent."""

    host: str | None
    port: int
    security: str
    username: str | None
    password: Secret | None
    sender: str | None


@attrs.frozen
class RecordingSettings:
    """Where complete recordings lie: in the media root, or in object storage."""

    storage: str
    s3_bucket: str | None
    s3_endpoint: str | None
    s3_region: str
    s3_prefix: str
    s3_addressing: str
    s3_access_key_id: str | None
    s3_secret_access_key: Secret | None


@attrs.frozen
class RetentionSettings:
    """For how many days things are kept; 0 is for ever, and no grace for a terminated tenant."""

    tenant_grace_days: int
    event_days: int
    cdr_days: int
    explanation_days: int
    delivery_days: int
    change_days: int
    revision_days: int
    audit_days: int


@attrs.frozen
class BackupSettings:
    """Where backups are kept and for how many days (0: for ever), and what of FreeSWITCH is in
    them."""

    folder: Path
    keep_days: int
    freeswitch_configuration: Path


@attrs.frozen
class Settings:
    """Everything that one process is told; frozen."""

    environment: str
    debug: bool
    app_url: str
    roles: frozenset[Role]
    log_level: str
    api_rate_limit: int
    api_tenant_rate_limit: int
    cors_origins: tuple[str, ...]
    media_root: Path
    speech: tuple[str, str] | None
    secret_keys: tuple[SecretKey, ...]
    http: HttpSettings
    database: DatabaseSettings
    redis: RedisSettings
    live: LiveSettings
    sip: SipSettings
    webhooks: WebhookSettings
    realtime: RealtimeSettings
    pusher: PusherSettings
    mail: MailSettings
    recordings: RecordingSettings
    retention: RetentionSettings
    backup: BackupSettings
    nodes: tuple[NodeSettings, ...]
    xml_clients: tuple[XmlClient, ...]

    @property
    def production(self) -> bool:
        """Whether this is a production system, which never shows tracebacks to clients."""
        return self.environment == "production"


def masked(value: object) -> object:
    """`value` as it may be shown: secrets replaced, everything else as it is."""
    if isinstance(value, Secret):
        return "***"
    if isinstance(value, SecretKey):
        return f"{value.id}:***"
    if isinstance(value, Mapping):
        return {key: masked(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [masked(item) for item in value]
    return value
