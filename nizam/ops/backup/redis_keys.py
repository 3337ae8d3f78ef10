"""What is brought back into Redis from a dump, and what is not.

PostgreSQL is the truth, and most of what Redis holds is a copy of it or of what the switch nodes
know at this moment. Copies are not brought back: they would be those of another time. Neither are
the marks that say that a queue is whole, so that every instance fills the queues from PostgreSQL
as it does after Redis has lost its data. What only Redis has is: events and records that wait to be
stored, numbers of what was used, sessions, locks.

Keys are written as commands of their type, not as Redis's own serialisation, so that they can come
from a newer server or another make, and go to any.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from nizam.ops.backup.errors import BackupError
from nizam.ops.backup.redis_connection import RedisConnection, Word
from nizam.ops.backup.writing import Progress

_BATCH: Final = 200
_PIECE: Final = 500
_COPIES: Final = (
    rb"nizam:snapshot",
    rb"nizam:secret-key\Z",
    rb"nizam:webhooks:\{q\d+\}:epoch\Z",
)
_PASSING: Final = (rb"nizam:live:", rb"nizam:channel:", rb"nizam:\{limits\}:", rb"nizam:placed:")

Target = Callable[[bytes], RedisConnection]
"""Says for a key to which server it belongs."""

COPY: Final = re.compile(b"|".join(_COPIES))
"""Keys that say what PostgreSQL says, and those that say that this is so."""
NOT_BROUGHT_BACK: Final = re.compile(b"|".join((*_COPIES, *_PASSING)))
"""Copies, and what only meant the calls and phones of that moment."""


def keys_of(connection: RedisConnection) -> Iterator[list[bytes]]:
    """All keys of the database, in batches; a key may come twice."""
    cursor = b"0"
    while True:
        cursor, found = connection.ask("SCAN", cursor, "COUNT", _BATCH)
        if found:
            yield found
        if cursor == b"0":
            return


def forget_copies(connection: RedisConnection) -> int:
    """Remove the copies of what PostgreSQL holds; how many keys these were."""
    removed = 0
    for found in keys_of(connection):
        if copies := [it for it in found if COPY.match(it)]:
            # One by one: in a cluster they are in several slots.
            removed += sum(connection.ask_all([("UNLINK", it) for it in copies]))
    return removed


def bring_back(source: RedisConnection, target: Target, progress: Progress) -> int:
    """Write what of `source` is to be brought back to where `target` says that each key belongs;
    how many keys that were."""
    done = 0
    for found in keys_of(source):
        wanted = [it for it in found if not NOT_BROUGHT_BACK.match(it)]
        kinds = source.ask_all([("TYPE", it) for it in wanted])
        ends = source.ask_all([("PEXPIRETIME", it) for it in wanted])
        for key, kind, end in zip(wanted, kinds, ends, strict=True):
            done += _write(source, target(key), key, kind, end)
        progress("Redis keys", done)
    return done


def _write(
    source: RedisConnection, target: RedisConnection, key: bytes, kind: bytes, end: int
) -> bool:
    """Whether there was something: a key may have expired since."""
    # SCAN gives a key twice at times, and what is appended would be there twice.
    target.ask("UNLINK", key)
    written = False
    for command in _commands(source, key, kind):
        target.ask(*command)
        written = True
    if written and end > 0:
        target.ask("PEXPIREAT", key, end)
    return written


def _commands(source: RedisConnection, key: bytes, kind: bytes) -> Iterator[list[Word]]:
    match kind:
        case b"none":
            return
        case b"string":
            value = source.ask("GET", key)
            if value is not None:
                yield ["SET", key, value]
        case b"list":
            start = 0
            while piece := source.ask("LRANGE", key, start, start + _PIECE - 1):
                yield ["RPUSH", key, *piece]
                start += len(piece)
        case b"hash":
            for piece in _scanned(source, "HSCAN", key):
                yield ["HSET", key, *piece]
        case b"set":
            for piece in _scanned(source, "SSCAN", key):
                yield ["SADD", key, *piece]
        case b"zset":
            for piece in _scanned(source, "ZSCAN", key):
                pairs = zip(piece[1::2], piece[::2], strict=True)
                yield ["ZADD", key, *(it for pair in pairs for it in pair)]
        case _:
            raise BackupError(
                f"the dump of Redis has a {kind.decode()} at {key!r}, which NIZAM never writes: "
                "restore it with the means of Redis, then the rest --without-redis"
            )


def _scanned(source: RedisConnection, command: str, key: bytes) -> Iterator[list[Any]]:
    cursor = b"0"
    while True:
        cursor, found = source.ask(command, key, cursor, "COUNT", _PIECE)
        if found:
            yield found
        if cursor == b"0":
            return
