"""A connection to Redis that waits for nothing long."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import hiredis

from nizam.kv.tls import said
from nizam.ops.doctor.running import ANSWER_SECONDS, ProbeError
from nizam.settings import RedisSettings


class RefusedError(ProbeError):
    """Redis answered with an error; the text is its own."""


class RedisAsked:
    """Asks one server, one command after the other."""

    def __init__(self, connection: socket.socket, hint: str = "") -> None:
        """`hint` is what may be the reason when it ends the connection without any answer."""
        self._connection = connection
        self._hint = hint
        self._reader = hiredis.Reader(encoding="utf-8", errors="replace")

    def ask(self, *words: str) -> Any:
        """The answer to a command; RefusedError when it is an error."""
        self._send(hiredis.pack_command(cast(Any, words)))
        try:
            while (answer := self._reader.gets()) is False:
                data = self._received()
                if not data:
                    raise ProbeError(f"the connection was closed{self._hint}")
                self._reader.feed(data)
        except hiredis.HiredisError as error:
            raise ProbeError(f"it does not speak Redis's protocol: {error}") from None
        self._hint = ""
        if isinstance(answer, hiredis.ReplyError):
            raise RefusedError(f"{words[0]}: {answer}")
        return answer

    def _send(self, data: bytes) -> None:
        try:
            self._connection.sendall(data)
        except (ssl.SSLError, ConnectionError):
            # What it has said before it closed the connection has the reason.
            if self._received():
                raise
            raise ProbeError(f"the connection was closed{self._hint}") from None

    def _received(self) -> bytes:
        try:
            return self._connection.recv(65536)
        except ConnectionResetError:
            return b""

    def info(self) -> Mapping[str, str]:
        """INFO, by its fields."""
        lines = (it.partition(":") for it in str(self.ask("INFO", "everything")).splitlines())
        return {name: value for name, colon, value in lines if colon}

    def configured(self, name: str) -> str | None:
        """One of its settings; None where this user may not ask for it."""
        try:
            answer = self.ask("CONFIG", "GET", name)
        except RefusedError:
            return None
        return str(answer[1]) if len(answer) > 1 else None


Place = tuple[str, int]


@contextmanager
def redis_connected(settings: RedisSettings, place: Place) -> Iterator[RedisAsked]:
    """A connection for the time of the block, with TLS if the settings say so, not signed in."""
    with socket.create_connection(place, ANSWER_SECONDS) as connection:
        if not settings.tls:
            yield RedisAsked(connection, " (REDIS_TLS: does it want TLS?)")
            return
        where = f"{place[0]}:{place[1]}"
        try:
            with _secured(connection, settings, place[0]) as secured:
                yield RedisAsked(secured, f" (REDIS_TLS_CERT: does {where} want one of ours?)")
        except ssl.SSLError as error:
            # A certificate of ours that is missing is told of with the first answer.
            raise ProbeError(said(str(error), where)) from None


def _secured(plain: socket.socket, settings: RedisSettings, host: str) -> ssl.SSLSocket:
    try:
        return _context(settings).wrap_socket(plain, server_hostname=host)
    except TimeoutError:
        # One without TLS waits for the end of what it takes for a command.
        raise ProbeError(f"REDIS_TLS: {host} does not speak TLS, or does not answer") from None


def _context(settings: RedisSettings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.tls_ca)
    except OSError as error:
        raise ProbeError(f"REDIS_TLS_CA: {settings.tls_ca}: {error}") from None
    if settings.tls_certificate is not None:
        try:
            context.load_cert_chain(settings.tls_certificate, settings.tls_key)
        except OSError as error:
            raise ProbeError(f"REDIS_TLS_CERT: {settings.tls_certificate}: {error}") from None
    return context


@contextmanager
def redis_asked(
    settings: RedisSettings, place: Place, *, sentinel: bool = False
) -> Iterator[RedisAsked]:
    """A connection for the time of the block, signed in as to a server or to a Sentinel. ProbeError
    or OSError without one."""
    username, password = settings.username, settings.password
    if sentinel:
        username, password = settings.sentinel_username, settings.sentinel_password
    with redis_connected(settings, place) as server:
        if password is not None:
            name = [username] if username else []
            try:
                server.ask("AUTH", *name, password.reveal())
            except RefusedError as error:
                # Everybody is let in, which is found by another check.
                if "without any password configured" not in str(error):
                    raise
        yield server
