"""`POST /freeswitch/cdr`: call detail records from mod_json_cdr.

FreeSWITCH repeats a record that was not answered with 200 and then keeps it in a file, so 200 is
said only once the record is durable.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from nizam.errors import DatabaseUnavailable, MalformedJson, ValidationFailed
from nizam.fsxml.cdr import read_cdr, record_uuid
from nizam.http.node_credentials import NodeCredentials
from nizam.metrics import CDR_POSTS_TOTAL

Accept = Callable[[str, str, dict[str, Any]], Awaitable[None]]
"""(node, uuid of the leg, record) -> done once the record is stored or safely queued. The same
record may come more than once."""

ACCEPT_SECONDS = 4.0
"""Less than the 5 s after which the shipped json_cdr.conf gives up."""

BODY_LIMIT = 4 * 1024 * 1024


class CdrResource(Resource):
    """200 once the record is durable; 401, 405, 413; 400 for what is no record; 503 otherwise."""

    isLeaf = True  # noqa: N815 - Twisted's name

    def __init__(self, credentials: NodeCredentials, accept: Accept, clock: IReactorTime) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._credentials = credentials
        self._accept = accept
        self._clock = clock
        self._log = Logger(namespace="nizam.cdr")

    def render(self, request: Any) -> Any:
        """Take one record."""
        request.setHeader(b"content-type", b"text/plain; charset=utf-8")
        if request.method != b"POST":
            request.setHeader(b"allow", b"POST")
            return _reply(request, 405, "only POST")
        address = str(getattr(request.getClientAddress(), "host", ""))
        node = self._credentials.node(request.getHeader(b"authorization"), address)
        if node is None:
            request.setHeader(b"www-authenticate", b'Basic realm="FreeSWITCH", charset="UTF-8"')
            return _reply(request, 401, "credentials needed")
        if getattr(request, "too_large", False):
            return _reply(request, 413, "too large")
        body = request.content.read()
        if len(body) > BODY_LIMIT:
            return _reply(request, 413, "too large")
        try:
            record = read_cdr(body)
        except MalformedJson as error:
            return _reply(request, 400, error.detail)
        uuid = record_uuid(record, request.args.get(b"uuid", [b""])[0].decode("ascii", "replace"))
        if uuid is None:
            return _reply(request, 400, "no uuid, neither in the URL nor in the record")
        gone: list[Failure] = []
        request.notifyFinish().addErrback(gone.append)

        def finish(reply: tuple[int, str]) -> None:
            if not gone:
                request.write(_reply(request, *reply))
                request.finish()

        taken: Deferred[tuple[int, str]] = Deferred.fromCoroutine(self._take(node, uuid, record))
        taken.addTimeout(ACCEPT_SECONDS, self._clock)
        taken.addErrback(self._failed)
        taken.addCallback(finish)
        return NOT_DONE_YET

    async def _take(self, node: str, uuid: str, record: dict[str, Any]) -> tuple[int, str]:
        await self._accept(node, uuid, record)
        return 200, "accepted"

    def _failed(self, failure: Failure) -> tuple[int, str]:
        if isinstance(failure.value, MalformedJson | ValidationFailed):
            # 503 would make FreeSWITCH send the same again, and keep it for ever.
            self._log.error("no CDR: {reason}", reason=failure.value.detail)
            return 400, failure.value.detail
        if isinstance(failure.value, DatabaseUnavailable | DeferredTimeoutError):
            self._log.warn("a CDR is not stored yet: {reason}", reason=str(failure.value))
        else:
            self._log.failure("a CDR was not accepted", failure)
        return 503, "not stored; send it again"


def _reply(request: Any, status: int, text: str) -> bytes:
    CDR_POSTS_TOTAL.labels(str(status)).inc()
    request.setResponseCode(status)
    return f"{text}\n".encode()
