"""Who is to be told that another server has taken over: it may lack what was written last."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

from nizam.kv.interface import Value
from nizam.kv.slots import slot_of

Told = Callable[[], None]


class Takeovers:
    """Listeners, by the hash slot of the key that they care for."""

    def __init__(self) -> None:
        self._listeners: dict[int, list[Told]] = {}

    def on(self, key: Value, listener: Told) -> Told:
        """Add one; what is returned removes it."""
        listeners = self._listeners.setdefault(slot_of(key), [])
        listeners.append(listener)

        def end() -> None:
            with suppress(ValueError):
                listeners.remove(listener)

        return end

    @property
    def slots(self) -> Iterator[int]:
        """The slots that somebody cares for."""
        return iter(list(self._listeners))

    def all(self) -> None:
        """Everything is on another server."""
        self.of(self.slots)

    def of(self, slots: Iterable[int]) -> None:
        """These slots are on another server."""
        for slot in slots:
            for listener in list(self._listeners.get(slot, ())):
                listener()
