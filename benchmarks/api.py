"""How long the API takes to show and to make one object, at a fixed rate (open loop).

    python -m benchmarks.api --dev-json DIR/dev.json [--seconds 20]

Asks a running `nizam dev --no-sim`. A request's time runs from the moment at which it was due,
so that a server which falls behind is not spared (no coordinated omission).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import treq
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater, react
from twisted.web.client import Agent, HTTPConnectionPool

from benchmarks.report import Report, Row, percentile

GET_RATE, POST_RATE = 300, 100
CONNECTIONS = 64


async def _open_loop(reactor: Any, rate: int, seconds: float, ask: Any) -> list[float]:
    """The milliseconds that each request took, sorted."""
    began = reactor.seconds() + 0.2
    times: list[float] = []

    async def one(due: float) -> None:
        await deferLater(reactor, max(0.0, due - reactor.seconds()))
        await ask()
        times.append((reactor.seconds() - due) * 1000)

    count = int(rate * seconds)
    await gatherResults(
        [Deferred.fromCoroutine(one(began + number / rate)) for number in range(count)],
        consumeErrors=True,
    )
    return sorted(times)


async def measure(reactor: Any, dev: dict[str, Any], seconds: float) -> None:
    run = Report("api")
    pool = HTTPConnectionPool(reactor)  # type: ignore[no-untyped-call]
    pool.maxPersistentPerHost = CONNECTIONS
    agent = Agent(reactor, pool=pool)  # type: ignore[no-untyped-call]
    tenant = f"{dev['http']}/api/v1/tenants/{dev['tenant_id']}"
    headers: Any = {
        "Authorization": f"Bearer {dev['api_key']}",
        "Content-Type": "application/json",
    }

    async def ask(method: str, url: str, status: int, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        response = await treq.request(method, url, headers=headers, data=data, agent=agent)
        content = await response.content()
        if response.code != status:
            raise SystemExit(f"{method} {url} was answered {response.code}: {content!r}")
        return json.loads(content)

    listed = await ask("GET", f"{tenant}/extensions?limit=1", 200)
    one = f"{tenant}/extensions/{listed['data'][0]['id']}"
    await _open_loop(reactor, 50, 2, lambda: ask("GET", one, 200))
    shown = await _open_loop(reactor, GET_RATE, seconds, lambda: ask("GET", one, 200))

    def gateway() -> Any:
        body = {"name": f"benchmark {uuid4()}", "host": "sip.example.test"}
        return ask("POST", f"{tenant}/gateways", 201, body)

    made = await _open_loop(reactor, POST_RATE, seconds, gateway)
    for name, times, fraction, must, aim in (
        (f"GET one, p50 at {GET_RATE}/s", shown, 0.5, 4, 2.5),
        (f"GET one, p99 at {GET_RATE}/s", shown, 0.99, 15, 10),
        (f"POST one, p99 at {POST_RATE}/s", made, 0.99, 25, 15),
    ):
        figure = percentile(times, fraction)
        run.add(Row(name, figure, "ms", times, must=must, aim=aim, lower_is_better=True))
    run.publish()
    await pool.closeCachedConnections()  # type: ignore[no-untyped-call]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dev-json", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=20)
    options = parser.parse_args()
    dev = json.loads(options.dev_json.read_text())
    react(lambda reactor: Deferred.fromCoroutine(measure(reactor, dev, options.seconds)))


if __name__ == "__main__":
    main()
