"""compose.yaml brought up as processes on this machine: a loopback address for each container, a
name server in the place of Docker's, nginx before them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.names import common, dns
from twisted.names.server import DNSServerFactory

from nizam.embedded.binaries import find_postgres
from nizam.embedded.postgres import PrivatePostgres
from nizam.embedded.process import free_port
from nizam.embedded.redis import PrivateRedis
from tests.daemon.process import REPOSITORY, DaemonProcess
from tests.deploy.balancers import Balancer, nginx_before
from tests.deploy.containers import COMPOSE, SECRETS, Container, composed, postgres_options

_SECONDS = 120
_RESOLVER = "resolver 127.0.0.11 valid=2s"


@attrs.define
class Replica:
    """One container: its service's name and its process, which listens at `address`."""

    service: str
    address: str
    process: DaemonProcess


class Names(common.ResolverBase):
    """Answers for every service with the addresses of its containers."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.addresses: dict[str, list[str]] = {}

    def lookupAddress(self, name: bytes, timeout: Any = None) -> Deferred[Any]:  # noqa: N802
        """All A records of a service."""
        found = self.addresses.get(name.decode(), [])
        records = [
            dns.RRHeader(name, dns.A, dns.IN, 2, dns.Record_A(it, 2), auth=True)  # type: ignore[no-untyped-call]
            for it in found
        ]
        return succeed((records, [], []))

    def lookupIPV6Address(self, name: bytes, timeout: Any = None) -> Deferred[Any]:  # noqa: N802
        """None."""
        return succeed(([], [], []))


class Composition:
    """The services of compose.yaml; `folder` gets what they write."""

    def __init__(self, reactor: Any, folder: Path) -> None:
        self._reactor = reactor
        self._folder = folder
        self._secrets = folder / "secrets"
        self._port = free_port()
        self._next = 10
        self._services = {it.name: it for it in composed()}
        self._names = Names()
        self._name_port: Any = None
        self.replicas: list[Replica] = []
        self.postgres = PrivatePostgres(
            folder / "postgres", durable=False, options=postgres_options()
        )
        # roles.sh makes the one that counts.
        self.postgres.database = "scratch"
        self.redis = PrivateRedis(folder / "redis", durable=False)

    # -- what is not ours -----------------------------------------------------------------------

    def start_servers(self) -> None:
        """PostgreSQL, as its image begins, and Redis with the secret that compose.yaml names."""
        next(iter(self._services.values())).given_in(self._secrets)
        (self._folder / "redis").mkdir()
        (self._folder / "redis/password").write_text(SECRETS["redis_password"])
        self.postgres.start()
        self.redis.start()
        subprocess.run(
            [COMPOSE / "postgres/roles.sh"],
            env={
                "PATH": f"{find_postgres().folder}:{os.environ['PATH']}",
                "POSTGRES_USER": self.postgres.username,
                "PGHOST": self.postgres.host,
                "PGPORT": str(self.postgres.port),
                "PGPASSWORD": self.postgres.password,
                "DB_PASSWORD_FILE": str(self._secrets / "db_password"),
            },
            check=True,
            timeout=_SECONDS,
        )

    def balancer(self) -> Balancer:
        """nginx as compose.yaml configures it, asking our name server."""
        protocol = dns.DNSDatagramProtocol(DNSServerFactory(clients=[self._names]))  # type: ignore[no-untyped-call]
        protocol.noisy = False
        self._name_port = self._reactor.listenUDP(0, protocol, interface="127.0.0.1")
        resolver = f"resolver 127.0.0.1:{self._name_port.getHost().port} valid=2s"
        where = (COMPOSE / "instances.conf").read_text()
        assert where.count(_RESOLVER) == 1
        assert where.count("app:8080") == 2
        where = where.replace(_RESOLVER, resolver).replace("app:8080", f"app:{self._port}")
        return nginx_before(self._folder, where)

    async def stop(self) -> None:
        """End everything."""
        for it in self.replicas:
            it.process.kill()
        if self._name_port is not None:
            await self._name_port.stopListening()
        self.redis.stop()
        self.postgres.stop()

    # -- what is ours -----------------------------------------------------------------------------

    def migrate(self) -> None:
        """The service that runs once."""
        (it,) = [it for it in self._services.values() if it.migrates]
        self.command(it, *it.command)

    def command(self, container: Container, *words: str) -> str:
        """What a command inside a container prints."""
        assert words[0] == "nizam"
        done = subprocess.run(
            [sys.executable, "-m", "nizam.cli", *words[1:]],
            env=self._environment(container, "127.0.0.1"),
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def service(self, name: str) -> Container:
        """What compose.yaml says of a service."""
        return self._services[name]

    def up(self) -> None:
        """Start as many containers of each service as compose.yaml says."""
        for it in self._services.values():
            if not it.migrates:
                self.scale(it.name, it.replicas)

    def scale(self, service: str, replicas: int) -> None:
        """Start further containers of a service, until there are so many."""
        container = self._services[service]
        while len(list(self.of(service))) < replicas:
            self._next += 1
            address = f"127.0.0.{self._next}"
            process = DaemonProcess(
                self._reactor,
                self._environment(container, address),
                self._folder / f"{service}-{self._next}.log",
            )
            process.start()
            self.replicas.append(Replica(service, address, process))
            self._names.addresses.setdefault(service, []).append(address)

    def of(self, service: str) -> Iterator[Replica]:
        """The containers of a service."""
        return (it for it in self.replicas if it.service == service)

    async def ready(self, replicas: Sequence[Replica] | None = None) -> None:
        """Wait for these containers, or all."""
        for it in self.replicas if replicas is None else replicas:
            await it.process.ready(_SECONDS)

    def _environment(self, container: Container, address: str) -> dict[str, str]:
        """What the container is told, with this machine's addresses for the names of services."""
        given: Mapping[str, str] = container.given_in(self._secrets)
        assert (given["DB_HOST"], given["REDIS_HOST"]) == ("postgres", "redis")
        return {
            **given,
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(REPOSITORY),
            "DB_HOST": self.postgres.host,
            "DB_PORT": str(self.postgres.port),
            "REDIS_HOST": self.redis.host,
            "REDIS_PORT": str(self.redis.port),
            "NIZAM_HTTP_HOST": address,
            "NIZAM_HTTP_PORT": str(self._port),
            "NIZAM_MEDIA_ROOT": str(self._folder),
            "NIZAM_TRUSTED_PROXIES": "127.0.0.1/32",
            "API_RATE_LIMIT": "60000",
            # The receiver of the test, and the switch, are here.
            "NIZAM_WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8",
            "NIZAM_XML_ALLOWED_NETWORKS": "127.0.0.0/8",
        }
