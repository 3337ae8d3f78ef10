"""What a call takes of which counter, in the form in which counters are kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import attrs

from nizam.events.fields import channel_id
from nizam.routing.facts import Limit
from nizam.routing.request import CallRequest

PREFIX: Final = "nizam:{limits}:"
"""Of every key in Redis, which one script must be able to reach at once."""
RECORD: Final = f"{PREFIX}call:"

RESERVED_SECONDS: Final = 60
"""How long a place is kept for a call before a switch tells of it."""
KEPT_SECONDS: Final = 300
"""How long it is kept without word of a call that there was: three of the keeper's rounds could
be lost, and the places of a switch that died are free again after that."""

Kind = Literal["c", "w", "m"]

_KINDS: Final[dict[str, Kind]] = {"concurrent": "c", "minutes_per_day": "m"}


@attrs.frozen
class Wanted:
    """What a call wants of one counter; the fields are those of limit_take.lua."""

    limit: Limit
    kind: Kind
    amount: int
    member: str
    note: str

    @property
    def key(self) -> str:
        """The counter's key in Redis."""
        return PREFIX + self.limit.key

    @property
    def window_ms(self) -> int:
        """How long it looks back."""
        return self.limit.seconds * 1000

    @property
    def block_ms(self) -> int:
        """How long it stays reached."""
        return self.limit.block_seconds * 1000

    @property
    def takes(self) -> bool:
        """Whether a place is taken now."""
        return not self.limit.look

    def arguments(self) -> tuple[str | int, ...]:
        """Those of limit_take.lua."""
        takes, most = int(self.takes), self.limit.most
        window, block = self.window_ms, self.block_ms
        return (self.kind, most, self.amount, window, self.member, takes, self.note, block)

    def in_any_case(self) -> Wanted:
        """The same, whether or not there is room."""
        return attrs.evolve(self, limit=attrs.evolve(self.limit, most=10**9, block_seconds=0))

    def members(self) -> list[str]:
        """The names of the places that it takes."""
        return places(self.member, self.amount)


def places(member: str, amount: int) -> list[str]:
    """The names of so many places of one call."""
    return [member if it == 1 else f"{member}#{it}" for it in range(1, amount + 1)]


def wanted(call: CallRequest, limits: Sequence[Limit]) -> list[Wanted]:
    """What `call` wants under `limits`; a limit that stands there twice wants two places."""
    taken: dict[tuple[str, str], tuple[Limit, int]] = {}
    for limit in limits:
        name = (limit.key, limit.number)
        before, amount = taken.get(name, (limit, 0))
        taken[name] = (before if limit.look else limit, amount + (not limit.look))
    return [_wanted(call, limit, max(amount, 1)) for limit, amount in taken.values()]


def call_of(call: CallRequest) -> str:
    """The id of the call, also of one whose first leg was given another name than a UUID."""
    return call.part_of or call.known_id or str(channel_id(call.unique_id))


def _wanted(call: CallRequest, limit: Limit, amount: int) -> Wanted:
    kind = kind_of(limit)
    member, note = call_of(call), ""
    if limit.kind == "concurrent":
        outside = limit.scope == "route" or limit.of
        note = "o" if outside else f"r{amount}"
    elif limit.kind == "per_minute":
        note = "n"
    elif limit.kind == "minutes_per_day":
        note = "i0" if limit.of else "m0"
    elif limit.kind == "numbers":
        member = limit.number
    elif limit.kind == "short_calls":
        note = f"s{limit.short_seconds * 1000} {limit.seconds * 1000}"
    else:
        member = call.question_id or member
    return Wanted(limit, kind, amount, member, note)


def kind_of(limit: Limit) -> Kind:
    """How the counter of a limit is kept: places, entries in a window, or seconds."""
    return _KINDS.get(limit.kind, "w")
