"""What is broken and what is watched: servers of its own, the daemon, a switch, and proxies.

Every connection between them goes through a proxy with faults:

    daemon -> proxy -> PostgreSQL, Redis, event socket of the switch
    switch, clients of the API -> proxy -> daemon (the first instance that takes the connection)
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Collection, Sequence
from pathlib import Path
from random import Random
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit, urlunsplit

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.web.client import Agent, HTTPConnectionPool

from nizam.dev.demo import Api
from nizam.embedded.postgres import PrivatePostgres
from nizam.embedded.process import free_port
from nizam.embedded.redis import PrivateRedis
from nizam.sim.settings import Durations
from nizam.sim.switch import SimulatedSwitch
from nizam.store.migrate import upgrade
from tests.chaos import tenants as tenants_module
from tests.chaos.history import History
from tests.chaos.proxy import FaultyProxy
from tests.chaos.tenants import ACME, GLOBEX, Tenant
from tests.daemon.process import DaemonProcess, until
from tests.daemon.receiver import WebhookReceiver
from tests.daemon.site import (
    ESL_PASSWORD,
    WEBHOOK_SECRET,
    XML_PASSWORD,
    XML_USERNAME,
    administrator,
    environment,
)

T = TypeVar("T")

READY_SECONDS: Final = 60.0
PLENTY: Final = "1000000"
DURATIONS: Final = Durations(
    ring=(0.5, 2.0), talk=(4.0, 12.0), message=(2.0, 4.0), give_up=(0.5, 2.0)
)
_migrating = threading.Lock()


@attrs.define
class World:
    """All of it, running."""

    reactor: Any
    folder: Path
    history: History
    postgres: PrivatePostgres
    redis: PrivateRedis
    postgres_proxy: FaultyProxy
    redis_proxy: FaultyProxy
    esl_proxies: list[FaultyProxy]
    http_proxy: FaultyProxy
    daemons: list[DaemonProcess]
    switch: SimulatedSwitch
    receiver: WebhookReceiver
    api: Api
    agent: Agent
    pool: HTTPConnectionPool
    tenants: tuple[Tenant, ...] = ()

    @property
    def base(self) -> str:
        """Where the API is, whichever instance answers."""
        return f"http://127.0.0.1:{self.http_proxy.port}"

    @property
    def dsn(self) -> str:
        """The database, past the proxy."""
        return self.postgres.dsn()

    @property
    def proxies(self) -> list[FaultyProxy]:
        """All of them."""
        return [self.postgres_proxy, self.redis_proxy, self.http_proxy, *self.esl_proxies]

    def aim(self) -> None:
        """Let the proxies lead to where the servers are now."""
        self.postgres_proxy.targets = [(self.postgres.host, self.postgres.port)]
        self.redis_proxy.targets = [(self.redis.host, self.redis.port)]

    async def connected(self, seconds: float = READY_SECONDS) -> bool:
        """Wait until every instance is ready and listens to the switch; whether it came to that."""
        wanted = 2 * len(self.daemons)

        async def all_well() -> bool:
            if len(self.switch.connections) < wanted:
                return False
            for daemon in self.daemons:
                try:
                    if (await daemon.get("/readyz"))[0] != 200:
                        return False
                except Exception:
                    return False
            listening = [
                it
                for it in self.switch.connections
                if it.subscription.wants("CHANNEL_CREATE", None)
            ]
            return len(listening) >= len(self.daemons)

        return await until(self.reactor, all_well, seconds, pause=0.1)


async def build(
    reactor: Any,
    folder: Path,
    history: History,
    *,
    seed: int,
    instances: int = 1,
    pace: float = 0.1,
    durations: Durations = DURATIONS,
    untold: Collection[str] = (),
) -> World:
    """Start everything; calls are not placed yet. Blocks the reactor at no point."""
    random = Random(f"world {seed}")
    postgres = PrivatePostgres(folder / "postgres", durable=False)
    redis = PrivateRedis(folder / "redis", durable=False)
    await in_thread(lambda: _start_servers(postgres, redis))

    def proxy(*targets: tuple[str, int]) -> FaultyProxy:
        made = FaultyProxy(reactor, targets, Random(random.random()))
        made.start()
        return made

    http_ports = [free_port() for _ in range(instances)]
    esl_port = free_port()
    postgres_proxy, redis_proxy = proxy(), proxy()
    http_proxy = proxy(*(("127.0.0.1", it) for it in http_ports))
    esl_proxies = [proxy(("127.0.0.1", esl_port)) for _ in range(instances)]
    receiver = WebhookReceiver(reactor, WEBHOOK_SECRET, history.add)
    receiver.start()
    daemons = [
        DaemonProcess(
            reactor,
            environment(
                _at_port(postgres.dsn(), postgres_proxy.port),
                _at_port(redis.url(), redis_proxy.port),
                folder,
                http_port,
                esl.port,
            )
            | {"API_RATE_LIMIT": PLENTY, "API_TENANT_RATE_LIMIT": PLENTY},
            folder / f"nizam{number}.log",
        )
        for number, (http_port, esl) in enumerate(zip(http_ports, esl_proxies, strict=True), 1)
    ]
    base = f"http://127.0.0.1:{http_proxy.port}"
    made = (ACME, GLOBEX)
    switch = SimulatedSwitch(
        reactor,
        esl_port=esl_port,
        password=ESL_PASSWORD,
        xml_url=f"{base}/freeswitch/xml",
        xml_username=XML_USERNAME,
        xml_password=XML_PASSWORD,
        cdr_url=f"{base}/freeswitch/cdr",
        cdr_error_folder=folder / "refused",
        scenery=tenants_module.scenery(made, pace, durations),
        seed=seed,
    )
    pool = HTTPConnectionPool(reactor, persistent=False)  # type: ignore[no-untyped-call]
    agent = Agent(reactor, connectTimeout=2.0, pool=pool)  # type: ignore[no-untyped-call]
    world = World(
        reactor,
        folder,
        history,
        postgres,
        redis,
        postgres_proxy,
        redis_proxy,
        esl_proxies,
        http_proxy,
        daemons,
        switch,
        receiver,
        Api(agent, reactor, base, ""),
        agent,
        pool,
    )
    try:
        await _bring_up(world, made, untold)
    except BaseException:
        await tear_down(world)
        raise
    return world


async def tear_down(world: World) -> None:
    """End everything."""
    for daemon in world.daemons:
        daemon.kill()
    await world.switch.stop()
    await world.receiver.stop()
    for proxy in world.proxies:
        await proxy.stop()
    await in_thread(world.redis.stop)
    await in_thread(world.postgres.stop)


def in_thread(work: Callable[[], T]) -> Awaitable[T]:
    """Run what blocks beside the reactor."""
    running: Deferred[T] = deferToThread(work)
    return running


async def _bring_up(world: World, tenants: Sequence[Tenant], untold: Collection[str]) -> None:
    world.aim()
    for daemon in world.daemons:
        daemon.start()
    for daemon in world.daemons:
        await daemon.ready(READY_SECONDS)
    key = (await administrator(world.reactor, world.daemons[0], world.dsn)).key
    world.api = Api(world.agent, world.reactor, world.base, key)
    made = []
    for it in tenants:
        address = world.receiver.url
        made.append(await tenants_module.make(world.api, it, address, WEBHOOK_SECRET, untold))
    world.tenants = tuple(made)
    await world.switch.start()
    assert await world.connected(), world.daemons[0].log_tail()


def _start_servers(postgres: PrivatePostgres, redis: PrivateRedis) -> None:
    postgres.start()
    redis.start()
    # Alembic keeps what it works on in its module.
    with _migrating:
        upgrade(postgres.dsn())


def _at_port(url: str, port: int) -> str:
    parts = urlsplit(url)
    credentials = parts.netloc.rpartition("@")[0]
    return urlunsplit(parts._replace(netloc=f"{credentials}@127.0.0.1:{port}"))
