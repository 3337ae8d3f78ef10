"""Traffic recorded from a real FreeSWITCH, as the tests read it (`captures/README.md` lists it).

Names are paths below `tests/captures` without the file's ending:
`stream("calls/esl/events-json-all")`, `transcript("calls/transcripts/bgapi")`,
`http_requests("calls")`.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import attrs

CAPTURES = Path(__file__).parent / "captures"

RECEIVED = ".s2c.raw"
SENT = ".c2s.raw"


@attrs.frozen
class Step:
    """One recv, send or note of a recorded connection.

    `direction` is `<` for bytes from FreeSWITCH, `>` for bytes to it, `#` for a note such as
    "EOF from FreeSWITCH"; `time` is seconds since the epoch.
    """

    time: float
    direction: Literal["<", ">", "#"]
    data: bytes
    label: str


@attrs.frozen
class Transcript:
    """One recorded event-socket connection: everything each side sent, and in which order."""

    name: str
    received: bytes
    sent: bytes
    steps: tuple[Step, ...]


def open_capture(path: str) -> bytes:
    """The content of the file `path` below `captures`, which may be stored with `.gz` added.

    Raises FileNotFoundError.
    """
    compressed = CAPTURES / f"{path}.gz"
    if compressed.exists():
        return gzip.decompress(compressed.read_bytes())
    return (CAPTURES / path).read_bytes()


def names(folder: str, ending: str = RECEIVED) -> list[str]:
    """The names of all recorded connections below `folder`, sorted, such as `calls/outbound`."""
    found = {
        str(file.relative_to(CAPTURES)).removesuffix(".gz").removesuffix(ending)
        for file in (CAPTURES / folder).rglob(f"*{ending}*")
    }
    return sorted(found)


def stream(name: str) -> bytes:
    """All bytes that FreeSWITCH sent on the recorded connection `name`."""
    return open_capture(name + RECEIVED)


def transcript(name: str) -> Transcript:
    """The recorded connection `name` with both directions, cut as it was received and sent."""
    received = stream(name)
    try:
        sent = open_capture(name + SENT)
    except FileNotFoundError:  # the recorder sent nothing, as on a refused connection
        sent = b""
    steps = []
    for line in open_capture(f"{name}.chunks.jsonl").splitlines():
        chunk = json.loads(line)
        source = {"<": received, ">": sent, "#": b""}[chunk["dir"]]
        offset = chunk.get("off", 0)
        data = source[offset : offset + chunk.get("len", 0)]
        steps.append(Step(chunk["t"], chunk["dir"], data, chunk.get("label", "")))
    return Transcript(name, received, sent, tuple(steps))


def http_requests(run: str) -> Iterator[dict[str, Any]]:
    """Every HTTP request of `run` (calls, calls2, cdr2, faults, live, unbound) in its order.

    Each has seq, t, conn, conn_req, method, path, key (the main form fields), step, mode, status,
    result, `head` (request line and headers), `body` (or `body_base64`) and `response`.
    """
    for line in open_capture(f"{run}/http-requests.jsonl").splitlines():
        yield json.loads(line)


def timeline(run: str) -> Any:
    """What was done during `run`, with start times in seconds since the epoch."""
    return json.loads(open_capture(f"{run}/timeline.json"))
