"""A daemon with a tenant that has one of everything, for requests that reach what is there."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import httpx

from nizam.embedded.process import free_port
from nizam.http.route import BASE
from nizam.model.registry import resources
from tests.daemon.process import REPOSITORY, DaemonProcess
from tests.daemon.site import environment
from tests.http.objects import NEEDED, collection, replaced

READY_SECONDS = 90.0
SPARE_TENANTS = 12
"""Tenants that may be suspended, terminated and deleted."""

_FIRST = ("--email", "fuzz@example.com", "--key", "fuzz")
_PLENTY = "1000000"


@attrs.frozen
class Site:
    """`key` may do everything; `token` is a user's, who may too, and so is `spare_token`, which
    can be ended; `ids` are by the segment of the path that the object's id follows."""

    base: str
    daemon: DaemonProcess
    key: str
    token: str
    spare_token: str
    ids: Mapping[str, list[str]]


@contextlib.contextmanager
def furnished(database: str, redis_url: str, folder: Path) -> Iterator[Site]:
    """The daemon as a process of its own, over these servers; ended at the end."""
    port = free_port()
    # Nothing listens at the event socket's port: the switch is away all the time.
    settings = environment(database, redis_url, folder, port, free_port()) | {
        "API_RATE_LIMIT": _PLENTY,
        "API_TENANT_RATE_LIMIT": _PLENTY,
    }
    daemon = DaemonProcess(None, settings, folder / "nizam.log")
    daemon.start()
    try:
        _wait_until_ready(daemon)
        yield _furnish(daemon, settings)
    finally:
        daemon.kill()


def _wait_until_ready(daemon: DaemonProcess) -> None:
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{daemon.base}/readyz").status_code == 200:
                return
        time.sleep(0.05)
    raise AssertionError(f"not ready\n{daemon.log_tail()}")


def _furnish(daemon: DaemonProcess, settings: Mapping[str, str]) -> Site:
    made = _bootstrap(settings)
    ids: dict[str, list[str]] = {}
    with httpx.Client(
        base_url=daemon.base, headers={"Authorization": f"Bearer {made['key']}"}, timeout=20
    ) as client:
        tenants = [_tenant(client, f"t{number}") for number in range(SPARE_TENANTS)]
        ids["tenants"] = tenants
        tenant = f"{BASE}/tenants/{tenants[0]}"
        placeholders = {
            name: _made(client, f"{tenant}/{path}", body) for name, path, body in NEEDED
        }
        for it in resources().values():
            if it.name != "tenant":
                path = collection(it, tenant)
                body = replaced(it.example, placeholders)
                ids.setdefault(it.path, []).append(_made(client, path, body))
        for (_, path, _), identifier in zip(NEEDED, placeholders.values(), strict=True):
            ids[path].append(identifier)
        client.post(f"{tenant}/webhooks/{ids['webhooks'][0]}/test")
        events = client.get(f"{tenant}/call-events").json()["data"]
        ids["call-events"] = [it["id"] for it in events]
        login = {"email": made["email"], "password": made["password"], "token": True}
        token = client.post(f"{BASE}/auth/login", json=login).json()["token"]
        spare = _token(client, token)
    return Site(daemon.base, daemon, made["key"], token, spare, ids)


def _token(client: httpx.Client, signed_in: str) -> str:
    answer = client.post(
        f"{BASE}/auth/tokens",
        json={"name": "spare"},
        headers={"Authorization": f"Bearer {signed_in}"},
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["token"])


def _bootstrap(settings: Mapping[str, str]) -> dict[str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "nizam.cli", "admin", "bootstrap", "--json", *_FIRST],
        cwd=REPOSITORY,
        env={"PATH": "/usr/bin:/bin", **settings},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    made: dict[str, str] = json.loads(done.stdout)
    return made


def _tenant(client: httpx.Client, slug: str) -> str:
    body = {"name": slug, "slug": slug, "domain": f"{slug}.example.test"}
    return _made(client, f"{BASE}/tenants", body)


def _made(client: httpx.Client, path: str, body: Any) -> str:
    answer = client.post(path, json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])
