"""The client, on a thread, against the API over real PostgreSQL and Redis."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from twisted.internet.threads import deferToThread

from nizam.client import Client
from tests.http.conftest import Server, server

__all__ = ["server"]


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    """The platform's own."""
    with Client(server.base, server.key) as client:
        yield client


def threaded(test: Callable[..., None]) -> Callable[..., Awaitable[None]]:
    """A test that blocks, run beside the reactor that serves it."""

    @functools.wraps(test)
    async def run(**fixtures: Any) -> None:
        await deferToThread(test, **fixtures)

    return run
