"""compose.yaml at work: calls, webhooks and requests over processes that each have one role, while
every service loses a container, grows, and is restarted."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import attrs
import pytest
import pytest_twisted
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.web.client import Agent

from nizam.dev.demo import Api, prepare_demo
from nizam.embedded.process import free_port
from nizam.sim.switch import SimulatedSwitch
from tests.daemon.conftest import DURATIONS, PACE
from tests.daemon.process import until
from tests.daemon.receiver import WebhookReceiver
from tests.daemon.site import ESL_PASSWORD, WEBHOOK_SECRET, Site, connected, demo_scenery
from tests.deploy.balancers import end, make_certificate, trusting
from tests.deploy.composition import Composition
from tests.deploy.edge import CLIENT, Edge, Load

pytestmark = pytest.mark.rehearsal
APPS = 3
MORE_APPS = 5


@attrs.frozen(kw_only=True)
class Place:
    """Everything that is up."""

    composition: Composition
    edge: Edge
    site: Site


@pytest_twisted.async_yield_fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    from twisted.internet import reactor

    composition = Composition(reactor, tmp_path)
    certificate = make_certificate(tmp_path)
    receiver = WebhookReceiver(reactor, WEBHOOK_SECRET)
    receiver.start()
    esl_port = free_port()
    switch = running = None
    try:
        composition.start_servers()
        balancer = composition.balancer()
        composition.migrate()
        composition.up()
        running = balancer.start()
        await composition.ready()
        words = ("nizam", "admin", "bootstrap", "--key", "tests", "--json")
        made = json.loads(composition.command(composition.service("app"), *words))
        app = next(composition.of("app")).process
        agent = Agent(reactor, connectTimeout=2.0)  # type: ignore[no-untyped-call]
        api = Api(agent, reactor, app.base, made["key"])
        node = await api.request(
            "POST",
            "/api/v1/switch-nodes",
            {
                "name": "fs1",
                "esl_host": "127.0.0.1",
                "esl_port": esl_port,
                "esl_password": ESL_PASSWORD,
                "xml_username": "fs1",
            },
        )
        tenant_id = await prepare_demo(api, receiver.url, WEBHOOK_SECRET)
        xml = next(composition.of("xml-1")).process.base
        switch = SimulatedSwitch(
            reactor,
            esl_port=esl_port,
            password=ESL_PASSWORD,
            xml_url=f"{xml}/freeswitch/xml",
            xml_username="fs1",
            xml_password=node["xml_password"],
            cdr_url=f"{xml}/freeswitch/cdr",
            cdr_error_folder=tmp_path / "refused",
            scenery=demo_scenery(PACE, DURATIONS),
        )
        await switch.start()
        dsn = composition.postgres.dsn("nizam")
        site = Site(reactor, dsn, app, receiver, switch, api, tenant_id)
        await connected(site, 60)
        edge = Edge(
            balancers=[balancer],
            context=trusting(certificate),
            key=made["key"],
            tenant=f"/api/v1/tenants/{tenant_id}",
        )
        yield Place(composition=composition, edge=edge, site=site)
    finally:
        if switch is not None:
            await switch.stop()
        await receiver.stop()
        await composition.stop()
        if running is not None:
            end(running)


@pytest.mark.time_limit(600)
async def test_the_composition_loses_nothing_while_containers_come_and_go(place: Place) -> None:
    composition, site = place.composition, place.site
    apps = list(composition.of("app"))
    assert len(apps) == APPS
    load = Load(place.edge)
    load.start()
    site.switch.calls.start(10.0)
    try:
        await deferLater(site.reactor, 3.0)
        assert load.failed == []
        # One container of each service is killed, and the service goes on without it.
        for service in ("app", "intake", "queue-worker", "scheduler"):
            killed = list(composition.of(service))[-1]
            killed.process.kill()
            await deferLater(site.reactor, 6.0)
            killed.process.start()
            await composition.ready([killed])
        lost, load.failed = load.failed, []
        # What was under way on an instance that is killed can be lost, and nothing else.
        assert len(lost) <= 2, lost
        composition.scale("app", MORE_APPS)
        await composition.ready()
        assert await until(site.reactor, lambda: deferToThread(_spread, place), 30, pause=1.0)
        for replica in list(composition.of("app")) + [
            next(composition.of(service)) for service in ("intake", "queue-worker", "scheduler")
        ]:
            await replica.process.terminate()
            replica.process.start()
            await composition.ready([replica])
    finally:
        await deferToThread(load.end)
        site.switch.stop_calls()
    assert load.failed == []
    assert set(load.written) - await deferToThread(place.edge.numbers) == set()
    assert await site.settled(whole=False, seconds=60) == []
    assert await site.unmarked() == []
    assert len(site.switch.truth.calls) > 200


def _spread(place: Place) -> bool:
    """Whether all containers of app answer."""

    def answered() -> Counter[str]:
        return Counter(
            replica.address
            for replica in place.composition.of("app")
            for line in replica.process.log_tail(200_000).splitlines()
            if CLIENT in line
        )

    before = answered()
    for _ in range(4 * MORE_APPS):
        assert place.edge.ask(place.edge.balancers[0], "GET", "/api/v1/me").status == 200
    return len(answered() - before) == MORE_APPS
