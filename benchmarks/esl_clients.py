"""One event-socket client as a process of its own: it counts the events that reach a handler.

Run by `esl_decode.py`. Peers run in an environment of their own, so nothing of NIZAM or of this
package is imported for them. Every handler does the same: it reads the name and the sequence
number of each event.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any


class Counter:
    """Counts events up to the one whose sequence number is `last`, and takes its time."""

    def __init__(self, last: int) -> None:
        self.last = last
        self.count = 0
        self.ended = 0.0
        self.cpu_began = self.cpu_ended = 0.0

    def start(self) -> None:
        """Count CPU time from here; called when everything is imported."""
        self.cpu_began = time.process_time()

    def take(self, name: str | None, sequence: str | None) -> bool:
        """Count one event; True for the last one."""
        if not name or not sequence:
            raise ValueError("an event without name or sequence")
        self.count += 1
        if int(sequence) != self.last:
            return False
        self.ended = time.clock_gettime(time.CLOCK_MONOTONIC)
        self.cpu_ended = time.process_time()
        return True

    def result(self) -> dict[str, Any]:
        """What is reported; the CPU time is that since the client began to connect."""
        return {
            "count": self.count,
            "ended": self.ended,
            "cpu_seconds": self.cpu_ended - self.cpu_began,
        }


def nizam(port: int, counter: Counter, *, every_header: bool = False) -> None:
    from twisted.internet import reactor
    from twisted.internet.endpoints import TCP4ClientEndpoint

    from nizam.esl.link import EslLink
    from nizam.esl.session import SwitchEvent
    from nizam.esl.subscription import Subscription

    def on_event(event: SwitchEvent, received_at: float) -> None:
        if every_header:
            dict(event.headers)
        if counter.take(event.name, event.get("Event-Sequence")):
            reactor.stop()

    endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port)
    link = EslLink(
        reactor, endpoint, "ClueCon", subscription=Subscription(("ALL",)), on_event=on_event
    )
    counter.start()
    link.startService()
    reactor.run()


def nizam_every_header(port: int, counter: Counter) -> None:
    nizam(port, counter, every_header=True)


def greenswitch(port: int, counter: Counter) -> None:
    import gevent.event  # type: ignore[import-untyped]
    from greenswitch import InboundESL

    done = gevent.event.Event()

    def on_event(event: Any) -> None:
        if counter.take(event.headers["Event-Name"], event.headers["Event-Sequence"]):
            done.set()

    client = InboundESL("127.0.0.1", port, "ClueCon")
    counter.start()
    client.connect()
    client.register_handle("*", on_event)
    client.send("event plain ALL")
    done.wait()


def genesis(port: int, counter: Counter) -> None:
    import asyncio
    import os

    os.environ["GENESIS_LOG_LEVEL"] = "ERROR"
    from genesis import Inbound

    async def run() -> None:
        done = asyncio.Event()

        def last(value: Any) -> Any:
            # genesis makes a list of a repeated header.
            return value[-1] if isinstance(value, list) else value

        async def on_event(event: Any) -> None:
            if counter.take(last(event["Event-Name"]), last(event["Event-Sequence"])):
                done.set()

        async with Inbound("127.0.0.1", port, "ClueCon") as client:
            client.on("*", on_event)
            await client.send("event plain ALL")
            await done.wait()

    counter.start()
    asyncio.run(run())


CLIENTS = {
    "nizam": nizam,
    "nizam_every_header": nizam_every_header,
    "greenswitch": greenswitch,
    "genesis": genesis,
}

if __name__ == "__main__":
    name, port, last = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    counter = Counter(last)
    CLIENTS[name](port, counter)
    print(json.dumps(counter.result()))
