"""What others notice of clients that are slow on purpose:

    python -m benchmarks.slow_clients [--seconds 8] [--clients 500]

GET of one resource at a fixed rate (open loop), by itself and while many clients hold a connection
each on which a request drips in, byte by byte; whoever is cut off begins anew. Then while some of
them upload 10 MB that nobody takes. In turns; `nizam dev` without its simulated switch serves.
"""

from __future__ import annotations

import argparse
import multiprocessing
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from multiprocessing.synchronize import Event
from pathlib import Path

from benchmarks.api import development, kept, prepare, works
from benchmarks.http_load import paced
from benchmarks.report import Report, Row, percentile

ROUNDS = 3
CLIENTS = 500
UPLOADERS = 4
BYTE_SECONDS = 0.5
"""How long a slow client takes for a byte."""

_HEAD = b"GET /api/v1/me HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "
_UPLOAD = (
    b"POST /api/v1/tenants HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    b"Content-Length: 10000000\r\n\r\n"
)


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=8.0, help="of each single measurement")
    parser.add_argument("--rate", type=int, default=300, help="of the GETs, a second")
    parser.add_argument("--clients", type=int, default=CLIENTS)
    options = parser.parse_args()
    report = Report("slow_clients")
    with (
        tempfile.TemporaryDirectory(prefix="nizam-benchmark-") as folder,
        development(Path(folder)) as dev,
    ):
        get = next(it for it in works(prepare(dev), 0) if it.name == "get").requests
        port = int(dev["http"].rpartition(":")[2])
        conditions: dict[str, Callable[[], AbstractContextManager[None]]] = {
            "alone": nullcontext,
            f"{options.clients} slow clients": lambda: _beside(_drip, port, options.clients),
            f"{UPLOADERS} uploads of 10 MB": lambda: _beside(_upload_together, port),
        }
        samples: dict[str, list[float]] = {name: [] for name in conditions}
        paced(kept(port), get, options.rate, 2.0)
        for _ in range(ROUNDS):
            for name, condition in conditions.items():
                with condition():
                    samples[name] += paced(kept(port), get, options.rate, options.seconds)
        alone = samples.pop("alone")
        for name, times in samples.items():
            for fraction, must in ((0.5, None), (0.99, 0.5)):
                report.add(
                    Row(
                        f"get at {options.rate}/s beside {name}, p{fraction * 100:.0f}",
                        percentile(times, fraction),
                        "ms",
                        times,
                        "alone",
                        percentile(alone, fraction),
                        alone,
                        must,
                        lower_is_better=True,
                    )
                )
    report.publish()


@contextmanager
def _beside(work: Callable[..., None], *args: object) -> Iterator[None]:
    """Run `work` in a process of its own, so that it takes no time from the one that measures."""
    over = multiprocessing.Event()
    process = multiprocessing.Process(target=work, args=(*args, over))
    process.start()
    time.sleep(1.0)
    try:
        yield
    finally:
        over.set()
        process.join()


def _drip(port: int, amount: int, over: Event) -> None:
    clients = [_slow_client(port) for _ in range(amount)]
    while not over.is_set():
        for number in range(amount):
            if over.wait(BYTE_SECONDS / amount):
                break
            clients[number] = _go_on(clients[number], port)
    for it in clients:
        it.close()


def _slow_client(port: int) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), timeout=30)
    client.sendall(_HEAD)
    client.setblocking(False)
    return client


def _go_on(client: socket.socket, port: int) -> socket.socket:
    """The client, a byte later; or another one, if it was cut off."""
    try:
        client.send(b"a")
    except OSError:
        client.close()
        return _slow_client(port)
    return client


def _upload_together(port: int, over: Event) -> None:
    """Clients that send 10 MB to a path that takes none of it, over and over."""
    threads = [threading.Thread(target=_upload, args=(port, over)) for _ in range(UPLOADERS)]
    for it in threads:
        it.start()
    for it in threads:
        it.join()


def _upload(port: int, over: Event) -> None:
    piece = b" " * 65536
    while not over.wait(0.2):
        with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
            client.sendall(_UPLOAD)
            try:
                for _ in range(10_000_000 // len(piece)):
                    client.sendall(piece)
            except OSError:
                continue


if __name__ == "__main__":
    main()
