"""A whole intake for tests: real PostgreSQL and Redis, a simulated switch, and an answerer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid5

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.web.http import Request
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from nizam.errors import NizamError
from nizam.kv.single import SingleRedis
from nizam.routing.snapshot import Snapshot
from nizam.settings import NodeSettings, Secret, SecretKey
from nizam.sim.settings import Dialable, Durations, Scenery, User
from nizam.sim.switch import SimulatedSwitch
from nizam.store.pool import Pool
from nizam.store.secrets import SecretBox
from nizam.switch.channel_index import ChannelIndex
from nizam.switch.intake import Intake
from nizam.switch.live import LiveState
from nizam.switch.nodes import SwitchNodes
from tests.events.replaying import DOMAINS
from tests.routing.tenants import SIP
from tests.sim.answering import PASSWORD, USERNAME, AnsweringServer

ACME = "acme.example.test"
SCENERY = Scenery(
    users=tuple(User(number, ACME, f"acme-{number}-pw") for number in ("1001", "1002", "1003")),
    dids=("12025550101",),
    ring_groups=(Dialable("2000", ACME),),
    durations=Durations(talk=(2.0, 5.0), ring=(0.3, 1.0), message=(1.0, 2.0)),
    pace=0.05,
)


class CdrEndpoint(Resource):
    """Takes mod_json_cdr's records as the daemon does."""

    isLeaf = True  # noqa: N815 - Twisted's name

    def __init__(self, accept: Callable[..., Any]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.accept = accept
        self.refuse = False

    def render_POST(self, request: Request) -> int:  # noqa: N802
        """Store it, then say so."""
        Deferred.fromCoroutine(self._take(request))
        return NOT_DONE_YET

    async def _take(self, request: Request) -> None:
        try:
            if self.refuse:
                raise NizamError("refused by the test")
            body = request.content.read() if request.content else b""
            await self.accept("fs1", request.args[b"uuid"][0].decode(), body)
        except NizamError as error:
            request.setResponseCode(error.status)
        request.finish()  # type: ignore[no-untyped-call]


@attrs.define
class Plant:
    """The parts of one test, and what it waits for."""

    reactor: Any
    pool: Pool
    key_value: SingleRedis
    live: LiveState
    index: ChannelIndex
    intake: Intake
    nodes: SwitchNodes
    delivered: list[tuple[UUID, UUID]]

    async def until(self, condition: Callable[[], Any], seconds: float = 20.0) -> None:
        """Wait until `condition` (plain or awaitable) holds."""
        end = self.reactor.seconds() + seconds
        while True:
            result = condition()
            if hasattr(result, "__await__"):
                result = await result
            if result:
                return
            assert self.reactor.seconds() < end, "waited in vain"
            await deferLater(self.reactor, 0.02)

    async def count(self, sql: str) -> int:
        """The only value of the only row."""
        return int((await self.pool.query(sql))[0][0])


async def build_plant(
    reactor: Any,
    dsn: str,
    redis_url: str,
    esl_port: Callable[[], int],
    password: str = "ClueCon",
) -> Plant:
    """Everything connected to the event socket at `esl_port`, not yet started."""
    from urllib.parse import urlsplit

    url = urlsplit(redis_url)
    key_value = SingleRedis(reactor, url.hostname or "", url.port or 0, url.password)
    await key_value.start()
    pool = Pool(reactor, dsn, 4, "test")
    await pool.start()
    live = LiveState(reactor, key_value, mirror_seconds=0.02)
    index = ChannelIndex(reactor, key_value)
    delivered: list[tuple[UUID, UUID]] = []

    async def keep(deliveries: Any) -> None:
        delivered.extend(deliveries)

    intake = Intake(
        reactor,
        pool,
        key_value,
        live,
        index,
        tenant_of_domain=DOMAINS.get,
        extension_of=uuid5,
        on_deliveries=keep,
    )
    static = [NodeSettings("fs1", "127.0.0.1", esl_port(), Secret(password))]
    nodes = SwitchNodes(
        reactor,
        intake,
        Snapshot(),
        SecretBox([SecretKey("k1", bytes(32))]),
        static,
        sip=SIP,
    )
    return Plant(reactor, pool, key_value, live, index, intake, nodes, delivered)


def start(plant: Plant) -> None:
    """Start what listens."""
    plant.live.startService()
    plant.intake.startService()
    plant.nodes.startService()


async def stop(plant: Plant) -> None:
    """Stop everything, in the daemon's order."""
    await plant.nodes.stopService()
    await plant.intake.stopService()
    await plant.live.stopService()
    await plant.pool.stop()
    await plant.key_value.stop()


def make_switch(
    reactor: Any, answers: AnsweringServer, cdr_port: Callable[[], int], **changes: Any
) -> SimulatedSwitch:
    """A switch that asks `answers`, and posts its CDRs to the plant's endpoint."""
    settings: dict[str, Any] = {
        "xml_url": f"{answers.url}/xml",
        "xml_username": USERNAME,
        "xml_password": PASSWORD,
        "cdr_url": f"http://127.0.0.1:{cdr_port()}/cdr",
        "scenery": SCENERY,
    }
    return SimulatedSwitch(reactor, **(settings | changes))


def listen(reactor: Any, endpoint: CdrEndpoint) -> Any:
    """An HTTP port for CDRs."""
    return reactor.listenTCP(0, Site(endpoint), interface="127.0.0.1")  # type: ignore[no-untyped-call]
