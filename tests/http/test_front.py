"""What becomes of an answer that comes too late."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from nizam.errors import TimeoutExceeded
from nizam.http.front import answer_within
from nizam.http.reply import Reply
from nizam.http.stream import Stream


async def test_a_file_that_is_opened_too_late_is_closed() -> None:
    async def nothing() -> AsyncIterator[bytes]:
        yield b""

    async def work() -> Reply:
        return await opening

    clock, closed = Clock(), list[bool]()
    opening: Deferred[Reply] = Deferred()
    answering = Deferred.fromCoroutine(answer_within(clock, work(), 5.0))
    clock.advance(5.0)
    with pytest.raises(TimeoutExceeded):
        await answering
    opening.callback(Reply(Stream(nothing(), close=lambda: closed.append(True))))
    assert closed == [True]
