"""How fast the event socket is decoded over TCP, against greenswitch and genesis.

    python -m benchmarks.esl_decode [--peers-python .venv-peers-esl/bin/python]

The recorded connections of `tests/captures/calls` saw the same events at the same time, one in
each format. NIZAM reads the `event json` bytes. The peers cannot read JSON events (greenswitch
fails on them, genesis hands out the bytes), so they read the same events from the `event plain`
bytes, which are slightly fewer. Each client is a process of its own and uses its own way to
connect, subscribe and call a handler; the time runs from the first byte sent to the last event in
the handler. Clients take turns, so that a noisy moment meets all of them.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import attrs

from benchmarks.report import REPOSITORY, Report, Row, median
from tests import recordings

_EVENT_FRAME = re.compile(rb"Content-Length: (\d+)\nContent-Type: text/event-(?:json|plain)\n\n")
_SEQUENCE = {
    "json": re.compile(rb'"Event-Sequence":"(\d+)"'),
    "plain": re.compile(rb"^Event-Sequence: (\d+)$", re.MULTILINE),
}


# Real SIP calls, and loopback calls under load with smaller events.
RECORDINGS = {
    "calls": "calls/esl/events-{}-all",
    "load": "load/events-{}-all-48MB",
}


@attrs.frozen
class Contender:
    """One client on one format of the events."""

    name: str
    client: str
    event_format: str
    python: str


def recorded_events(recording: str, event_format: str) -> dict[int, bytes]:
    """The event frames of one recorded connection, by their sequence number."""
    data = recordings.stream(RECORDINGS[recording].format(event_format))
    frames: dict[int, bytes] = {}
    start = 0
    while (match := _EVENT_FRAME.search(data, start)) is not None:
        start = match.end() + int(match[1])
        sequences = _SEQUENCE[event_format].findall(data, match.end(), start)
        # One recorded kind of event repeats its headers; clients disagree on which ones count.
        if len(sequences) == 1:
            frames[int(sequences[0])] = data[match.start() : start]
    return frames


def same_events(recording: str, repeat: int) -> tuple[dict[str, bytes], int, int]:
    """The events that both formats recorded, `repeat` times over, as the bytes of each format;
    how many these are, and the sequence number of the last one, which comes only once."""
    frames = {form: recorded_events(recording, form) for form in ("json", "plain")}
    *common, last = sorted(frames["json"].keys() & frames["plain"].keys())
    streams = {
        form: b"".join(by_sequence[number] for number in common) * repeat + by_sequence[last]
        for form, by_sequence in frames.items()
    }
    return streams, len(common) * repeat + 1, last


def serve(listener: socket.socket, events: bytes, began: list[float]) -> None:
    """Be FreeSWITCH for one client: accept everything, then send the events.

    `began` gets the moment before the first byte, on the clock that all processes share.
    """
    connection, _ = listener.accept()
    with connection:
        connection.sendall(b"Content-Type: auth/request\n\n")
        received = b""
        while b"event " not in received:
            data = connection.recv(4096)
            if not data:
                return
            received += data
            connection.sendall(b"Content-Type: command/reply\nReply-Text: +OK accepted\n\n")
        began.append(time.clock_gettime(time.CLOCK_MONOTONIC))
        connection.sendall(events)
        while connection.recv(4096):
            pass


def run(contender: Contender, events: bytes, last: int) -> dict[str, Any]:
    """Let one client take all events once."""
    began: list[float] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve, args=(listener, events, began), daemon=True)
        server.start()
        client = subprocess.run(
            [
                contender.python,
                str(Path(__file__).with_name("esl_clients.py")),
                contender.client,
                str(listener.getsockname()[1]),
                str(last),
            ],
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            stdout=subprocess.PIPE,
            text=True,
            timeout=300,
            check=True,
        )
    result: dict[str, Any] = json.loads(client.stdout.splitlines()[-1])
    return result | {"seconds": result["ended"] - began[0]}


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description="ESL decoding over TCP against its peers")
    parser.add_argument(
        "--peers-python",
        default=".venv-peers-esl/bin/python",
        help="the Python of an environment with benchmarks/requirements.txt",
    )
    parser.add_argument("--samples", type=int, default=5)
    options = parser.parse_args()

    report = Report("ESL decoding over TCP")
    peers = options.peers_python
    json_nizam = Contender("nizam", "nizam", "json", sys.executable)
    plain_nizam = Contender("nizam", "nizam", "plain", sys.executable)
    every_header = Contender("nizam", "nizam_every_header", "plain", sys.executable)
    greenswitch = Contender("greenswitch", "greenswitch", "plain", peers)
    genesis = Contender("genesis", "genesis", "plain", peers)
    contenders = [json_nizam, greenswitch, genesis, plain_nizam, every_header]

    for recording, repeat in (("calls", 4), ("load", 1)):
        streams, count, last = same_events(recording, repeat)
        rates: dict[Contender, list[float]] = {contender: [] for contender in contenders}
        cpu: dict[Contender, list[float]] = {contender: [] for contender in contenders}
        lost: dict[str, int] = {}
        for _ in range(options.samples):
            for contender in contenders:
                result = run(contender, streams[contender.event_format], last)
                rates[contender].append(result["count"] / result["seconds"])
                cpu[contender].append(1_000_000 * result["cpu_seconds"] / result["count"])
                lost[contender.name] = count - result["count"]

        def row(
            what: str,
            ours: Contender,
            peer: Contender,
            must: float | None = None,
            aim: float | None = None,
            rates: dict[Contender, list[float]] = rates,
            recording: str = recording,
        ) -> Row:
            return Row(
                what=f"{recording}: {what}",
                figure=median(rates[ours]),
                unit="events/s",
                samples=rates[ours],
                peer=peer.name,
                peer_figure=median(rates[peer]),
                peer_samples=rates[peer],
                must=must,
                aim=aim,
            )

        report.add(row("event json", json_nizam, greenswitch, 5, 8))
        report.add(row("event json", json_nizam, genesis, 15, 25))
        report.add(row("event plain, some headers read", plain_nizam, greenswitch))
        report.add(row("event plain, every header read", every_header, greenswitch))
        report.notes[recording] = {
            "events": count,
            "bytes": {form: len(data) for form, data in streams.items()},
            "not_delivered": lost,
            "cpu_ms_per_1000_events": {
                f"{contender.client} ({contender.event_format})": round(median(costs), 2)
                for contender, costs in cpu.items()
            },
        }
    report.publish()


if __name__ == "__main__":
    main()
