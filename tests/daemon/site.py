"""A daemon, its servers, a switch that places calls, and somebody who is told about them."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import attrs
from twisted.internet.task import deferLater
from twisted.web.client import Agent

from nizam.dev.demo import Api, prepare_demo, scenery
from nizam.embedded.process import free_port
from nizam.sim.settings import Durations, Scenery
from nizam.sim.switch import SimulatedSwitch
from nizam.store.pool import Pool
from nizam.store.system.api_keys import create_platform_key
from tests.chaos.checkers.calls import call_problems
from tests.chaos.checkers.deliveries import delivery_problems
from tests.chaos.checkers.gaps import unmarked
from tests.chaos.stored import Stored, read
from tests.daemon.process import DaemonProcess, until
from tests.daemon.receiver import WebhookReceiver

NODE = "fs1"
ESL_PASSWORD = "ClueCon"
XML_USERNAME, XML_PASSWORD = "fs1", "s3cret"
WEBHOOK_SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
REQUESTS_PER_MINUTE = 60_000


def environment(
    database: str, redis_url: str, folder: Path, http_port: int, esl_port: int
) -> dict[str, str]:
    """The settings of a daemon that listens to one node."""
    sql, redis = urlsplit(database), urlsplit(redis_url)
    key = base64.b64encode(bytes(range(32))).decode()
    return {
        "APP_ENV": "development",
        "APP_URL": f"http://127.0.0.1:{http_port}",
        "LOG_LEVEL": "info",
        "DB_HOST": sql.hostname or "",
        "DB_PORT": str(sql.port),
        "DB_DATABASE": sql.path[1:],
        "DB_USERNAME": sql.username or "",
        "DB_PASSWORD": unquote(sql.password or ""),
        "REDIS_HOST": redis.hostname or "",
        "REDIS_PORT": str(redis.port),
        "REDIS_PASSWORD": unquote(redis.password or ""),
        "NIZAM_HTTP_HOST": "127.0.0.1",
        "NIZAM_HTTP_PORT": str(http_port),
        "NIZAM_MEDIA_ROOT": str(folder),
        "NIZAM_SECRET_KEYS": f"test:{key}",
        "NIZAM_WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8",
        "NIZAM_XML_USERNAME": XML_USERNAME,
        "NIZAM_XML_PASSWORD": XML_PASSWORD,
        "NIZAM_NODE_NAME": NODE,
        "ESL_HOST": "127.0.0.1",
        "ESL_PORT": str(esl_port),
        "ESL_PASSWORD": ESL_PASSWORD,
    }


async def administrator(reactor: Any, daemon: DaemonProcess, database: str) -> Api:
    """The API of a running daemon with a key that may do everything."""
    pool = Pool(reactor, database, 1, "test")
    await pool.start()
    try:
        key = await create_platform_key(pool, "tests", REQUESTS_PER_MINUTE)
    finally:
        await pool.stop()
    agent = Agent(reactor, connectTimeout=2.0)  # type: ignore[no-untyped-call]
    return Api(agent, reactor, daemon.base, key)


def demo_scenery(pace: float, durations: Durations | None = None) -> Scenery:
    """The demo tenant's phones and numbers; a simulated second takes `pace` real ones."""
    return attrs.evolve(scenery(), pace=pace, durations=durations or Durations())


@attrs.define
class Site:
    """What a test of the whole daemon has in its hands."""

    reactor: Any
    database: str
    daemon: DaemonProcess
    receiver: WebhookReceiver
    switch: SimulatedSwitch
    api: Api
    tenant_id: str

    async def call_for(self, seconds: float, calls_per_second: float = 20.0) -> None:
        """Place calls at this rate for so long; those running go on."""
        self.switch.calls.start(calls_per_second)
        await deferLater(self.reactor, seconds)
        self.switch.stop_calls()

    async def settled(self, *, whole: bool = True, seconds: float = 15.0) -> list[str]:
        """Wait for all calls to end, then until the daemon's account of them is right.

        What is still wrong after so many seconds; nothing if all is well.
        """
        await self.switch.drain()
        wrong: list[str] = []

        def right() -> bool:
            wrong[:] = self.problems(whole=whole)
            return not wrong

        await until(self.reactor, right, seconds, pause=0.25)
        return wrong

    def problems(self, *, whole: bool = True) -> list[str]:
        """What is wrong at this moment.

        With `whole` nothing was missed and no webhook came twice; without, as after a crash,
        events may be missing and webhooks may have come again under the same id.
        """
        stored = read(self.database)
        wrong = call_problems(self.switch.truth.calls, stored, whole=whole)
        return wrong + told_wrongly(self.receiver, stored, whole=whole)

    def call_problems(self) -> list[str]:
        """What is wrong with summaries, legs and events at this moment, webhooks aside."""
        return call_problems(self.switch.truth.calls, read(self.database), whole=False)

    async def unmarked(self, seconds: float = 8.0) -> list[str]:
        """Calls that lack events outside every node.gap, once nothing waits any more.

        Events of a call whose tenant is not known wait for five seconds.
        """
        found: list[str] = []

        def none() -> bool:
            found[:] = unmarked(self.switch.truth.calls, read(self.database))
            return not found

        await until(self.reactor, none, seconds, pause=0.25)
        return found

    async def post_spooled_cdrs(self, folder: Path) -> Sequence[int]:
        """Post the records that FreeSWITCH could not, as its operator does; the statuses."""
        statuses = []
        for file in _records(folder):
            status, _ = await self.daemon.request(
                "POST",
                "/freeswitch/cdr",
                data=file.read_bytes(),
                headers={"Content-Type": "application/json"},
                auth=(XML_USERNAME, XML_PASSWORD),
            )
            statuses.append(status)
            file.unlink()
        return statuses


async def build_site(
    reactor: Any,
    database: str,
    redis_url: str,
    folder: Path,
    scenery: Scenery,
    more_settings: Mapping[str, str] | None = None,
    *,
    listens: bool = True,
) -> Site:
    """Start everything: the daemon with the demo tenant, its webhook, and a switch with phones.

    No calls are placed yet. The daemon `listens` to the switch, unless its settings say otherwise.
    CDRs that no daemon took are in `folder`/refused, its log is `folder`/nizam.log.
    """
    receiver = WebhookReceiver(reactor, WEBHOOK_SECRET)
    receiver.start()
    http_port, esl_port = free_port(), free_port()
    settings = environment(database, redis_url, folder, http_port, esl_port)
    settings |= more_settings or {}
    daemon = DaemonProcess(reactor, settings, folder / "nizam.log")
    daemon.start()
    switch = SimulatedSwitch(
        reactor,
        esl_port=esl_port,
        password=ESL_PASSWORD,
        xml_url=f"{daemon.base}/freeswitch/xml",
        xml_username=XML_USERNAME,
        xml_password=XML_PASSWORD,
        cdr_url=f"{daemon.base}/freeswitch/cdr",
        cdr_error_folder=folder / "refused",
        scenery=scenery,
    )
    await daemon.ready()
    api = await administrator(reactor, daemon, database)
    tenant_id = await prepare_demo(api, receiver.url, WEBHOOK_SECRET)
    site = Site(reactor, database, daemon, receiver, switch, api, tenant_id)
    await switch.start()
    if listens:
        await connected(site)
    return site


async def connected(site: Site, seconds: float = 20.0) -> None:
    """Wait until the daemon listens to the switch: both its links are there."""

    def both() -> bool:
        return len(site.switch.connections) >= 2 and any(
            it.subscription.wants("CHANNEL_CREATE", None) for it in site.switch.connections
        )

    assert await until(site.reactor, both, seconds), site.daemon.log_tail()


async def stop_site(site: Site) -> None:
    """End everything."""
    site.daemon.kill()
    await site.switch.stop()
    await site.receiver.stop()


def told_wrongly(receiver: WebhookReceiver, stored: Stored, *, whole: bool = True) -> list[str]:
    """What is wrong with the webhooks that the receiver got; with `whole` none came twice."""
    return delivery_problems(
        stored, receiver.arrivals, refused=receiver.refused, repeats=0 if whole else None
    )


def _records(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.cdr.json"))
