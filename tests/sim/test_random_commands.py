"""Whatever is commanded while calls come and go, each leg begins once and ends once."""

from __future__ import annotations

from collections import Counter
from random import Random

import attrs
import pytest

from nizam.sim.core import EncodedEvent
from nizam.sim.switch import SimulatedSwitch
from tests.sim.client import Client
from tests.sim.conftest import ACME, SCENERY, Connect, MakeSwitch

COMMANDS = (
    "uuid_kill {uuid}",
    "uuid_kill {uuid} USER_BUSY",
    "uuid_transfer {uuid} 1001 XML {domain}",
    "uuid_transfer {uuid} 3000 XML {domain}",
    "uuid_transfer {uuid} -bleg 1003 XML {domain}",
    "uuid_hold toggle {uuid}",
    "uuid_record {uuid} start /x.wav",
    "originate user/1001@{domain} &park()",
    "originate user/1002@{domain} 1001 XML {domain}",
)
MANY = 60


class _Lives:
    """Counts the beginnings and ends of legs."""

    def __init__(self) -> None:
        self.begun: Counter[str] = Counter()
        self.ended: Counter[str] = Counter()

    def wants(self, name: str, subclass: str | None) -> bool:
        return name in ("CHANNEL_CREATE", "CHANNEL_HANGUP_COMPLETE")

    def deliver(self, event: EncodedEvent) -> None:
        counter = self.begun if event.event.name == "CHANNEL_CREATE" else self.ended
        counter[event.event.get("Unique-ID") or ""] += 1


async def _meddle(switch: SimulatedSwitch, client: Client, random: Random) -> None:
    for _ in range(250):
        channels = sorted(switch.core.channels)
        if channels:
            # Never more calls than a busy machine can follow: then they are only ended.
            commands = COMMANDS if len(channels) < MANY else COMMANDS[:2]
            command = random.choice(commands).format(uuid=random.choice(channels), domain=ACME)
            await client.command(f"bgapi {command}")
        else:
            await client.command("api echo wait")


@pytest.mark.time_limit(60)
async def test_no_leg_is_left_over_or_reported_twice(
    make_switch: MakeSwitch, client_of: Connect
) -> None:
    switch = make_switch(scenery=attrs.evolve(SCENERY, pace=0.01), calls_per_second=25.0, seed=5)
    lives = _Lives()
    switch.core.listeners.append(lives)
    await switch.start()
    client = await client_of(switch)
    while not switch.core.channels:
        await client.say("api echo wait")
    await _meddle(switch, client, Random(5))
    switch.stop_calls()
    await switch.stop()
    # What stop() cut off is silent; everything else was told exactly once.
    assert set(lives.ended.values()) == {1}
    assert set(lives.ended) <= set(lives.begun)
    assert max(lives.begun.values()) == 1
    told = Counter(leg.uuid for call in switch.truth.calls for leg in call.legs)
    assert set(told.values()) == {1}
    assert set(told) <= set(lives.ended)
    assert switch.truth.problems == []
    assert sorted(switch.truth.posted) == sorted(lives.ended)
