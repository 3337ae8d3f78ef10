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

from nizam.fsxml.configuration import Configuration
from nizam.fsxml.directory import Directory
from nizam.fsxml.request import XmlRequest, call_request
from nizam.fsxml.reveal import Reveal
from nizam.fsxml.writer import NOT_FOUND
from nizam.http.deciding import CallDecider
from nizam.http.direct import Answer, DirectResource
from nizam.http.node_credentials import NodeCredentials
from nizam.metrics import XML_REQUEST_SECONDS
from nizam.routing.decision import Decision
from nizam.routing.request import CallRequest
from nizam.routing.snapshot import Snapshot
from nizam.settings.values import SipSettings

BODY_LIMIT = 128 * 1024
"""Most bytes of a question; the largest seen has 9.8 KB."""

_CHALLENGE = b'WWW-Authenticate: Basic realm="FreeSWITCH", charset="UTF-8"\r\n'
_XML = b"text/xml; charset=utf-8"
_SECTIONS = frozenset({"directory", "dialplan", "configuration", "languages", "phrases"})


class XmlCurlResource(DirectResource):
    """Answers with a document and 200, "not found" included.

    401 without a node's credentials, 405 for anything but POST, 413 for a body over 128 KiB, 503
    only while there is no routing data to answer from, or after a fault of ours: FreeSWITCH then
    asks its next binding. `log_lookups` writes a line at debug level for each.
    """

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
        self._configuration = Configuration(snapshot, sip, reveal, decider.now)
        self._timers: dict[tuple[str, str], Any] = {}
        # Even a line that no observer wants costs a tenth of a lookup.
        self._log_lookups = log_lookups
        self._log = Logger(namespace="nizam.xml")

    def answer(
        self, method: bytes, authorization: bytes | None, address: str, body: bytes | None
    ) -> Answer | Deferred[Answer]:
        """Answer one question."""
        started = perf_counter()
        if method != b"POST":
            return self._refuse(405, "method", started, b"Allow: POST\r\n")
        node = self._credentials.node(authorization, address)
        if node is None:
            return self._refuse(401, "unauthenticated", started, _CHALLENGE)
        if body is None or len(body) > BODY_LIMIT:
            return self._refuse(413, "too_large", started)
        if not self._ready():
            return self._refuse(503, "not_ready", started)
        question = XmlRequest(body)
        section = question.section
        try:
            if section == "dialplan":
                call = call_request(question, node)
                served = self._decider.begin(call) if call.context else None
                if isinstance(served, Decision):
                    return Deferred.fromCoroutine(self._finish(call, served, started))
                document = NOT_FOUND if served is None else served.xml
            else:
                document = self._document(section, question)
        except Exception:
            return self._fault(section, started)
        return self._found(node, section, document, started)

    def _document(self, section: str, question: XmlRequest) -> bytes:
        if section == "directory":
            return self._directory.answer(question)
        if section == "configuration":
            return self._configuration.answer(question)
        # Phrases too: an answer without every macro would hide the files on the switch's disk.
        return NOT_FOUND

    async def _finish(self, call: CallRequest, decision: Decision, started: float) -> Answer:
        """The answer once what the decision needs was seen to; a call that is counted or changes
        something goes on doing so when FreeSWITCH does not wait."""
        try:
            served = await self._decider.finish(call, decision)
        except Exception:
            return self._fault("dialplan", started)
        return self._found(call.node, "dialplan", served.xml, started)

    def _found(self, node: str, section: str, document: bytes, started: float) -> Answer:
        outcome = "not_found" if document is NOT_FOUND else "found"
        self._measure(section, outcome, started)
        if self._log_lookups:
            self._log.debug(
                "{node} asked for {section}: {outcome}", node=node, section=section, outcome=outcome
            )
        return Answer(200, _XML, document)

    def _fault(self, section: str, started: float) -> Answer:
        # The second binding may be an instance that can.
        self._log.failure("a {section} question could not be answered", section=section)
        return self._refuse(503, "error", started, section=section)

    def _refuse(
        self, status: int, outcome: str, started: float, fields: bytes = b"", section: str = ""
    ) -> Answer:
        self._measure(section, outcome, started)
        return Answer(status, b"text/plain; charset=utf-8", f"{outcome}\n".encode(), fields)

    def _measure(self, section: str, outcome: str, started: float) -> None:
        section = section if section in _SECTIONS else "other"
        timer = self._timers.get((section, outcome))
        if timer is None:
            timer = XML_REQUEST_SECONDS.labels(section, outcome)
            self._timers[section, outcome] = timer
        timer.observe(perf_counter() - started)
