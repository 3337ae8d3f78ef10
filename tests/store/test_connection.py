"""A connection that ends leaves nothing behind, in the reactor or of the process's descriptors."""

from __future__ import annotations

import os
import socket
from random import Random
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
from twisted.internet import reactor as the_reactor

from nizam.errors import DatabaseUnavailable
from nizam.store.connection import Connection
from tests.chaos.proxy import FaultyProxy
from tests.daemon.process import until

reactor: Any = the_reactor


@pytest.mark.parametrize("size", [1, 10_000_000], ids=["a small statement", "a large one"])
async def test_what_is_sent_on_a_connection_that_has_ended_breaks_no_other_one(
    database: str, size: int
) -> None:
    server = urlsplit(database)
    proxy = FaultyProxy(reactor, [(server.hostname or "", server.port or 0)], Random(1))
    proxy.start()
    before = os.listdir("/proc/self/fd")
    address = f"{server.username}:{server.password}@127.0.0.1:{proxy.port}"
    connection = Connection(reactor)
    await connection.connect(urlunsplit(server._replace(netloc=address)), 5.0)
    for pair in proxy.pairs:
        # As a server that is killed: the reactor has not heard of it when the statement is sent.
        transport: Any = pair.near.transport
        transport.getHandle().shutdown(socket.SHUT_RDWR)
    with pytest.raises(DatabaseUnavailable, match="ended"):
        await connection.run("select length(%s)", ("x" * size,))
    assert not connection.live
    assert await until(reactor, lambda: os.listdir("/proc/self/fd") == before, 5.0)
    # It is given the descriptor that the first one had.
    another = Connection(reactor)
    await another.connect(database, 5.0)
    assert (await another.run("select 1")).rows == [(1,)]
    another.close()
    await proxy.stop()
