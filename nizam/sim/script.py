"""What the people in a simulated call do: who calls, what is dialled, who answers and hangs up."""

from __future__ import annotations

from random import Random
from typing import Literal

import attrs

from nizam.sim.people import Callee, Manner
from nizam.sim.settings import Range, Scenery, User


@attrs.frozen
class Script:
    """One call. Seconds are simulated ones; `give_up` is how long the caller waits at most.

    `caller` is a registered phone, None for a call from outside. `digits` are pressed in the
    menus and at other prompts, one item for each; `hang_up_by` ends a conversation, which without
    `talk` lasts until somebody is told to hang up.
    """

    scenario: str
    domain: str
    dialled: str
    caller: User | None = None
    outside_caller: str = ""
    callee: Callee = "answers"
    ring: float = 1.0
    talk: float | None = 10.0
    message: float = 5.0
    give_up: float | None = None
    hang_up_by: Literal["caller", "callee"] = "caller"
    digits: tuple[str, ...] = ()

    @property
    def manner(self) -> Manner:
        """How the phones that this call rings treat it, unless a phone has manners of its own."""
        return Manner(self.callee, self.ring)


class ScriptWriter:
    """Draws scripts from a scenery, repeatably with `random`."""

    def __init__(self, scenery: Scenery, random: Random) -> None:
        self._scenery = scenery
        self._random = random
        self._kinds = [kind for kind in scenery.mix if self._possible(kind)]
        self._weights = [scenery.mix[kind] for kind in self._kinds]

    @property
    def can_write(self) -> bool:
        """Whether the scenery has anything to call."""
        return sum(self._weights) > 0

    def write(self, kind: str | None = None) -> Script:
        """A script of `kind`, or of one drawn by the scenery's mix.

        Raises ValueError for a kind that the scenery has no numbers for.
        """
        if kind is None:
            kind = self._random.choices(self._kinds, self._weights)[0]
        if not self._possible(kind):
            raise ValueError(f"the scenery has nothing for a call of kind {kind!r}")
        scenery, durations = self._scenery, self._scenery.durations
        basis = Script(
            scenario=kind,
            domain="",
            dialled="",
            ring=self._seconds(durations.ring),
            talk=self._seconds(durations.talk),
            message=self._seconds(durations.message),
            hang_up_by="caller" if self._random.random() < 0.6 else "callee",
        )
        if kind == "did":
            return attrs.evolve(
                basis,
                domain="carrier.example.test",
                dialled=self._random.choice(scenery.dids),
                outside_caller=scenery.outside_caller,
            )
        if kind in ("ring_group", "ivr"):
            group = self._random.choice(
                scenery.ring_groups if kind == "ring_group" else scenery.ivrs
            )
            caller = self._random.choice([u for u in scenery.users if u.domain == group.domain])
            return attrs.evolve(
                basis,
                domain=group.domain,
                dialled=group.number,
                caller=caller,
                digits=group.digits,
            )
        caller, callee = self._pair()
        basis = attrs.evolve(basis, domain=caller.domain, caller=caller, dialled=callee.number)
        if kind == "outbound":
            return attrs.evolve(basis, dialled=self._random.choice(scenery.outside_numbers))
        if kind == "unallocated":
            return attrs.evolve(basis, dialled=scenery.unallocated_number)
        if kind == "busy":
            return attrs.evolve(basis, callee="is busy")
        if kind == "rejected":
            return attrs.evolve(basis, callee="declines")
        if kind == "no_answer":
            return attrs.evolve(basis, callee="lets it ring")
        if kind == "cancelled":
            give_up = self._seconds(durations.give_up)
            return attrs.evolve(basis, callee="lets it ring", give_up=give_up)
        return basis

    def _possible(self, kind: str) -> bool:
        scenery = self._scenery
        domains = [user.domain for user in scenery.users]
        if kind == "did":
            return bool(scenery.dids)
        if kind == "ring_group":
            return any(group.domain in domains for group in scenery.ring_groups)
        if kind == "ivr":
            return any(ivr.domain in domains for ivr in scenery.ivrs)
        if kind == "outbound" and not scenery.outside_numbers:
            return False
        return any(domains.count(domain) > 1 for domain in domains)

    def _pair(self) -> tuple[User, User]:
        """Two different users of one domain."""
        users = self._scenery.users
        while True:
            caller = self._random.choice(users)
            others = [user for user in users if user.domain == caller.domain and user != caller]
            if others:
                return caller, self._random.choice(others)

    def _seconds(self, limits: Range) -> float:
        return self._random.uniform(*limits)
