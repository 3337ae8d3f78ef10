"""How a simulated switch behaves: who its phones are, what is dialled, and how long things take."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

Range = tuple[float, float]

# Shares of the kinds of calls; kinds that the settings give no number for are left out.
DEFAULT_MIX: Mapping[str, float] = {
    "answered": 40,
    "busy": 8,
    "no_answer": 8,
    "rejected": 4,
    "cancelled": 10,
    "did": 12,
    "ring_group": 6,
    "ivr": 5,
    "outbound": 4,
    "unallocated": 3,
}


@attrs.frozen
class User:
    """A phone that registers; `domain` is the tenant's SIP domain, `number` its user part.

    Several phones of one user differ in `device`.
    """

    number: str
    domain: str
    password: str
    name: str = ""
    device: str = ""


@attrs.frozen
class Dialable:
    """A number that users of `domain` can dial; `digits` are pressed in its menus, one each."""

    number: str
    domain: str
    digits: tuple[str, ...] = ()


@attrs.frozen
class Durations:
    """Ranges of simulated seconds, multiplied by `pace` to give real ones.

    `ring` before a phone answers or refuses, `talk` while connected, `message` left in a mailbox,
    `give_up` before a caller cancels.
    """

    ring: Range = (0.5, 3.0)
    talk: Range = (5.0, 20.0)
    message: Range = (4.0, 8.0)
    give_up: Range = (1.0, 3.0)


@attrs.frozen
class Scenery:
    """What the calls are made of."""

    users: tuple[User, ...] = ()
    dids: tuple[str, ...] = ()
    ring_groups: tuple[Dialable, ...] = ()
    ivrs: tuple[Dialable, ...] = ()
    outside_numbers: tuple[str, ...] = ("13105550777",)
    unallocated_number: str = "7999"
    outside_caller: str = "13105550999"
    mix: Mapping[str, float] = DEFAULT_MIX
    durations: Durations = Durations()
    pace: float = 1.0
    register_expires: int = 600
    first_port: int = 7101
