"""The API asked by http.client in threads, for tests that ask thousands of times: it costs a small
part of what a client on the same reactor does."""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import attrs
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from tests.http.conftest import Answer, Server, reactor

THREADS = 4


@attrs.frozen(kw_only=True)
class PlainServer(Server):
    """A Server whose requests are made in `threads`, each over a connection that it keeps."""

    threads: ThreadPool
    connections: dict[int, HTTPConnection] = attrs.field(factory=dict)

    async def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = "platform",
        raw: bytes | None = None,
        **headers: str,
    ) -> Answer:
        fields = {name.replace("_", "-").lower(): value for name, value in headers.items()}
        if key is not None:
            fields["authorization"] = f"Bearer {self.key if key == 'platform' else key}"
        data = raw if raw is not None else None if body is None else json.dumps(body).encode()
        if data is not None:
            fields.setdefault("content-type", "application/json")
        return await deferToThreadPool(reactor, self.threads, self._ask, method, path, data, fields)

    def _ask(self, method: str, path: str, data: bytes | None, fields: Mapping[str, str]) -> Answer:
        connection = self.connections.get(threading.get_ident())
        if connection is None:
            connection = HTTPConnection(urlsplit(self.base).netloc, timeout=10)
            self.connections[threading.get_ident()] = connection
        connection.request(method, path, data, dict(fields))
        answer = connection.getresponse()
        found = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, found, answer.read())


@asynccontextmanager
async def plainly(server: Server) -> AsyncIterator[PlainServer]:
    """The same server, asked in this way."""
    threads = ThreadPool(THREADS, THREADS, "http-client")
    threads.start()
    plain = PlainServer(threads=threads, **attrs.asdict(server, recurse=False))
    try:
        yield plain
    finally:
        for it in plain.connections.values():
            it.close()
        threads.stop()
