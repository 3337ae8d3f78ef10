"""The other end of `intake.py`: an event socket that sends calls made from recorded events.

Reads from stdin, one command a line: `send COUNT RATE` sends COUNT events, RATE a second (0: as
fast as the socket takes them), to the connection that subscribed, and prints `sent COUNT` when
they are written. Every call is one recorded call of two legs with uuids, times and sequence
numbers of its own; events are stamped with the time they were due at.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from uuid import uuid4

sys.path.insert(0, str(Path(__file__).parent.parent))

from nizam.esl.event import SwitchEvent
from nizam.esl.subscription import CALL_EVENTS
from tests.events.replaying import recorded

STREAM = "calls/esl/events-json-all"
A_LEG, B_LEG = "f1ce7d5b-bfdb-4635-8f61-2ebffbfe2240", "2af9ac13-307c-466d-9da9-bfd0b9f92d49"
TENANT = "0198aaaa-0000-7000-8000-000000000001"
_TIMES = (
    "Event-Date-Timestamp",
    "Caller-Channel-Created-Time",
    "Caller-Channel-Answered-Time",
    "Caller-Channel-Hangup-Time",
    "Caller-Channel-Bridged-Time",
)


def templates() -> list[bytes]:
    """The frames of the recorded call, with marks where each call differs."""
    import orjson

    frames = []
    for event in recorded(STREAM):
        if event.get("Unique-ID") in (A_LEG, B_LEG) and event.name in CALL_EVENTS.events:
            frames.append(orjson.dumps(_marked(event)))
    return frames


def _marked(event: SwitchEvent) -> dict[str, object]:
    headers: dict[str, object] = dict(event.headers)
    for name in _TIMES:
        if headers.get(name, "0") != "0":
            headers[name] = "@@@@@@TIME@@@@@@"
    headers["Event-Sequence"] = "@@SEQUENCE"
    headers["variable_nizam_tenant_id"] = TENANT
    return headers


class Source:
    """The one connection that listens, and what is sent to it."""

    def __init__(self) -> None:
        self.templates = templates()
        self.listener: asyncio.StreamWriter | None = None
        self.sequence = 1000

    async def client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection: accept any password and any subscription."""
        writer.write(b"Content-Type: auth/request\n\n")
        while command := await self.command(reader):
            text = b"+OK accepted" if command.startswith(b"auth") else b"+OK event listener enabled"
            writer.write(b"Content-Type: command/reply\nReply-Text: " + text + b"\n\n")
            if command.startswith(b"event"):
                self.listener = writer

    @staticmethod
    async def command(reader: asyncio.StreamReader) -> bytes:
        """The next command; empty at the end."""
        try:
            return (await reader.readuntil(b"\n\n")).strip()
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""

    def frames(self, due: float) -> list[bytes]:
        """The frames of one call whose events are due now."""
        first, second = str(uuid4()).encode(), str(uuid4()).encode()
        found = []
        for template in self.templates:
            self.sequence += 1
            body = template.replace(A_LEG.encode(), first).replace(B_LEG.encode(), second)
            body = body.replace(b"@@SEQUENCE", b"%010d" % self.sequence)
            body = body.replace(b"@@@@@@TIME@@@@@@", b"%016d" % int(due * 1e6))
            head = b"Content-Length: %d\nContent-Type: text/event-json\n\n" % len(body)
            found.append(head + body)
        return found

    async def send(self, count: int, rate: float) -> int:
        """Send about `count` events; how many it were."""
        assert self.listener is not None
        sent, begin = 0, time.time()
        prepared = [] if rate else [self.frames(begin) for _ in range(count // len(self.templates))]
        for call in prepared:
            self.listener.writelines(call)
            sent += len(call)
        while rate and sent < count:
            due = begin + sent / rate
            if due > time.time():
                await asyncio.sleep(due - time.time())
            self.listener.writelines(self.frames(due))
            sent += len(self.templates)
        await self.listener.drain()
        return sent


async def main() -> None:
    """Print the port, then do as stdin says."""
    source = Source()
    server = await asyncio.start_server(source.client, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], len(source.templates), flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        _, count, rate = line.split()
        print("sent", await source.send(int(count), float(rate)), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
