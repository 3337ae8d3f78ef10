"""The counters as one process knows them: what is counted by while Redis is away.

It does what limit_take.lua and limit_hold.lua do, and is told the same, so that it is warm when it
is needed. What other processes decided is missing until a switch tells of it: a limit that is too
generous for a moment is better than calls that are not set up.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from nizam.switch.call_states import CallState, Work
from nizam.switch.counters import (
    KEPT_SECONDS,
    PREFIX,
    RESERVED_SECONDS,
    Wanted,
    places,
)

SWEEP_SECONDS = 30.0
MINUTES_KEPT_SECONDS = 172_800.0
"""How long the minutes of a day are kept after they last grew, as in limit_hold.lua."""


@attrs.define
class _Record:
    notes: dict[str, str] = attrs.field(factory=dict)
    until: float = 0.0


@attrs.frozen
class Taken:
    """What a call newly took: places of counters, and notes in its record."""

    call_id: str
    places: list[tuple[str, str]] = attrs.field(factory=list)
    notes: list[str] = attrs.field(factory=list)


@attrs.define
class LocalCounts:
    """Counters in memory; `now` is any clock in seconds that only goes forward."""

    _counters: dict[str, dict[str, float]] = attrs.field(factory=dict)
    _seconds: dict[str, int] = attrs.field(factory=dict)
    _seconds_until: dict[str, float] = attrs.field(factory=dict)
    _blocked: dict[str, float] = attrs.field(factory=dict)
    _records: dict[str, _Record] = attrs.field(factory=dict)
    _swept: float = 0.0

    def take(self, call_id: str, wants: Sequence[Wanted], now: float) -> dict[str, int]:
        """Take everything or nothing; then the keys of what is reached, with how high it is."""
        self._sweep(now)
        full: dict[str, int] = {}
        for want in wants:
            count = self._reached(call_id, want, now)
            if count is not None:
                full[want.limit.key] = count
        if not full:
            self.reserve(call_id, wants, now)
        return full

    def reserve(self, call_id: str, wants: Sequence[Wanted], now: float) -> Taken:
        """Take without asking whether there is room, as for what is being asked elsewhere; what
        is new can be given back."""
        taken = Taken(call_id)
        record = self._records.setdefault(call_id, _Record())
        record.until = now + KEPT_SECONDS
        for want in wants:
            counted = want.note == "n" and want.key in record.notes
            if want.takes and want.kind != "m" and not counted:
                counter = self._counters.setdefault(want.key, {})
                until = now + (RESERVED_SECONDS if want.kind == "c" else want.limit.seconds)
                for name in want.members():
                    if counter.get(name, 0.0) <= now:
                        taken.places.append((want.key, name))
                    counter[name] = max(until, counter.get(name, 0.0))
            if want.note and want.key not in record.notes:
                record.notes[want.key] = want.note
                taken.notes.append(want.key)
        return taken

    def give_back(self, taken: Taken) -> None:
        """Undo a `reserve`."""
        for key, name in taken.places:
            self._counters.get(key, {}).pop(name, None)
        record = self._records.get(taken.call_id)
        if record is not None:
            for key in taken.notes:
                record.notes.pop(key, None)

    def count(self, want: Wanted, now: float) -> tuple[int, float]:
        """How high the counter stands, and for how many seconds it is blocked still."""
        blocked = max(0.0, self._blocked.get(want.key, now) - now)
        if want.kind == "m":
            return self._seconds.get(want.key, 0) // 60, blocked
        return len(self._alive(want.key, now)), blocked

    def hold(self, work: Work, now: float) -> None:
        """Bring the counters in line with the calls that there are."""
        until = now + KEPT_SECONDS
        for key, member in work.hold:
            self._counters.setdefault(PREFIX + key, {})[member] = until
        for key, member in work.refresh:
            counter = self._counters.get(PREFIX + key, {})
            if member in counter:
                counter[member] = until
        for key, member in work.release:
            self._counters.get(PREFIX + key, {}).pop(member, None)
        for call in work.calls:
            record = self._records.get(call.call_id)
            if record is not None:
                self._settle(record, call, now)
                if call.ended:
                    del self._records[call.call_id]

    def _reached(self, call_id: str, want: Wanted, now: float) -> int | None:
        """How high the counter stands if the call is too much for it."""
        record = self._records.get(call_id)
        known = record is not None and want.key in record.notes
        if self._blocked.get(want.key, 0.0) > now:
            return want.limit.most
        if want.kind == "m":
            seconds = self._seconds.get(want.key, 0)
            over = seconds >= want.limit.most * 60 and not (known and want.note[0] == "m")
            return seconds // 60 if over else None
        if known and want.note == "n":
            return None
        counter = self._alive(want.key, now)
        new = sum(name not in counter for name in want.members())
        needed = new if want.takes else min(new, 1)
        if not needed or len(counter) + needed <= want.limit.most:
            return None
        if want.block_ms:
            self._blocked[want.key] = now + want.limit.block_seconds
        return len(counter)

    def _settle(self, record: _Record, call: CallState, now: float) -> None:
        record.until = now + KEPT_SECONDS
        for key, note in list(record.notes.items()):
            kind, rest = note[0], note[1:]
            if kind in "mi":
                seconds = call.seconds if kind == "m" else call.outside_seconds
                if seconds > int(rest):
                    self._seconds[key] = self._seconds.get(key, 0) + seconds - int(rest)
                    self._seconds_until[key] = now + MINUTES_KEPT_SECONDS
                    record.notes[key] = f"{kind}{seconds}"
            elif kind == "o":
                if call.outside and not call.ended:
                    self._counters.setdefault(key, {})[call.call_id] = now + KEPT_SECONDS
                    record.notes[key] = "o1"
                elif call.ended or rest:
                    self._counters.get(key, {}).pop(call.call_id, None)
            elif kind == "r" and call.ended:
                for name in places(call.call_id, int(rest)):
                    self._counters.get(key, {}).pop(name, None)
            elif kind == "s" and call.ended and call.outside_answered:
                most, window = map(int, rest.split())
                if call.outside_seconds * 1000 < most:
                    self._counters.setdefault(key, {})[call.call_id] = now + window / 1000

    def _alive(self, key: str, now: float) -> dict[str, float]:
        counter = self._counters.get(key)
        if counter is None:
            return {}
        for name in [name for name, until in counter.items() if until <= now]:
            del counter[name]
        return counter

    def _sweep(self, now: float) -> None:
        if now - self._swept < SWEEP_SECONDS:
            return
        self._swept = now
        for counter in [key for key in self._counters if not self._alive(key, now)]:
            del self._counters[counter]
        for call_id in [key for key, it in self._records.items() if it.until <= now]:
            del self._records[call_id]
        for key in [key for key, until in self._blocked.items() if until <= now]:
            del self._blocked[key]
        for key in [key for key, until in self._seconds_until.items() if until <= now]:
            del self._seconds[key], self._seconds_until[key]
