"""What goes on now is right on every instance within five seconds of any gap."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import attrs
import pytest
import pytest_twisted

from nizam.embedded.process import free_port
from nizam.kv.single import SingleRedis
from tests.daemon.process import DaemonProcess, until
from tests.daemon.walking import Town
from tests.daemon.walking import town as town_of

pytestmark = pytest.mark.time_limit(90)

RIGHT_SECONDS = 5.0


@attrs.define
class Instances:
    """One instance that hears the switch, and one with the API alone."""

    town: Town
    api_only: DaemonProcess
    redis: SingleRedis

    async def shows(self, **expected: list[Any]) -> None:
        """Both show this, soon."""
        site = self.town.site
        seen: list[Any] = []
        headers = {"Authorization": f"Bearer {site.api.key}"}

        async def right() -> bool:
            seen.clear()
            for daemon in (site.daemon, self.api_only):
                found = {}
                for kind in ("calls", "registrations", "conferences", "parked-calls"):
                    path = f"/api/v1/tenants/{site.tenant_id}/{kind}"
                    status, body = await daemon.request("GET", path, headers=headers)
                    found[kind] = json.loads(body)["data"] if status == 200 else status
                seen.append(summary(found))
            return all(it == expected for it in seen)

        assert await until(site.reactor, right, RIGHT_SECONDS, pause=0.1), (expected, seen)


def summary(found: Mapping[str, Any]) -> dict[str, Any]:
    if any(isinstance(it, int) for it in found.values()):
        return dict(found)
    return {
        "calls": sorted((it["from"], it["state"]) for it in found["calls"]),
        "phones": sorted(it["user"] for it in found["registrations"]),
        "rooms": [
            (it["number"], sorted((of["number"], of["moderator"]) for of in it["members"]))
            for it in found["conferences"]
        ],
        "parked": [(it["slot"], it["caller_number"]) for it in found["parked-calls"]],
    }


@pytest_twisted.async_yield_fixture
async def instances(database: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Instances]:
    from twisted.internet import reactor

    async with town_of(reactor, database, redis_url, tmp_path) as town:
        second = town.site.daemon.another(free_port(), tmp_path / "second.log")
        second.change({"NIZAM_ROLES": "api"})
        second.start()
        url = urlsplit(redis_url)
        redis = SingleRedis(reactor, url.hostname or "", url.port or 0, url.password)
        await redis.start()
        try:
            await second.ready()
            yield Instances(town, second, redis)
        finally:
            second.kill()
            await redis.stop()
        assert not second.logged("error", "critical")


async def test_what_goes_on_is_right_on_every_instance_after_every_gap(
    instances: Instances,
) -> None:
    town = instances.town
    await town.rest()
    await town.make("conference-rooms", number="8100", name="Board", moderator_pin="9999")
    await town.make("parking-lots", number="700", name="Desk", slot_from="701", slot_to="702")
    three = ["1001", "1002", "1003"]
    anna = town.anna.dials("8100", answering_prompts=("9999",))
    await anna.reaches("conference ")
    ben = town.ben.dials("700")
    await ben.reaches("parked 701")
    cora = town.cora.dials("8100", answering_prompts=("9999",))
    await cora.reaches("conference ")
    everything: dict[str, list[Any]] = {
        "calls": [(it, "answered") for it in three],
        "phones": three,
        "rooms": [("8100", [("1001", True), ("1003", True)])],
        "parked": [("701", "1002")],
    }
    await instances.shows(**everything)

    await instances.redis.command("FLUSHALL")
    await instances.shows(**everything)

    town.site.switch.cut()
    town.ben.hangs_up()
    await ben.ended()
    town.cora.hangs_up()
    await cora.ended()
    less: dict[str, list[Any]] = {
        "calls": [("1001", "answered")],
        "phones": three,
        "rooms": [("8100", [("1001", True)])],
        "parked": [],
    }
    await instances.shows(**less)

    town.site.daemon.kill()
    town.site.daemon.start()
    await town.site.daemon.ready()
    await instances.shows(**less)
    # What the switch asked while nobody was there to answer.
    town.site.switch.truth.problems.clear()
    town.anna.hangs_up()
    await anna.ended()
    await instances.shows(calls=[], phones=three, rooms=[], parked=[])
