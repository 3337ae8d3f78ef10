"""Load for HTTP servers: threads with a connection each, as fast as possible or at a fixed rate.

At a fixed rate a request's time runs from the moment at which it was due, so that a server which
falls behind is not spared (no coordinated omission).
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Sequence
from itertools import count

Ask = Callable[[bytes], bytes]
"""Sends one whole request; the body of the answer."""
MakeAsk = Callable[[], Ask]
"""Called once in each thread."""


class Connection:
    """A connection to a port of this machine that is kept for many requests."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, request: bytes) -> bytes:
        """One request; the body of the answer, whose status must be 2xx."""
        self._socket.sendall(request)
        answer = self._more(b"")
        while b"\r\n\r\n" not in answer:
            answer = self._more(answer)
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 2"), answer
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        while len(body) < length:
            body = self._more(body)
        return body

    def close(self) -> None:
        """Close it."""
        self._socket.close()

    def _more(self, present: bytes) -> bytes:
        received = self._socket.recv(65536)
        assert received, "the server closed the connection"
        return present + received


def saturate(make: MakeAsk, asked: Sequence[bytes], seconds: float, connections: int = 8) -> float:
    """Answers a second when every one is followed by the next question at once."""
    position = count()
    end = time.perf_counter() + seconds
    done: list[int] = []

    def work() -> None:
        answered, ask = 0, make()
        while time.perf_counter() < end:
            ask(asked[next(position) % len(asked)])
            answered += 1
        done.append(answered)

    started = time.perf_counter()
    _together(work, connections)
    assert len(done) == connections, "a connection failed"
    return sum(done) / (time.perf_counter() - started)


def paced(
    make: MakeAsk, asked: Sequence[bytes], rate: int, seconds: float, connections: int = 8
) -> list[float]:
    """Milliseconds from each intended start to the whole answer, at `rate` a second."""
    position = count()
    start = time.perf_counter() + 0.1
    samples: list[float] = []

    def work() -> None:
        ask = make()
        while (index := next(position)) < rate * seconds:
            intended = start + index / rate
            time.sleep(max(0.0, intended - time.perf_counter()))
            ask(asked[index % len(asked)])
            samples.append((time.perf_counter() - intended) * 1000)

    _together(work, connections)
    assert len(samples) == int(rate * seconds), "a connection failed"
    return samples


def _together(work: Callable[[], None], amount: int) -> None:
    threads = [threading.Thread(target=work) for _ in range(amount)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
