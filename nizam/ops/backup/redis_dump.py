"""A dump of a Redis server (RDB) over the network, as a replica asks for it.

After SYNC the server sends what a replica begins with: its whole state at one moment, made by a
process of its own while it goes on serving. It is `$` and the number of bytes, or `$EOF:` and 40
bytes that mark the end where the server does not know the number before; line feeds come meanwhile
so that nobody takes it for dead (Redis, src/replication.c). The connection is closed then, and the
server forgets the replica. The ACL user needs `+sync +info +dbsize`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from nizam.ops.backup.errors import BackupError, Damaged
from nizam.ops.backup.manifest import FileFacts, RedisFacts
from nizam.ops.backup.redis_connection import RedisConnection
from nizam.ops.backup.redis_servers import RedisServer
from nizam.ops.backup.writing import CHUNK, HashedFile, Progress, new_file

SILENT_SECONDS: Final = 60.0
"""How long the server may send nothing, not even that it is alive."""
_MARK_BYTES: Final = 40
_STARTS: Final = (b"REDIS", b"VALKEY")
_MOST_LINE: Final = 256


def dump(server: RedisServer, path: Path, progress: Progress) -> tuple[RedisFacts, FileFacts]:
    """Write the server's state to `path`."""
    with server.connected() as connection:
        version = connection.info().get("redis_version", "unknown")
        keys = int(connection.ask("DBSIZE"))
        connection.begin("SYNC")
        with new_file(path) as file:
            _receive(connection, file, lambda: progress("Redis", file.bytes))
            facts = file.facts
    check_start(path)
    return (
        RedisFacts(
            file=path.name,
            server=server.name,
            version=version,
            database=server.database,
            keys=keys,
        ),
        facts,
    )


def check_start(path: Path) -> None:
    """Damaged when the file does not begin as a dump does."""
    with path.open("rb") as file:
        if not file.read(6).startswith(_STARTS):
            raise Damaged(f"{path} is no dump of Redis")


def _receive(connection: RedisConnection, file: HashedFile, tick: Callable[[], None]) -> None:
    line, data = _first_line(connection)
    if not line.startswith(b"$"):
        raise BackupError(
            f"Redis at {connection.name} refuses to send a dump (SYNC): "
            f"{line[1:].decode(errors='replace')}; allow it (ACL: +sync), or go on --without-redis"
        )
    if not line.startswith(b"$EOF:"):
        left = int(line[1:])
        while left:
            data = data or connection.receive(min(CHUNK, left), SILENT_SECONDS)
            file.write(data[:left])
            left -= len(data[:left])
            data = b""
            tick()
        return
    mark = line[5:]
    while (end := data.find(mark)) < 0:
        # The mark may come in two pieces.
        keep = len(data) - _MARK_BYTES
        if keep > 0:
            file.write(data[:keep])
            data = data[keep:]
            tick()
        data += connection.receive(CHUNK, SILENT_SECONDS)
    file.write(data[:end])


def _first_line(connection: RedisConnection) -> tuple[bytes, bytes]:
    """The line that says how the dump comes, and what came behind it."""
    data = b""
    while b"\n" not in data.lstrip(b"\n"):
        data = data.lstrip(b"\n") + connection.receive(CHUNK, SILENT_SECONDS)
        if len(data) > _MOST_LINE and b"\n" not in data.lstrip(b"\n"):
            raise BackupError(f"Redis at {connection.name} does not answer to SYNC as Redis does")
    line, _, rest = data.lstrip(b"\n").partition(b"\n")
    return line.rstrip(b"\r"), rest
