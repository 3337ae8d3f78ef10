"""A webhook endpoint that costs little: answers 204, keeps how late each first request came.
What is sent to a path with ?black-hole is never answered, and with ?not-kept not kept.

    python -m benchmarks.webhooks_receiver

Prints its port. A line on stdin asks for the figures: it answers with a JSON list of seconds, one
for each distinct event at each path, from the moment in the event's data (`due`, Unix time) to its
arrival.
"""

from __future__ import annotations

import json
import time
from typing import Any

from twisted.internet import reactor, stdio
from twisted.internet.protocol import Factory, Protocol
from twisted.protocols.basic import LineReceiver

_ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"
_late: dict[tuple[str, bytes], float] = {}


class Endpoint(Protocol):
    """Enough of HTTP/1.1 for a client that sends a Content-Length."""

    def __init__(self) -> None:
        self._data = b""

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        self._data += data
        while (end := self._data.find(b"\r\n\r\n")) >= 0:
            head = self._data[:end].lower()
            start = head.index(b"content-length:") + 15
            length = int(head[start:].split(b"\r\n", 1)[0])
            if len(self._data) < end + 4 + length:
                return
            event = json.loads(self._data[end + 4 : end + 4 + length])
            self._data = self._data[end + 4 + length :]
            if b"?black-hole " in head:
                continue
            if b"?not-kept " not in head:
                _late.setdefault(
                    (event["id"], head.split(b" ", 2)[1]), time.time() - event["data"]["due"]
                )
            assert self.transport is not None
            self.transport.write(_ANSWER)


class Commands(LineReceiver):
    """Tells the figures and forgets them."""

    delimiter = b"\n"

    def lineReceived(self, line: bytes) -> None:  # noqa: N802
        self.sendLine(json.dumps(list(_late.values())).encode())  # type: ignore[no-untyped-call]
        _late.clear()

    def connectionLost(self, reason: Any = None) -> None:  # noqa: N802
        loop: Any = reactor
        if loop.running:
            loop.stop()


def main() -> None:
    """Run until stdin is closed."""
    loop: Any = reactor
    factory: Any = Factory.forProtocol(Endpoint)
    factory.noisy = False
    port = loop.listenTCP(0, factory, interface="127.0.0.1")
    print(port.getHost().port, flush=True)
    stdio.StandardIO(Commands())  # type: ignore[no-untyped-call]
    loop.run()


if __name__ == "__main__":
    main()
