"""The requests of call flows to servers of tenants: made once, although a call asks for the answer
again and again.

FreeSWITCH waits 2 s for a dialplan. A server that takes longer is waited for by the call: it comes
back, perhaps to another instance, for the same answer. So whoever is first claims the request in
Redis, and leaves there what came of it. While Redis is away each instance makes the request itself;
the server can tell by the `webhook-id`, which is the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID, uuid5

import attrs
import orjson
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from nizam import __version__
from nizam.errors import KeyValueUnavailable
from nizam.kv.interface import IKeyValue
from nizam.metrics import FLOW_REQUEST_SECONDS
from nizam.routing.facts import Fetch, Fetched
from nizam.routing.request import CallRequest
from nizam.webhooks.connections import READ_LIMIT
from nizam.webhooks.interface import EgressError, IEgressAgent, Reply
from nizam.webhooks.signing import signed_headers

KEEP_SECONDS: Final = 60.0
"""How long an answer is kept for the call that comes back for it."""
GRACE_SECONDS: Final = 2.0
"""How long after its deadline another instance's answer is still waited for."""
POLL_SECONDS: Final = 0.2
MOST_AT_ONCE: Final = 50
"""Requests of one tenant under way at once in this process."""

_NAMESPACE = UUID("6f2a9a53-0c0e-4a39-9d5f-7b0a1f8d2c11")
_TOO_MANY = Fetched("failed", words=f"{MOST_AT_ONCE} requests of the tenant are under way")

SigningKeys = Callable[[UUID, UUID], Sequence[bytes]]
"""The keys of a webhook of a tenant, by their ids; none if it is not there."""


@attrs.define
class _Asking:
    """A request that somebody waits for: `found` is its end, and `waiting` who wants to know."""

    found: Fetched | None = None
    waiting: list[Deferred[None]] = attrs.field(factory=list)

    def end(self, found: Fetched) -> None:
        self.found = found
        waiting, self.waiting = self.waiting, []
        for it in waiting:
            if not it.called:
                it.callback(None)


class FlowRequests:
    """A Fetcher; see `nizam.http.deciding`. `keys` gives what requests are signed with."""

    _log = Logger(namespace="nizam.flows")

    def __init__(
        self, reactor: Any, key_value: IKeyValue, egress: IEgressAgent, keys: SigningKeys
    ) -> None:
        self._reactor = reactor
        self._key_value = key_value
        self._egress = egress
        self._keys = keys
        self._asking: dict[str, _Asking] = {}
        self._under_way: Counter[UUID] = Counter()
        self._sent: set[Deferred[Reply]] = set()
        self._timers: dict[IDelayedCall, Callable[[], object]] = {}
        self._closed = False

    async def fetch(
        self, tenant_id: UUID, call: CallRequest, fetch: Fetch, seconds: float
    ) -> Fetched:
        """The answer; `pending` if there is none within so many seconds: the call has to ask again.
        Never raises."""
        name = f"{tenant_id}:{call.known_id or call.unique_id}:{fetch.key}"
        asking = self._asking.get(name)
        if asking is None:
            if self._under_way[tenant_id] >= MOST_AT_ONCE:
                return _TOO_MANY
            asking = self._asking[name] = _Asking()
            Deferred.fromCoroutine(self._run(tenant_id, name, fetch, asking))
        if asking.found is None:
            await self._wait(asking, seconds)
        return asking.found or Fetched("pending")

    async def close(self) -> None:
        """Close the connections; requests under way end without an answer, and nobody waits on."""
        self._closed = True
        for sent in list(self._sent):
            sent.cancel()
        while self._timers:
            timer, work = self._timers.popitem()
            timer.cancel()
            work()
        await self._egress.close()

    async def _run(self, tenant_id: UUID, name: str, fetch: Fetch, asking: _Asking) -> None:
        self._under_way[tenant_id] += 1
        try:
            found = await self._answer(tenant_id, name, fetch)
        except Exception:
            self._log.failure("a request of a call flow could not be made")
            found = Fetched("failed", words="the request could not be made")
        finally:
            self._under_way[tenant_id] -= 1
            if not self._under_way[tenant_id]:
                del self._under_way[tenant_id]
        asking.end(found)
        self._later(KEEP_SECONDS, lambda: self._asking.pop(name, None))

    async def _answer(self, tenant_id: UUID, name: str, fetch: Fetch) -> Fetched:
        key = f"nizam:flow:{name}"
        ends = self._reactor.seconds() + fetch.timeout_seconds + GRACE_SECONDS
        lives = fetch.timeout_seconds + KEEP_SECONDS
        try:
            if not await self._key_value.set(key, b"", seconds=lives, only_new=True):
                return await self._of_another(key, ends)
        except KeyValueUnavailable:
            self._log.warn("Redis is away: another instance may make the same request")
        found = await self._ask(tenant_id, name, fetch)
        try:
            await self._key_value.set(key, _dumped(found), seconds=KEEP_SECONDS)
        except KeyValueUnavailable:
            self._log.warn("Redis is away: an answer for a call flow is kept here only")
        return found

    async def _of_another(self, key: str, ends: float) -> Fetched:
        """What came of the request that another instance makes."""
        while self._reactor.seconds() < ends and not self._closed:
            kept = await self._key_value.get(key)
            if kept:
                return _loaded(kept)
            await self._pause(POLL_SECONDS)
        return Fetched("failed", words="whoever asked has not come back with an answer")

    async def _ask(self, tenant_id: UUID, name: str, fetch: Fetch) -> Fetched:
        if self._closed:
            return Fetched("failed", words="this instance is stopping")
        began = self._reactor.seconds()
        try:
            body = b"" if fetch.method == "GET" else orjson.dumps(fetch.body)
            sent = Deferred.fromCoroutine(
                self._egress.request(
                    fetch.method,
                    fetch.url,
                    self._headers(tenant_id, name, fetch, body),
                    body,
                    float(fetch.timeout_seconds),
                    READ_LIMIT,
                )
            )
            self._sent.add(sent)
            try:
                found = _read(await sent)
            finally:
                self._sent.discard(sent)
        except EgressError as error:
            found = Fetched("failed", words=error.reason)
        FLOW_REQUEST_SECONDS.labels(found.state).observe(self._reactor.seconds() - began)
        return found

    def _headers(self, tenant_id: UUID, name: str, fetch: Fetch, body: bytes) -> Mapping[str, str]:
        message_id = f"flow_{uuid5(_NAMESPACE, name).hex}"
        headers = {"Accept": "application/json", "User-Agent": f"NIZAM/{__version__}"}
        if fetch.method == "POST":
            headers["Content-Type"] = "application/json"
        keys = () if fetch.signed_by is None else self._keys(tenant_id, fetch.signed_by)
        if not keys:
            return {**headers, "webhook-id": message_id}
        return headers | signed_headers(keys, message_id, int(self._reactor.seconds()), body)

    async def _wait(self, asking: _Asking, seconds: float) -> None:
        ended: Deferred[None] = Deferred()
        asking.waiting.append(ended)

        def give_up() -> None:
            if not ended.called:
                asking.waiting.remove(ended)
                ended.callback(None)

        timer = self._later(max(seconds, 0), give_up)
        await ended
        if self._timers.pop(timer, None) is not None:
            timer.cancel()

    def _later(self, seconds: float, work: Callable[[], object]) -> IDelayedCall:
        """Call `work` then, unless this is closed before."""
        if self._closed:
            seconds = 0.0

        def call() -> None:
            self._timers.pop(timer, None)
            work()

        timer: IDelayedCall = self._reactor.callLater(seconds, call)
        self._timers[timer] = work
        return timer

    def _pause(self, seconds: float) -> Awaitable[None]:
        paused: Deferred[None] = Deferred()
        self._later(seconds, lambda: paused.callback(None))
        return paused


def _read(reply: Reply) -> Fetched:
    """What an answer says: a JSON object, or nothing at all."""
    if not 200 <= reply.status < 300:
        return Fetched("failed", words=f"answered with status {reply.status}")
    if not reply.complete:
        return Fetched("failed", words=f"the answer is cut off or over {READ_LIMIT // 1024} KiB")
    if not reply.head.strip():
        return Fetched("answered")
    try:
        body = orjson.loads(reply.head)
    except orjson.JSONDecodeError:
        return Fetched("failed", words="the answer is not JSON")
    if not isinstance(body, dict):
        return Fetched("failed", words="the answer is not a JSON object")
    return Fetched("answered", body)


def _dumped(found: Fetched) -> bytes:
    return orjson.dumps({"state": found.state, "body": dict(found.body), "words": found.words})


def _loaded(kept: bytes) -> Fetched:
    return Fetched(**orjson.loads(kept))
