"""A connection to one Redis server that blocks, for the commands: hiredis over a socket."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator, Sequence
from typing import Any, Final, cast

import hiredis

from nizam.ops.backup.errors import BackupError, PeerUnreachable

ANSWER_SECONDS: Final = 10.0
_READ_BYTES: Final = 1 << 16

Word = str | bytes | int | float


class RedisConnection:
    """Commands to the server at `name`, answered in bytes. `seconds` is how long an answer may
    take; `remaining` are bytes that came and that no command has asked for."""

    def __init__(self, connection: socket.socket, name: str) -> None:
        self.name = name
        self._connection = connection
        self._reader = hiredis.Reader()

    @classmethod
    @contextlib.contextmanager
    def to(
        cls,
        host: str,
        port: int,
        *,
        username: str | None = None,
        password: str | None = None,
        database: int = 0,
        tls: ssl.SSLContext | None = None,
        seconds: float = ANSWER_SECONDS,
    ) -> Iterator[RedisConnection]:
        """Signed in, and with the database chosen. PeerUnreachable without a server, and when it
        is lost; BackupError when it refuses."""
        name = f"{host}:{port}"
        try:
            with contextlib.ExitStack() as stack:
                plain = stack.enter_context(socket.create_connection((host, port), seconds))
                connection = plain
                if tls is not None:
                    wrapped = tls.wrap_socket(plain, server_hostname=host)
                    connection = stack.enter_context(wrapped)
                it = cls(connection, name)
                if password is not None:
                    it.ask("AUTH", *((username,) if username else ()), password)
                if database:
                    it.ask("SELECT", database)
                yield it
        except OSError as error:
            raise PeerUnreachable(f"Redis at {name}: {error}") from None

    def ask(self, *words: Word) -> Any:
        """The answer to one command; BackupError with the server's words when it refuses."""
        return self.ask_all([words])[0]

    def ask_all(self, commands: Sequence[Sequence[Word]]) -> list[Any]:
        """The answers to several commands that are sent at once."""
        packed = [hiredis.pack_command(cast(Any, tuple(it))) for it in commands]
        self._connection.sendall(b"".join(packed))
        answers = [self._answer() for _ in commands]
        for words, answer in zip(commands, answers, strict=True):
            if isinstance(answer, hiredis.ReplyError):
                raise BackupError(f"Redis at {self.name} refuses {words[0]!s}: {answer}")
        return answers

    def begin(self, *words: Word) -> None:
        """Send a command whose answer is read with `receive`, byte by byte."""
        self._connection.sendall(hiredis.pack_command(cast(Any, words)))

    def receive(self, most: int, seconds: float) -> bytes:
        """Up to so many bytes, as soon as there are any; PeerUnreachable when there are none for
        so long, or at the end of the connection."""
        self._connection.settimeout(seconds)
        try:
            data = self._connection.recv(most)
        except TimeoutError:
            raise PeerUnreachable(
                f"Redis at {self.name} has sent nothing for {seconds:g} s"
            ) from None
        if not data:
            raise PeerUnreachable(f"Redis at {self.name} has closed the connection")
        return data

    def info(self) -> dict[str, str]:
        """What INFO says, by name."""
        lines = self.ask("INFO").decode(errors="replace").splitlines()
        return {name: value for name, _, value in (it.partition(":") for it in lines) if value}

    def _answer(self) -> Any:
        while (answer := self._reader.gets()) is False:
            data = self._connection.recv(_READ_BYTES)
            if not data:
                raise PeerUnreachable(f"Redis at {self.name} has closed the connection")
            self._reader.feed(data)
        return answer
