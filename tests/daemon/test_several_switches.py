"""Two switches and one registry: what is on each is known, and what becomes of it when it goes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import attrs
import pytest
import pytest_twisted

from nizam.dev.demo import DOMAIN, sip_password
from nizam.embedded.process import free_port
from nizam.sim.settings import Durations, Scenery, User
from nizam.sim.stage import Phone, Stage
from nizam.sim.switch import SimulatedSwitch
from tests.daemon.process import DaemonProcess, until
from tests.daemon.walking import PACE, Town
from tests.daemon.walking import town as town_of

pytestmark = pytest.mark.time_limit(90)

SECONDS = 10.0


@attrs.define
class Two:
    """The town's switch is fs1, with three phones; at fs2 are two more, Ben's and Cora's."""

    town: Town
    switch: SimulatedSwitch
    stage: Stage
    ben: Phone
    cora: Phone
    node_id: str
    folder: Path

    async def on_each(self) -> dict[str, tuple[int | None, int | None]]:
        """Calls and registrations of each node, as the API shows them."""
        found = await self.town.site.api.request("GET", "/api/v1/switch-nodes")
        return {it["name"]: (it["calls"], it["registrations"]) for it in found["data"]}

    async def shows(self, **expected: tuple[int | None, int | None]) -> None:
        """It shows this, soon."""

        async def right() -> bool:
            return await self.on_each() == expected

        assert await until(self.town.site.reactor, right, SECONDS), await self.on_each()

    async def counted(self) -> int:
        """How many calls count under the tenant's limit."""
        path = f"/api/v1/tenants/{self.town.site.tenant_id}/limits"
        found = (await self.town.site.api.request("GET", path))["limits"]
        return sum(it["count"] for it in found if it["scope"] == "tenant" and it["of"] is None)

    async def talk(self) -> str:
        """Ben and Cora talk at fs2; the id of the call."""
        await self.cora.dials("1002").reaches("bridged")
        await self.shows(fs1=(0, 3), fs2=(1, 2))
        return self.cora.leg.uuid

    async def hang_up(self, daemon: DaemonProcess, call_id: str) -> tuple[int, dict[str, Any]]:
        """What this instance answers to whoever wants the call ended."""
        site = self.town.site
        status, body = await daemon.request(
            "POST",
            f"/api/v1/tenants/{site.tenant_id}/calls/{call_id}/hangup",
            headers={"Authorization": f"Bearer {site.api.key}"},
        )
        return status, json.loads(body)

    async def told_of_end(self, call_id: str) -> list[bool]:
        """Of each call.ended of the call, whether it was reconciled."""
        path = f"/api/v1/tenants/{self.town.site.tenant_id}/call-events?call_id={call_id}"
        found = (await self.town.site.api.request("GET", path))["data"]
        return [it["data"]["reconciled"] for it in found if it["type"] == "call.ended"]


@pytest_twisted.async_yield_fixture
async def two(database: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Two]:
    from twisted.internet import reactor

    async with town_of(reactor, database, redis_url, tmp_path) as town:
        request = town.site.api.request
        first = {"name": "fs1", "esl_host": "127.0.0.1", "xml_username": "fs1-new"}
        first |= {"esl_password": "ClueCon"}
        port = town.site.switch.esl_port
        await request("POST", "/api/v1/switch-nodes", {**first, "esl_port": port})
        esl_port = free_port()
        second = {"name": "fs2", "esl_host": "127.0.0.1", "xml_username": "fs2"}
        second |= {"esl_password": "second", "xml_password": "s3cond"}
        made = await request("POST", "/api/v1/switch-nodes", {**second, "esl_port": esl_port})
        await request("PATCH", f"/api/v1/tenants/{town.site.tenant_id}", LIMITED)
        users = tuple(User(it, DOMAIN, sip_password(it), device="fs2") for it in ("1002", "1003"))
        base = town.site.daemon.base
        switch = SimulatedSwitch(
            reactor,
            esl_port=esl_port,
            password="second",
            xml_url=f"{base}/freeswitch/xml",
            xml_username="fs2",
            xml_password="s3cond",
            cdr_url=f"{base}/freeswitch/cdr",
            cdr_error_folder=tmp_path / "refused by fs2",
            scenery=Scenery(users=users, pace=PACE, durations=Durations()),
            seed=2,
        )
        await town._served()
        await switch.start()
        stage = Stage(switch)
        ben, cora = map(stage.phone, users)
        it = Two(town, switch, stage, ben, cora, made["id"], tmp_path)
        await it.shows(fs1=(0, 3), fs2=(0, 2))
        yield it
        await switch.stop()


LIMITED = {"quotas": {"max_concurrent_calls": 10}}


async def test_a_call_is_steered_at_its_node_and_ends_when_the_node_is_taken_away(two: Two) -> None:
    daemon, reactor = two.town.site.daemon, two.town.site.reactor
    assert (await two.hang_up(daemon, await two.talk()))[0] == 200
    await two.shows(fs1=(0, 3), fs2=(0, 2))

    # An instance without a link to the node knows the call from the one that has it, and says so.
    call_id = await two.talk()
    two.switch.refuse_connections()
    other = daemon.another(free_port(), two.folder / "other.log")
    other.start()
    await other.ready()
    headers = {"Authorization": f"Bearer {two.town.site.api.key}"}
    path = f"/api/v1/tenants/{two.town.site.tenant_id}/calls/{call_id}"

    async def is_known() -> bool:
        return (await other.request("GET", path, headers=headers))[0] == 200

    assert await until(reactor, is_known, SECONDS)
    unavailable = (503, "switch_unavailable", "fs2 is not connected")
    status, said = await two.hang_up(other, call_id)
    assert (status, said["code"], said["detail"]) == unavailable
    other.kill()

    # Whether anything is on a node that nobody hears, nobody knows.
    assert await two.counted() == 1
    two.switch.cut()
    await two.shows(fs1=(0, 3), fs2=(None, None))
    status, said = await two.hang_up(daemon, call_id)
    assert (status, said["code"], said["detail"]) == unavailable
    assert await two.told_of_end(call_id) == []

    await two.town.site.api.request("DELETE", f"/api/v1/switch-nodes/{two.node_id}")
    await two.town.calls_are_known(0)

    async def is_over() -> bool:
        return await two.told_of_end(call_id) == [True] and await two.counted() == 0

    assert await until(reactor, is_over, SECONDS), await two.counted()
    assert list(await two.on_each()) == ["fs1"]
