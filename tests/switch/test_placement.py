"""Which switch gets a new call."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import attrs
import pytest

from nizam.errors import SwitchUnavailable
from nizam.switch.placement import choose_node
from tests.routing.tenants import Tenants


@attrs.frozen
class Links:
    connected: frozenset[str]

    def command_link(self, name: str | None = None) -> Any:
        if name not in self.connected:
            raise SwitchUnavailable(f"{name} is not connected")
        return object()


def chosen(nodes: dict[str, dict[str, Any]], connected: str, times: int = 1) -> Counter[str]:
    tenants = Tenants()
    for name, more in nodes.items():
        body = {"name": name, "esl_host": "10.0.0.5", "xml_username": name, **more}
        tenants.put("switch_node", name, body)
    links, chance = Links(frozenset(connected.split())), random.Random(1)
    names = connected.split() + list(nodes)
    return Counter(
        choose_node(tenants.snapshot, links, dict.fromkeys(names), chance) for _ in range(times)
    )


def test_new_calls_are_shared_by_weight() -> None:
    found = chosen({"fs1": {"weight": 300}, "fs2": {"weight": 100}}, "fs1 fs2", 4000)
    assert found["fs1"] + found["fs2"] == 4000
    assert 2850 < found["fs1"] < 3150


@pytest.mark.parametrize(
    ("nodes", "connected", "gets"),
    [
        ({"fs1": {"status": "draining"}, "fs2": {}}, "fs1 fs2", "fs2"),
        ({"fs1": {"status": "out_of_service"}, "fs2": {}}, "fs1 fs2", "fs2"),
        ({"fs1": {}, "fs2": {}}, "fs2", "fs2"),
        ({"fs1": {"weight": 0}, "fs2": {"weight": 1}}, "fs1 fs2", "fs2"),
        ({"fs1": {"weight": 0}, "fs2": {"status": "draining"}}, "fs1 fs2", "fs1"),
        ({}, "settings", "settings"),
    ],
)
def test_only_nodes_in_service_that_are_connected_get_them(
    nodes: dict[str, dict[str, Any]], connected: str, gets: str
) -> None:
    assert chosen(nodes, connected, 50) == {gets: 50}


@pytest.mark.parametrize(
    ("nodes", "connected", "why"),
    [
        ({"fs1": {}}, "", "no switch node is connected"),
        ({"fs1": {"status": "draining"}}, "fs1", "no switch node takes new calls: fs1"),
    ],
)
def test_without_one_it_is_said_why(
    nodes: dict[str, dict[str, Any]], connected: str, why: str
) -> None:
    with pytest.raises(SwitchUnavailable, match=why):
        chosen(nodes, connected)
