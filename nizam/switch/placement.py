"""Which switch gets a new call: one in service that can be told, by its weight."""

from __future__ import annotations

from collections.abc import Iterable
from random import SystemRandom
from typing import Final, Protocol

from nizam.errors import SwitchUnavailable
from nizam.model.switch_node import SwitchNode
from nizam.routing.snapshot import Snapshot
from nizam.switch.command_links import Links

WEIGHT: Final[int] = SwitchNode.model_fields["weight"].default
"""Of a node that only the settings name."""


class Chooses(Protocol):
    """random.Random, as far as it is needed."""

    def choices(self, population: list[str], weights: list[int]) -> list[str]:
        """One of them, by weight."""


def takes_new_calls(snapshot: Snapshot, node: str) -> bool:
    """Whether the node is in service; one that only the settings name always is."""
    found = snapshot.switch_node(node)
    return found is None or found.status == "in_service"


def choose_node(
    snapshot: Snapshot, links: Links, names: Iterable[str], random: Chooses | None = None
) -> str:
    """One of the nodes, never one that is draining, out of service or not connected.

    Those share new calls by their weights; one of weight 0 gets them while there is no other.
    Raises SwitchUnavailable, which says what is in the way.
    """
    weights: dict[str, int] = {}
    draining = []
    for name in names:
        if not is_connected(links, name):
            continue
        if not takes_new_calls(snapshot, name):
            draining.append(name)
            continue
        found = snapshot.switch_node(name)
        weights[name] = WEIGHT if found is None else found.weight
    if not weights:
        if draining:
            which = ", ".join(sorted(draining))
            raise SwitchUnavailable(f"no switch node takes new calls: {which} is draining")
        raise SwitchUnavailable("no switch node is connected")
    shares = list(weights.values()) if any(weights.values()) else [1] * len(weights)
    chooser: Chooses = random or SystemRandom()
    return chooser.choices(list(weights), shares)[0]


def is_connected(links: Links, node: str) -> bool:
    """Whether the node can be told to do something."""
    try:
        links.command_link(node)
    except SwitchUnavailable:
        return False
    return True
