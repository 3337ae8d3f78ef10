"""Which Redis servers hold NIZAM's keys, from the settings."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import attrs

from nizam.ops.backup.redis_connection import RedisConnection
from nizam.settings import RedisSettings


@attrs.frozen
class RedisServer:
    """One server, how one signs in there, and the number of the database."""

    host: str
    port: int
    username: str | None = None
    password: str | None = attrs.field(default=None, repr=False)
    database: int = 0

    @property
    def name(self) -> str:
        """`host:port`."""
        return f"{self.host}:{self.port}"

    @contextlib.contextmanager
    def connected(self) -> Iterator[RedisConnection]:
        """A connection to it."""
        with RedisConnection.to(
            self.host,
            self.port,
            username=self.username,
            password=self.password,
            database=self.database,
        ) as connection:
            yield connection


def servers_of(settings: RedisSettings) -> list[RedisServer]:
    """The servers, of which each holds keys that no other has."""
    password = None if settings.password is None else settings.password.reveal()
    return [
        RedisServer(settings.host, settings.port, settings.username, password, settings.database)
    ]
