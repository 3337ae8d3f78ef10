"""A connection to a switch's event socket that waits for nothing long."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

from nizam.esl import commands
from nizam.esl.errors import EslPeerError
from nizam.esl.frames import FrameDecoder
from nizam.esl.session import Ready, Refused, Replied, Session, Write
from nizam.ops.doctor.running import ANSWER_SECONDS, ProbeError


class EventSocket:
    """Asks one switch, one command after the other."""

    def __init__(self, connection: socket.socket, session: Session[str]) -> None:
        self._connection = connection
        self._session = session

    def sign_in(self) -> None:
        """Authenticate. ProbeError when the switch does not want us."""
        self._receive("the greeting")

    def api(self, line: str) -> str:
        """What an API command prints, without blanks around it."""
        self._connection.sendall(self._session.send(commands.api(line), line))
        return self._receive(line).strip()

    def _receive(self, awaited: str) -> str:
        until = time.monotonic() + ANSWER_SECONDS
        while True:
            self._connection.settimeout(max(until - time.monotonic(), 0.001))
            try:
                data = self._connection.recv(65536)
            except TimeoutError:
                raise ProbeError(f"no answer to {awaited} within {ANSWER_SECONDS:g} s") from None
            if not data:
                raise ProbeError("FreeSWITCH closed the connection")
            found = None
            try:
                for output in self._session.receive(data):
                    match output:
                        case Write(text):
                            self._connection.sendall(text)
                        case Refused(refusal, detail):
                            words = refusal.value.replace("_", " ")
                            raise ProbeError(f"{words}: {detail}")
                        case Ready():
                            found = ""
                        case Replied(_, reply):
                            found = reply.text
            except EslPeerError as error:
                raise ProbeError(f"it does not speak as an event socket does: {error}") from None
            if found is not None:
                return found


@contextmanager
def event_socket(host: str, port: int, password: str) -> Iterator[EventSocket]:
    """A connection for the time of the block, signed in. ProbeError or OSError without one."""
    with socket.create_connection((host, port), ANSWER_SECONDS) as connection:
        session: Session[str] = Session(commands.auth(password), decoder=FrameDecoder())
        switch = EventSocket(connection, session)
        switch.sign_in()
        yield switch
