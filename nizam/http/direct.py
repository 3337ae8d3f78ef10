"""Requests that are read and answered without twisted.web's Request: FreeSWITCH's lookups.

A lookup comes on a connection of its own, and always in the one form that libcurl gives it. Of the
time in which twisted.web reads and answers one, most goes into what a lookup never uses. What has
this form is therefore read with one regular expression; a request of any other form, however
little it differs, is left to twisted.web, so that nothing is read here that could be read in two
ways.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.web.http import RESPONSES, datetimeToString
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

DIRECT_HEAD: Final = re.compile(
    rb"POST (?P<path>/[!-\"$-~]{0,200}) HTTP/1\.1\r\n"
    rb"Host: [A-Za-z0-9.:\[\]-]{1,255}\r\n"
    rb"(?:Authorization: (?P<authorization>Basic [A-Za-z0-9+/]{1,1000}=*)\r\n)?"
    rb"(?:User-Agent: [ -~]{0,200}\r\n)?"
    rb"Accept: \*/\*\r\n"
    rb"Content-Length: (?P<length>[0-9]{1,7})\r\n"
    rb"Content-Type: application/x-www-form-urlencoded\r\n"
    rb"\r\n"
)
"""The head of a form that libcurl posts for mod_xml_curl."""


class Answer(NamedTuple):
    """What is said to a request: `fields` are whole lines of the header, each with its CRLF."""

    status: int
    content_type: bytes
    body: bytes
    fields: bytes = b""


class DirectResource(Resource, ABC):
    """A resource whose answers depend on nothing but method, credentials, address and body."""

    isLeaf = True  # noqa: N815 - Twisted's name
    _log = Logger(namespace="nizam.http")

    @abstractmethod
    def answer(
        self, method: bytes, authorization: bytes | None, address: str, body: bytes | None
    ) -> Answer | Deferred[Answer]:
        """The answer, or a Deferred of it that never fails.

        `authorization` is the field of that name, `address` the client's, `body` None if it is
        larger than the site takes.
        """

    def render(self, request: Any) -> Any:
        """Answer a request of twisted.web."""
        body = None if getattr(request, "too_large", False) else request.content.read()
        address = str(getattr(request.getClientAddress(), "host", ""))
        answer = self.answer(request.method, request.getHeader(b"authorization"), address, body)
        if not isinstance(answer, Deferred):
            return _said(request, answer)
        gone: list[object] = []
        request.notifyFinish().addErrback(gone.append)

        def write(answer: Answer) -> None:
            if not gone:
                # Otherwise it would go out in chunks.
                request.setHeader(b"content-length", b"%d" % len(answer.body))
                request.write(_said(request, answer))
                request.finish()

        answer.addCallback(write).addErrback(
            lambda failure: self._log.failure("an answer could not be written", failure)
        )
        return NOT_DONE_YET


def _said(request: Any, answer: Answer) -> bytes:
    request.setResponseCode(answer.status)
    request.setHeader(b"content-type", answer.content_type)
    for line in answer.fields.splitlines():
        name, _, value = line.partition(b": ")
        request.setHeader(name, value)
    return answer.body


class DirectWriter:
    """Writes answers as bytes; the Date is worked out once a second."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._second = -1
        self._begun: dict[tuple[int, bytes], bytes] = {}

    def written(self, answer: Answer, *, close: bool) -> bytes:
        """The whole answer; with `close` it says that the connection will be."""
        second = int(self._seconds())
        if second != self._second:
            self._second = second
            self._begun.clear()
        status, content_type, body, fields = answer
        begun = self._begun.get((status, content_type))
        if begun is None:
            begun = self._begun[status, content_type] = b"".join(
                (
                    b"HTTP/1.1 %d %b\r\n" % (status, RESPONSES[status]),
                    b"Date: %b\r\n" % datetimeToString(second),  # type: ignore[no-untyped-call]
                    b"Content-Type: %b\r\n" % content_type,
                )
            )
        closing = b"Connection: close\r\n" if close else b""
        return b"%b%b%bContent-Length: %d\r\n\r\n%b" % (begun, fields, closing, len(body), body)
