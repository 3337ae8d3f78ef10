"""HTTP as FreeSWITCH's libcurl does it: POST, Basic credentials at once, no kept connections."""

from __future__ import annotations

from base64 import b64encode

import attrs
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.internet.defer import succeed
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IConsumer, IReactorTime
from twisted.internet.task import deferLater
from twisted.web.client import Agent, HTTPConnectionPool, ResponseFailed, readBody
from twisted.web.http_headers import Headers
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer


class NoAnswerError(Exception):
    """The server was not reached or did not answer in time."""


@attrs.frozen
class Reply:
    """What the server said."""

    status: int
    body: bytes


@implementer(IBodyProducer)
class _Body:
    """A request body that is all there."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.length = len(body)

    def startProducing(self, consumer: IConsumer) -> object:  # noqa: N802
        consumer.write(self._body)
        return succeed(None)

    def pauseProducing(self) -> None:  # noqa: N802
        """Nothing to pause: the body was written at once."""

    def resumeProducing(self) -> None:  # noqa: N802
        """Nothing to resume."""

    def stopProducing(self) -> None:  # noqa: N802
        """Nothing to stop."""


class Poster:
    """Posts with one user's credentials; each post has its own connection, closed afterwards."""

    def __init__(self, reactor: IReactorTime, username: str, password: str) -> None:
        self._reactor = reactor
        token = b64encode(f"{username}:{password}".encode())
        self._authorization = b"Basic " + token

    async def post(
        self,
        url: str,
        body: bytes,
        *,
        user_agent: str,
        content_type: str,
        timeout: float = 5.0,
        retries: int = 0,
        delay: float = 1.0,
    ) -> Reply:
        """The server's reply, after up to `retries` more tries `delay` seconds apart.

        A try fails with any status but 200, or without a reply within `timeout` seconds. All tries
        share a connection while the server keeps it. Raises NoAnswerError when the last one had
        no reply; a last reply with another status is returned.
        """
        pool = HTTPConnectionPool(self._reactor, persistent=True)  # type: ignore[no-untyped-call]
        agent = Agent(  # type: ignore[no-untyped-call]
            self._reactor, connectTimeout=timeout, pool=pool
        )
        headers = Headers(
            {
                b"Authorization": [self._authorization],
                b"User-Agent": [user_agent.encode()],
                b"Accept": [b"*/*"],
                b"Content-Type": [content_type.encode()],
            }
        )
        try:
            for attempt in range(retries + 1):
                if attempt:
                    await deferLater(self._reactor, delay)
                last = attempt == retries
                try:
                    reply = await self._try(agent, url, headers, body, timeout)
                except NoAnswerError:
                    if last:
                        raise
                    continue
                if reply.status == 200 or last:
                    return reply
            raise NoAnswerError("no attempt was made")
        finally:
            await pool.closeCachedConnections()  # type: ignore[no-untyped-call]

    async def _try(
        self, agent: Agent, url: str, headers: Headers, body: bytes, timeout: float
    ) -> Reply:
        started = self._reactor.seconds()
        request = agent.request(b"POST", url.encode(), headers, _Body(body))
        try:
            response = await request.addTimeout(timeout, self._reactor)
            left = max(0.0, timeout - (self._reactor.seconds() - started))
            content = await readBody(response).addTimeout(left, self._reactor)
        except (ConnectError, ResponseFailed, DeferredTimeoutError, OSError) as error:
            raise NoAnswerError(f"{url}: {type(error).__name__}: {error}") from error
        return Reply(response.code, content)
