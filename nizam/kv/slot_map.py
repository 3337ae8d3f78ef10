"""Which server of a cluster has which hash slots, as CLUSTER SLOTS tells it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nizam.kv.slots import SLOTS

Address = tuple[str, int]


class SlotMap:
    """The owner of each slot, None where nobody is known."""

    def __init__(self, owners: list[Address | None] | None = None) -> None:
        self._owners = owners or [None] * SLOTS

    @classmethod
    def read(cls, answer: Iterable[Any], asked: str) -> SlotMap:
        """From the answer of CLUSTER SLOTS; a node without an address is the one that was asked.

        Raises ValueError when it is none.
        """
        owners: list[Address | None] = [None] * SLOTS
        try:
            for first, last, master, *_ in answer:
                host = (master[0] or b"").decode()
                address = (host if host not in ("", "?") else asked, int(master[1]))
                owners[int(first) : int(last) + 1] = [address] * (int(last) - int(first) + 1)
        except (TypeError, AttributeError, IndexError) as error:
            raise ValueError(f"no answer to CLUSTER SLOTS: {error}") from None
        if len(owners) != SLOTS:
            raise ValueError("CLUSTER SLOTS has told of slots that there are not")
        return cls(owners)

    @property
    def whole(self) -> bool:
        """Whether every slot has an owner."""
        return None not in self._owners

    @property
    def masters(self) -> list[Address]:
        """Those that own slots, each once."""
        return [it for it in dict.fromkeys(self._owners) if it is not None]

    def owner(self, slot: int) -> Address | None:
        """Whose the slot is."""
        return self._owners[slot]

    def move(self, slot: int, address: Address) -> None:
        """Note that the slot is this one's now."""
        self._owners[slot] = address


def redirection(text: str, asked: str) -> tuple[str, Address]:
    """(`MOVED` or `ASK`, address) of such an answer; ValueError if it is another one."""
    word, _, where = text.split(" ")
    host, colon, port = where.rpartition(":")
    if word not in ("MOVED", "ASK") or not colon:
        raise ValueError(text)
    return word, (host or asked, int(port))
