"""Which Redis servers hold NIZAM's keys, of whatever kind they are: one server, the master that
Sentinels watch over, or the masters of a cluster."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import attrs

from nizam.kv.slot_map import SlotMap
from nizam.kv.slots import slot_of
from nizam.ops.backup.errors import BackupError, PeerUnreachable
from nizam.ops.backup.redis_connection import RedisConnection
from nizam.settings import RedisSettings, Secret

Address = tuple[str, int]
T = TypeVar("T")


@attrs.frozen
class RedisServer:
    """One server, how one signs in there, and the number of the database."""

    host: str
    port: int
    username: str | None = None
    password: str | None = attrs.field(default=None, repr=False)
    database: int = 0
    tls: ssl.SSLContext | None = attrs.field(default=None, repr=False)

    @property
    def name(self) -> str:
        """`host:port`."""
        return f"{self.host}:{self.port}"

    @property
    def address(self) -> Address:
        """Host and port."""
        return self.host, self.port

    @contextlib.contextmanager
    def connected(self) -> Iterator[RedisConnection]:
        """A connection to it."""
        with RedisConnection.to(
            self.host,
            self.port,
            username=self.username,
            password=self.password,
            database=self.database,
            tls=self.tls,
        ) as connection:
            yield connection


def servers_of(settings: RedisSettings) -> list[RedisServer]:
    """The servers, of which each holds keys that no other has. PeerUnreachable when nobody says
    which they are."""
    tls = _tls(settings)

    def at(address: Address) -> RedisServer:
        password = _revealed(settings.password)
        return RedisServer(*address, settings.username, password, settings.database, tls)

    if settings.kind == "sentinel":
        return [at(_first(settings.sentinels, lambda it: _master(settings, it, tls)))]
    if settings.kind == "cluster":
        found = _first(settings.cluster_seeds, lambda it: _slots(at(it)))
        return [at(it) for it in found.masters]
    return [at((settings.host, settings.port))]


@contextlib.contextmanager
def places_of(settings: RedisSettings) -> Iterator[Callable[[bytes], RedisConnection]]:
    """Connections to all of the servers: a function that gives the one to which a key belongs."""
    with contextlib.ExitStack() as stack:
        servers = servers_of(settings)
        open_ = {it.address: stack.enter_context(it.connected()) for it in servers}
        if settings.kind != "cluster":
            (only,) = open_.values()
            yield lambda key: only
            return
        slots = _slots(servers[0])

        def place(key: bytes) -> RedisConnection:
            owner = slots.owner(slot_of(key))
            if owner not in open_:
                raise BackupError("the cluster has changed meanwhile: try again")
            return open_[owner]

        yield place


def _first(addresses: tuple[Address, ...], ask: Callable[[Address], T]) -> T:
    problems = []
    for address in addresses:
        try:
            return ask(address)
        except BackupError as error:
            problems.append(error.detail)
    raise PeerUnreachable("; ".join(problems))


def _master(settings: RedisSettings, sentinel: Address, tls: ssl.SSLContext | None) -> Address:
    asked = RedisServer(
        *sentinel, settings.sentinel_username, _revealed(settings.sentinel_password), tls=tls
    )
    with asked.connected() as connection:
        found = connection.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", settings.sentinel_service)
    if not found:
        raise BackupError(
            f"the Sentinel at {asked.name} knows no master {settings.sentinel_service!r} "
            "(REDIS_SENTINEL_SERVICE)"
        )
    return found[0].decode(), int(found[1])


def _slots(server: RedisServer) -> SlotMap:
    with server.connected() as connection:
        answer: Any = connection.ask("CLUSTER", "SLOTS")
    try:
        found = SlotMap.read(answer, server.host)
    except ValueError as error:
        raise BackupError(f"Redis at {server.name}: {error}") from None
    if not found.whole:
        raise BackupError(f"Redis at {server.name}: the cluster does not serve every slot")
    return found


def _tls(settings: RedisSettings) -> ssl.SSLContext | None:
    if not settings.tls:
        return None
    try:
        context = ssl.create_default_context(
            cafile=None if settings.tls_ca is None else str(settings.tls_ca)
        )
        if settings.tls_certificate is not None:
            context.load_cert_chain(settings.tls_certificate, settings.tls_key)
    except OSError as error:
        raise BackupError(f"REDIS_TLS_CA, REDIS_TLS_CERT, REDIS_TLS_KEY: {error}") from None
    return context


def _revealed(secret: Secret | None) -> str | None:
    return None if secret is None else secret.reveal()
