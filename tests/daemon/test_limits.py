"""Limits and toll fraud with two whole instances: what is counted, stopped and told."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater

from nizam.dev.demo import DOMAIN, sip_password
from nizam.embedded.process import free_port
from nizam.sim.script import Script
from nizam.sim.settings import Scenery, User
from nizam.sim.switch import SimulatedSwitch
from tests.daemon.process import DaemonProcess, until
from tests.daemon.site import XML_PASSWORD, XML_USERNAME
from tests.daemon.walking import PACE, Town, town

pytestmark = pytest.mark.time_limit(60)

SETTINGS = {"NIZAM_LIMITS_TIMEOUT_MS": "5000"}
"""That a busy machine's Redis is waited for is what makes a limit exact, over all instances."""

CALLS = 500
MOST = 30
PER_TURN = 20
TURN_SECONDS = 0.2


async def test_five_hundred_premium_calls_in_a_minute_are_stopped_at_the_limit(
    database: str, redis_url: str, tmp_path: Path
) -> None:
    """The trace of a stolen password: one phone dials premium numbers as fast as it can, on two
    switches that ask two instances."""
    from twisted.internet import reactor

    async with town(reactor, database, redis_url, tmp_path, SETTINGS) as made:
        await _allow_costly_calls(made)
        second = made.site.daemon.another(free_port(), tmp_path / "second.log")
        second.start()
        switch = _second_switch(reactor, second)
        try:
            await second.ready()
            await switch.start()
            await made.stage.until(lambda: switch.core.gateways.keys() >= _gateways(made))
            await _dial(reactor, [made.site.switch, switch])
            await switch.drain()
            await made.stage.drained()
            out = sum(_let_out(it) for it in (made.site.switch, switch))
            assert MOST - 2 <= out <= MOST + 2
            blocked = await _blocked(made, CALLS - out)
            assert Counter(it["data"]["reason"] for it in blocked) == {
                "velocity_calls": CALLS - out
            }
            assert {it["tenant_id"] for it in blocked} == {made.site.tenant_id}
            assert {it["data"]["extension"] for it in blocked} == {"1001"}
            await _explained(made, blocked[0])
            assert await _metric(made.site.daemon) + await _metric(second) == CALLS - out
            assert not second.logged("error", "critical")
        finally:
            second.kill()
            await switch.stop()


async def test_ten_calls_at_once_are_ten_whatever_dials(
    database: str, redis_url: str, tmp_path: Path
) -> None:
    from twisted.internet import reactor

    async with town(reactor, database, redis_url, tmp_path, SETTINGS) as made:
        await made.site.api.request(
            "PATCH",
            f"/api/v1/tenants/{made.site.tenant_id}",
            {"quotas": {"max_concurrent_calls": 10}},
        )
        await made._served()
        switch = made.site.switch
        script = Script("many", DOMAIN, "1002", _caller(), talk=60.0)
        for refused in (40, 90):
            placed = [switch.place_call(script=script) for _ in range(50)]
            await until(reactor, lambda: len(switch.truth.calls) >= refused, 10.0)  # noqa: B023
            assert len(switch.truth.calls) == refused
            await made.calls_are_known(10)
            await _a_dry_run_says_so(made)
            await made.stage.hung_up()
            await gatherResults(placed)
            assert await until(reactor, lambda: _nothing_is_up(made), 5.0)
        causes = Counter(it.cause for it in switch.truth.calls)
        assert causes["SWITCH_CONGESTION"] == 80


async def _a_dry_run_says_so(made: Town) -> None:
    tenant = f"/api/v1/tenants/{made.site.tenant_id}"
    question = {"from": "1001", "to": "1002", "context": "internal"}
    now = await made.site.api.request("POST", f"{tenant}/routing/explain", question)
    assert (now["outcome"], "10 of 10 calls at once" in str(now["trace"])) == ("denied", True)
    shown = (await made.site.api.request("GET", f"{tenant}/limits"))["limits"]
    assert [it["count"] for it in shown if it["kind"] == "concurrent"] == [10]


async def _nothing_is_up(made: Town) -> bool:
    """Whether the tenant's places are given back, as its limits show."""
    path = f"/api/v1/tenants/{made.site.tenant_id}/limits"
    shown = (await made.site.api.request("GET", path))["limits"]
    return {it["count"] for it in shown if it["kind"] == "concurrent"} == {0}


async def _allow_costly_calls(made: Town) -> None:
    velocity = {"window_seconds": 60, "max_calls": MOST, "max_numbers": 0, "max_short_calls": 0}
    dialling = {"premium": True, "caller_id": "+12025550101", "velocity": velocity}
    tenant = f"/api/v1/tenants/{made.site.tenant_id}"
    await made.site.api.request("PATCH", tenant, {"dialling": dialling})
    await made.change(f"extensions/{made.extensions['1001']}", toll_class="international")
    gateway = await made.make("gateways", name="Carrier", host="192.0.2.10")
    await made.make(
        "outbound-routes",
        name="Everywhere",
        patterns=["+."],
        toll_class="international",
        gateways=[{"gateway_id": gateway}],
    )
    await made.stage.until(lambda: gateway in made.site.switch.core.gateways)


def _caller() -> User:
    return User("1001", DOMAIN, sip_password("1001"))


def _gateways(made: Town) -> set[str]:
    return set(made.site.switch.core.gateways)


def _second_switch(reactor: Any, daemon: DaemonProcess) -> SimulatedSwitch:
    return SimulatedSwitch(
        reactor,
        xml_url=f"{daemon.base}/freeswitch/xml",
        xml_username=XML_USERNAME,
        xml_password=XML_PASSWORD,
        scenery=Scenery(users=(_caller(),), pace=PACE),
        hostname="fs2.example.test",
        seed=2,
    )


async def _dial(reactor: Any, switches: list[SimulatedSwitch]) -> None:
    placed: list[Deferred[str]] = []
    for number in range(CALLS):
        dialled = f"+1900555{number % 10_000:04d}"
        script = Script("fraud", DOMAIN, dialled, _caller(), ring=0.5, talk=20.0)
        placed.append(switches[number % len(switches)].place_call(script=script))
        if number % PER_TURN == PER_TURN - 1:
            await deferLater(reactor, TURN_SECONDS)
    await gatherResults(placed)


def _let_out(switch: SimulatedSwitch) -> int:
    """How many calls reached the carrier."""
    return sum(any(leg.role == "gateway" for leg in call.legs) for call in switch.truth.calls)


async def _blocked(made: Town, count: int) -> list[dict[str, Any]]:
    """The fraud.blocked events that the receiver was told, each once."""
    receiver = made.site.receiver

    def told() -> list[dict[str, Any]]:
        return [it for it in receiver.events.values() if it["type"] == "fraud.blocked"]

    await until(made.site.reactor, lambda: len(told()) >= count, 20.0, pause=0.2)
    assert len(told()) == count
    assert {receiver.counts[it["id"]] for it in told()} == {1}
    return told()


async def _explained(made: Town, event: dict[str, Any]) -> None:
    """The call's own explanation says why it was blocked."""
    path = f"/api/v1/tenants/{made.site.tenant_id}/calls/{event['call_id']}/explain"
    assert event["data"]["words"] in str(await made.site.api.request("GET", path))


async def _metric(daemon: DaemonProcess) -> int:
    _, body = await daemon.get("/metrics")
    name = 'nizam_fraud_blocked_total{reason="velocity_calls"}'
    found = [line.split()[-1] for line in body.decode().splitlines() if line.startswith(name)]
    return int(float(found[0])) if found else 0
