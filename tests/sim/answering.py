"""A web server that answers xml_curl with verified documents, and keeps what it was asked."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

import attrs
from twisted.internet.interfaces import IReactorTCP
from twisted.web.http import Request
from twisted.web.resource import Resource
from twisted.web.server import Site

from tests.recordings import open_capture

NOT_FOUND = (
    b'<document type="freeswitch/xml"><section name="result">'
    b'<result status="not found"/></section></document>'
)
USERNAME, PASSWORD = "fs1", "s3cret"
AUTHORIZATION = b"Basic " + b64encode(f"{USERNAME}:{PASSWORD}".encode())

DIALPLAN = {
    "1001": "02-dialplan/ext-1001",
    "1002": "02-dialplan/ext-1002",
    "1003": "02-dialplan/ext-1003",
    "2000": "03-ringgroup/rg-simultaneous",
    "2001": "03-ringgroup/rg-sequential",
    "3000": "04-ivr/dialplan-ivr",
    "9196": "06-conference-park/echo",
    "12025550101": "02-dialplan/did-transfer",
    "12025550102": "02-dialplan/did-direct",
    "13105550777": "07-outbound/outbound-gateway",
    "4486": "08-refusals/respond-486",
    "4404": "08-refusals/hangup-unallocated-number",
    "6000": "09-recording/record-on-answer",
}


def document(name: str) -> bytes:
    """A verified document, such as `02-dialplan/ext-1001`."""
    return open_capture(f"freeswitch-xml/{name}.xml")


def verified_answer(form: dict[str, str]) -> bytes:
    """What the verified documents say to a question."""
    section = form["section"]
    if section == "directory" and form.get("purpose") != "gateways":
        tenant = form.get("domain", "").partition(".")[0]
        try:
            return document(f"01-directory/user-{tenant}-{form.get('user')}")
        except FileNotFoundError:
            return NOT_FOUND
    if section == "dialplan":
        found = DIALPLAN.get(form["Hunt-Destination-Number"])
        return document(found) if found else NOT_FOUND
    if form["key_value"] == "ivr.conf":
        return document("04-ivr/ivr-main.conf")
    if form["key_value"] == "sofia.conf":
        return document("07-outbound/sofia.conf")
    return NOT_FOUND


@attrs.define
class Asked:
    """One request: when it came is its place in the list."""

    path: str
    form: dict[str, str]
    head: dict[str, str]
    body: bytes


class AnsweringServer:
    """Listens on a free port; `answer` makes XML of a form, `cdr_status` answers CDRs."""

    def __init__(
        self, reactor: IReactorTCP, answer: Callable[[dict[str, str]], bytes] = verified_answer
    ) -> None:
        self.answer = answer
        self.cdr_status = 200
        self.requests: list[Asked] = []
        site: Any = Site(_Answers(self))  # type: ignore[no-untyped-call]
        site.noisy = False
        self._port: Any = reactor.listenTCP(0, site, interface="127.0.0.1")
        address: Any = self._port.getHost()
        self.url = f"http://127.0.0.1:{address.port}"

    def forms(self, **wanted: str) -> list[dict[str, str]]:
        """The xml_curl questions whose fields have these values."""
        return [
            asked.form
            for asked in self.requests
            if asked.form and all(asked.form.get(name) == value for name, value in wanted.items())
        ]

    def cdrs(self) -> list[Asked]:
        """The CDR posts."""
        return [asked for asked in self.requests if asked.path.startswith("/cdr")]

    async def stop(self) -> None:
        await self._port.stopListening()


class _Answers(Resource):
    isLeaf = True  # noqa: N815 - twisted.web's name

    def __init__(self, server: AnsweringServer) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._server = server

    def render_POST(self, request: Request) -> bytes:  # noqa: N802
        body = request.content.read() if request.content else b""
        head = {
            name.decode().lower(): values[0].decode()
            for name, values in request.requestHeaders.getAllRawHeaders()
        }
        is_cdr = request.uri.startswith(b"/cdr")
        form = {} if is_cdr else dict(parse_qsl(body.decode(), keep_blank_values=True))
        self._server.requests.append(Asked(request.uri.decode(), form, head, body))
        if request.getHeader("authorization") != AUTHORIZATION.decode():
            request.setResponseCode(401)
            return b""
        if is_cdr:
            request.setResponseCode(self._server.cdr_status)
            return b""
        request.responseHeaders.setRawHeaders("content-type", ["text/xml"])
        return self._server.answer(form)
