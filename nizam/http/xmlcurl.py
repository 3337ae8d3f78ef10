"""`POST /freeswitch/xml`: what mod_xml_curl asks while a call is being set up.

Answered from memory within the same turn of the reactor, but for calls that are counted, make a
change or wait for another server. FreeSWITCH looks up REGISTERs one after another, so the time
taken here is the platform's registration rate.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from nizam.fsxml.configuration import Configuration
from nizam.fsxml.directory import Directory
from nizam.fsxml.request import XmlRequest, call_request
from nizam.fsxml.reveal import Reveal
from nizam.fsxml.writer import NOT_FOUND
from nizam.http.deciding import CallDecider
from nizam.http.node_credentials import NodeCredentials
from nizam.metrics import XML_REQUEST_SECONDS
from nizam.routing.decide import Decision
from nizam.routing.request import CallRequest
from nizam.routing.snapshot import Snapshot
from nizam.settings.values import SipSettings

BODY_LIMIT = 128 * 1024
"""Most bytes of a question; the largest seen has 9.8 KB."""

_CHALLENGE = b'Basic realm="FreeSWITCH", charset="UTF-8"'
_SECTIONS = frozenset({"directory", "dialplan", "configuration", "languages", "phrases"})


class XmlCurlResource(Resource):
    """Answers with a document and 200, "not found" included.

    401 without a node's credentials, 405 for anything but POST, 413 for a body over 128 KiB, 503
    only while there is no routing data to answer from, or after a fault of ours: FreeSWITCH then
    asks its next binding. `log_lookups` writes a line at debug level for each.
    """

    isLeaf = True  # noqa: N815 - Twisted's name

    def __init__(
        self,
        snapshot: Snapshot,
        credentials: NodeCredentials,
        decider: CallDecider,
        reveal: Reveal,
        sip: SipSettings,
        ready: Callable[[], bool],
        *,
        log_lookups: bool = False,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._credentials = credentials
        self._decider = decider
        self._ready = ready
        self._directory = Directory(snapshot, reveal)
        self._configuration = Configuration(snapshot, sip, reveal)
        self._timers: dict[tuple[str, str], Any] = {}
        # Even a line that no observer wants costs a tenth of a lookup.
        self._log_lookups = log_lookups
        self._log = Logger(namespace="nizam.xml")

    def render(self, request: Any) -> bytes | int:
        """Answer one question."""
        started = perf_counter()
        if request.method != b"POST":
            request.setHeader(b"allow", b"POST")
            return self._refuse(request, 405, "method", started)
        node = self._credentials.node(request)
        if node is None:
            request.setHeader(b"www-authenticate", _CHALLENGE)
            return self._refuse(request, 401, "unauthenticated", started)
        body = b"" if getattr(request, "too_large", False) else request.content.read()
        if len(body) > BODY_LIMIT or getattr(request, "too_large", False):
            return self._refuse(request, 413, "too_large", started)
        if not self._ready():
            return self._refuse(request, 503, "not_ready", started)
        question = XmlRequest(body)
        section = question.section
        try:
            if section == "dialplan":
                call = call_request(question, node)
                served = self._decider.begin(call) if call.context else None
                if isinstance(served, Decision):
                    self._later(request, call, served, started)
                    return NOT_DONE_YET
                answer = NOT_FOUND if served is None else served.xml
            else:
                answer = self._answer(section, question)
        except Exception:
            return self._fault(request, section, started)
        return self._reply(request, node, section, answer, started)

    def _answer(self, section: str, question: XmlRequest) -> bytes:
        if section == "directory":
            return self._directory.answer(question)
        if section == "configuration":
            return self._configuration.answer(question)
        # Phrases too: an answer without every macro would hide the files on the switch's disk.
        return NOT_FOUND

    def _later(self, request: Any, call: CallRequest, decision: Decision, started: float) -> None:
        """Answer once what the decision needs was seen to; a call that is counted or changes
        something goes on doing so when FreeSWITCH does not wait."""
        gone: list[object] = []
        request.notifyFinish().addErrback(gone.append)

        async def answer() -> None:
            try:
                served = await self._decider.finish(call, decision)
                body = self._reply(request, call.node, "dialplan", served.xml, started)
            except Exception:
                body = self._fault(request, "dialplan", started)
            if not gone:
                # Otherwise it would go out in chunks.
                request.setHeader(b"content-length", b"%d" % len(body))
                request.write(body)
                request.finish()

        Deferred.fromCoroutine(answer()).addErrback(
            lambda failure: self._log.failure("an answer could not be written", failure)
        )

    def _reply(self, request: Any, node: str, section: str, answer: bytes, started: float) -> bytes:
        request.setHeader(b"content-type", b"text/xml; charset=utf-8")
        outcome = "not_found" if answer is NOT_FOUND else "found"
        self._measure(section, outcome, started)
        if self._log_lookups:
            self._log.debug(
                "{node} asked for {section}: {outcome}", node=node, section=section, outcome=outcome
            )
        return answer

    def _fault(self, request: Any, section: str, started: float) -> bytes:
        # The second binding may be an instance that can.
        self._log.failure("a {section} question could not be answered", section=section)
        return self._refuse(request, 503, "error", started, section)

    def _refuse(
        self, request: Any, status: int, outcome: str, started: float, section: str = ""
    ) -> bytes:
        request.setResponseCode(status)
        request.setHeader(b"content-type", b"text/plain; charset=utf-8")
        self._measure(section, outcome, started)
        return f"{outcome}\n".encode()

    def _measure(self, section: str, outcome: str, started: float) -> None:
        section = section if section in _SECTIONS else "other"
        timer = self._timers.get((section, outcome))
        if timer is None:
            timer = XML_REQUEST_SECONDS.labels(section, outcome)
            self._timers[section, outcome] = timer
        timer.observe(perf_counter() - started)
