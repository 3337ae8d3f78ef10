"""The Twisted servers that `xml_lookup` measures, each in a process of its own:

    python -m benchmarks.xml_servers nizam|limited|bare PORT TENANTS EXTENSIONS

`nizam` is the daemon's site with its resource and a snapshot of so many tenants; `limited` the same
with limits on calls, which the Redis of $REDIS_URL counts; `bare` a
Resource of twisted.web that returns documents of the same bytes without looking anything up.
"""

from __future__ import annotations

import gc
import os
import sys
from random import SystemRandom
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import UUID, uuid5

import orjson
from twisted.internet.defer import Deferred
from twisted.web.resource import Resource
from twisted.web.server import Site

from nizam.fsxml.dialplan import render
from nizam.fsxml.directory import Directory
from nizam.fsxml.request import XmlRequest, call_request
from nizam.http.deciding import CallDecider
from nizam.http.node_credentials import NodeCredentials
from nizam.http.port import listen_together
from nizam.http.server import BoundedSite
from nizam.http.xmlcurl import XmlCurlResource
from nizam.kv.single import SingleRedis
from nizam.routing.decide import decide
from nizam.routing.rows import Row
from nizam.routing.snapshot import Snapshot
from nizam.settings.values import Secret, SecretKey, SipSettings, XmlClient
from nizam.store.secrets import SecretBox
from nizam.switch.call_limits import CallLimits

SPACE = UUID("01937a5e-0000-7000-8000-000000000000")
SECRETS = SecretBox([SecretKey("k1", bytes(32))])
USERNAME, PASSWORD = "fs1", "s3cret"


def domain(tenant: int) -> str:
    """The domain of the tenant with this number."""
    return f"t{tenant}.example.test"


def sip_password(tenant: int, number: int) -> str:
    """The password of one phone."""
    return f"t{tenant}-{number}-password"


def _json(value: dict[str, Any]) -> bytes:
    # orjson leaves up to 4 KB allocated behind its result; what a database sends has no such tail.
    return bytes(memoryview(orjson.dumps(value)))


QUOTAS = {
    "max_concurrent_calls": 1_000_000,
    "max_calls_per_minute": 1_000_000,
    "max_call_minutes_per_day": 1_000_000,
}
"""Three limits that count and are never reached."""


def fill(
    snapshot: Snapshot, tenants: int, extensions: int, quotas: dict[str, int] | None = None
) -> None:
    """So many tenants with so many extensions each, numbered from 1000."""
    for tenant in range(tenants):
        owner = uuid5(SPACE, f"t{tenant}")
        body = {
            "name": f"T {tenant}",
            "slug": f"t{tenant}",
            "domain": domain(tenant),
            "status": "active",
            "settings": {},
            "quotas": quotas or {},
        }
        snapshot.put(Row("tenant", owner, None, 1, _json(body)))
        for number in range(1000, 1000 + extensions):
            key = uuid5(owner, str(number))
            extension = {
                "number": str(number),
                "display_name": f"User {number}",
                "voicemail": {"pin": "4711"},
            }
            sealed = SECRETS.encrypt(sip_password(tenant, number), "extension", key, "sip_password")
            secrets = _json({"sip_password": sealed})
            snapshot.put(Row("extension", key, owner, 1, _json(extension), secrets))


class _Bare(Resource):
    isLeaf = True  # noqa: N815 - Twisted's name

    def __init__(self, dialplan: bytes, directory: bytes) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._answers = (directory, dialplan)

    def render(self, request: Any) -> bytes:
        request.setHeader(b"content-type", b"text/xml; charset=utf-8")
        return self._answers[b"section=dialplan" in request.content.read(64)]


def _bare(questions: list[bytes]) -> Any:
    from datetime import UTC, datetime

    snapshot = Snapshot()
    fill(snapshot, 1, 100)
    dialplan, directory = map(XmlRequest, questions)
    call = call_request(dialplan)
    decision = decide(snapshot, call, datetime.now(UTC), SystemRandom())
    answers = (
        render(decision, call.context),
        Directory(snapshot, SECRETS.decrypt).answer(directory),
    )
    return Site(_Bare(*answers), parsePOSTFormSubmission=False)  # type: ignore[no-untyped-call]


def _limits(reactor: Any) -> CallLimits:
    """Counters over the Redis of $REDIS_URL, which the caller has started."""
    url = urlsplit(os.environ["REDIS_URL"])
    password = unquote(url.password or "") or None
    key_value = SingleRedis(reactor, url.hostname or "", url.port or 0, password)
    reactor.callWhenRunning(lambda: Deferred.fromCoroutine(key_value.start()))
    limits = CallLimits(reactor, key_value)
    reactor.callWhenRunning(limits.startService)
    return limits


def _nizam(tenants: int, extensions: int, reactor: Any, *, limited: bool = False) -> Any:
    snapshot = Snapshot()
    fill(snapshot, tenants, extensions, QUOTAS if limited else None)
    clients = (XmlClient("fs1", USERNAME, Secret(PASSWORD)),)
    resource = XmlCurlResource(
        snapshot,
        NodeCredentials(snapshot, SECRETS.decrypt, clients),
        CallDecider(
            snapshot, reactor, SystemRandom(), limiter=_limits(reactor) if limited else None
        ),
        SECRETS.decrypt,
        SipSettings(None, 5060, None, 5080, None, None),
        lambda: True,
    )
    root = Resource()  # type: ignore[no-untyped-call]
    freeswitch = Resource()  # type: ignore[no-untyped-call]
    root.putChild(b"freeswitch", freeswitch)
    freeswitch.putChild(b"xml", resource)
    site = BoundedSite(root, reactor)
    site.direct = {b"/freeswitch/xml": resource}
    return site


def main() -> None:
    """Serve until the process is ended; a line on stdout says when it does."""
    from twisted.internet import reactor as installed

    from benchmarks.xml_lookup import questions

    reactor: Any = installed
    kind, port, tenants, extensions = sys.argv[1], *map(int, sys.argv[2:])
    if kind == "bare":
        site = _bare(list(questions(0, 1001)))
    else:
        site = _nizam(tenants, extensions, reactor, limited=kind == "limited")
    # As the daemon does when it has loaded what stays.
    gc.collect()
    gc.freeze()
    listen_together(reactor, site, "127.0.0.1", port)
    reactor.callWhenRunning(lambda: print("ready", flush=True))
    reactor.run()


if __name__ == "__main__":
    main()
