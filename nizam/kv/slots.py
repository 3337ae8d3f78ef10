"""Which hash slot a key belongs to (Redis Cluster specification, "Key distribution model")."""

from __future__ import annotations

from binascii import crc_hqx
from typing import Final

from nizam.kv.interface import Value

SLOTS: Final = 16384


def slot_of(key: Value) -> int:
    """The slot: that of what stands between the first `{` and the next `}` if that is something,
    else of the whole key. The CRC16 is XMODEM's."""
    name = key if isinstance(key, bytes) else str(key).encode()
    begin = name.find(b"{")
    if begin >= 0:
        end = name.find(b"}", begin + 1)
        if end > begin + 1:
            name = name[begin + 1 : end]
    return crc_hqx(name, 0) % SLOTS
