"""What is going on right now: calls, registrations, gateways and links, for every instance to see.

The instance that listens to a node knows it first hand, in memory; it mirrors what changes to
Redis a few times a second, and the others read it from there. Nothing here is durable: after a
restart or a lost link, reconciliation with the switch fills it again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final
from uuid import UUID

import attrs
import orjson
from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from nizam import metrics
from nizam.errors import KeyValueUnavailable
from nizam.kv.interface import IKeyValue
from nizam.switch.live_index import BY, Document, Documents

KINDS: Final = ("calls", "registrations", "gateways", "links")
MIRROR_SECONDS: Final = 0.2
FOLLOW_SECONDS: Final = 1.0
COUNT_SECONDS: Final = 1.0
MOST: Final = 200_000
"""Of each kind; more are not shown."""

_NODES_KEY: Final = "nizam:live:nodes"


def _key(kind: str, node: str) -> str:
    return f"nizam:live:{kind}:{node}"


@attrs.define
class _Node:
    """What is known of one node. `mine` when this instance hears it at first hand; otherwise
    `read` are the documents as they were read last."""

    mine: bool = False
    documents: dict[str, Documents] = attrs.field(
        factory=lambda: {kind: Documents(BY.get(kind)) for kind in KINDS}
    )
    read: dict[str, dict[bytes, bytes]] = attrs.field(factory=lambda: {kind: {} for kind in KINDS})

    def follow(self, kind: str, read: dict[bytes, bytes]) -> None:
        """Take over what was read of another instance's; what is as before is not read again."""
        before, self.read[kind] = self.read[kind], read
        documents = self.documents[kind]
        for key in before.keys() - read.keys():
            documents.remove(key.decode())
        for key, value in read.items():
            if before.get(key) != value:
                documents.put(key.decode(), orjson.loads(value))


class LiveState(Service):
    """The live state of all nodes.

    Documents are what the API shows: calls as in api.md, registrations and gateways with their
    `tenant_id` (None: the platform's), links of the nodes with `connected`, `since`,
    `last_event_at` and `lag_seconds`. They are replaced, never changed.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        key_value: IKeyValue | None = None,
        *,
        mirror_seconds: float = MIRROR_SECONDS,
        follow_seconds: float = FOLLOW_SECONDS,
    ) -> None:
        self._clock = clock
        self._key_value = key_value
        self._mirror_seconds = mirror_seconds
        self._follow_seconds = follow_seconds
        self._nodes: dict[str, _Node] = {}
        self._counts: dict[str, tuple[float, Counter[str | None]]] = {}
        self._dirty: dict[tuple[str, str], set[str]] = {}
        self._whole: set[tuple[str, str]] = set()
        self._mirroring = self._loop(self._mirror)
        self._following = self._loop(self._follow)

    def startService(self) -> None:  # noqa: N802
        """Begin to mirror and to follow."""
        super().startService()  # type: ignore[no-untyped-call]
        if self._key_value is not None:
            self._mirroring.start(self._mirror_seconds, now=False).addErrback(self._failed)
            self._following.start(self._follow_seconds, now=True).addErrback(self._failed)

    def stopService(self) -> Deferred[None]:  # noqa: N802
        """Mirror what is left, then stop."""
        super().stopService()  # type: ignore[no-untyped-call]
        for loop in (self._mirroring, self._following):
            if loop.running:
                loop.stop()
        return maybeDeferred(lambda: Deferred.fromCoroutine(self._mirror()))

    # -- reading ----------------------------------------------------------------------------

    def calls(self, tenant_id: UUID | None = None) -> list[Document]:
        """The calls under way, of one tenant or of all; the oldest first."""
        found = self._of("calls", tenant_id)
        return sorted(found, key=lambda call: (call["started_at"], call["call_id"]))

    def call(self, call_id: UUID | str) -> Document | None:
        """One call under way."""
        for node in self._nodes.values():
            found = node.documents["calls"].found.get(str(call_id))
            if found is not None:
                return found
        return None

    async def look_up(self, call_id: UUID | str) -> Document | None:
        """One call under way, also one that another instance heard of a moment ago."""
        found = self.call(call_id)
        if found is not None or self._key_value is None:
            return found
        try:
            for name in await self._key_value.smembers(_NODES_KEY):
                node = self._nodes.get(name.decode())
                if node is not None and node.mine:
                    continue
                stored = await self._key_value.hget(_key("calls", name.decode()), str(call_id))
                if stored is not None:
                    document: Document = orjson.loads(stored)
                    return document
        except KeyValueUnavailable:
            return None
        return None

    def registrations(self, tenant_id: UUID | None = None) -> list[Document]:
        """The phones that are registered, by domain and user."""
        found = self._of("registrations", tenant_id)
        return sorted(found, key=lambda it: (it["domain"] or "", it["user"] or "", it["node"]))

    def gateways(self, tenant_id: UUID | None = None) -> list[Document]:
        """The gateways of every node: name, state, up, node."""
        return sorted(self._of("gateways", tenant_id), key=lambda it: (it["gateway"], it["node"]))

    def count(self, kind: str, tenant_id: UUID) -> int:
        """How many of the `calls` or `registrations` are the tenant's, as of the last second."""
        counted_at, counts = self._counts.get(kind, (None, Counter[str | None]()))
        now = self._clock.seconds()
        if counted_at is None or now - counted_at >= COUNT_SECONDS:
            counts = Counter(it.get("tenant_id") for it in self._of(kind, None))
            self._counts[kind] = (now, counts)
        return counts[str(tenant_id)]

    def links(self) -> dict[str, Document]:
        """The event-socket link of each node, by its name."""
        return {
            name: node.documents["links"].found["link"]
            for name, node in self._nodes.items()
            if "link" in node.documents["links"].found
        }

    def named(self, kind: str, first: str, second: str) -> list[Document]:
        """The `calls` with legs of an extension, the `registrations` of a user (both by tenant and
        id or number), or the states of a gateway (by the word gateway and its name)."""
        nodes = self._nodes.values()
        return [it for node in nodes for it in node.documents[kind].named((first, second))]

    def _of(self, kind: str, tenant_id: UUID | None) -> Iterator[Document]:
        wanted = None if tenant_id is None else str(tenant_id)
        for node in self._nodes.values():
            for document in node.documents[kind].found.values():
                if wanted is None or document.get("tenant_id") == wanted:
                    yield document

    # -- what the intake tells --------------------------------------------------------------

    def put(self, kind: str, node: str, key: str, document: Document) -> None:
        """Show this document under `key`, in place of the one before."""
        known = self._mine(node).documents[kind]
        if len(known.found) >= MOST and key not in known.found:
            return
        known.put(key, document)
        self._dirty.setdefault((kind, node), set()).add(key)

    def remove(self, kind: str, node: str, key: str) -> None:
        """Show it no more."""
        if self._mine(node).documents[kind].remove(key) is not None:
            self._dirty.setdefault((kind, node), set()).add(key)

    def replace(self, kind: str, node: str, documents: Mapping[str, Document]) -> None:
        """Show exactly these of the node: reconciliation has looked."""
        self._mine(node).documents[kind].replace(documents)
        self._whole.add((kind, node))

    def get(self, kind: str, node: str, key: str) -> Document | None:
        """What is shown under `key`."""
        found = self._nodes.get(node)
        return None if found is None else found.documents[kind].found.get(key)

    def forget_node(self, node: str) -> None:
        """The node is no longer one of ours."""
        for kind in KINDS:
            self.replace(kind, node, {})

    def _mine(self, name: str) -> _Node:
        node = self._nodes.setdefault(name, _Node())
        node.mine = True
        return node

    # -- Redis --------------------------------------------------------------------------------

    async def _mirror(self) -> None:
        self._measure()
        if self._key_value is None:
            return
        whole, self._whole = self._whole, set()
        dirty, self._dirty = self._dirty, {}
        try:
            for kind, node in whole:
                dirty.pop((kind, node), None)
                await self._key_value.sadd(_NODES_KEY, node)
                await self._key_value.delete(_key(kind, node))
                documents = self._nodes[node].documents[kind]
                await self._write(self._key_value, kind, node, documents.found)
            for (kind, node), keys in dirty.items():
                await self._key_value.sadd(_NODES_KEY, node)
                await self._write(self._key_value, kind, node, keys)
        except KeyValueUnavailable:
            # When Redis is back it may have forgotten everything.
            self._whole |= whole | dirty.keys()

    async def _write(self, key_value: IKeyValue, kind: str, node: str, keys: Iterable[str]) -> None:
        documents = self._nodes[node].documents[kind].found
        wanted = list(keys)
        for start in range(0, len(wanted), 500):
            chunk = wanted[start : start + 500]
            present = {it: orjson.dumps(documents[it]) for it in chunk if it in documents}
            gone = [it for it in chunk if it not in documents]
            if present:
                await key_value.hset(_key(kind, node), present)
            if gone:
                await key_value.hdel(_key(kind, node), *gone)

    async def _follow(self) -> None:
        """Read what the instances that hear other nodes have mirrored."""
        if self._key_value is None:
            return
        try:
            for name_bytes in await self._key_value.smembers(_NODES_KEY):
                name = name_bytes.decode()
                node = self._nodes.setdefault(name, _Node())
                if node.mine:
                    continue
                for kind in KINDS:
                    found = await self._key_value.hgetall(_key(kind, name))
                    if not node.mine:
                        node.follow(kind, found)
        except KeyValueUnavailable as error:
            self._log.debug("the live state of other nodes stays as it was: {e}", e=str(error))

    def _measure(self) -> None:
        metrics.REGISTRATIONS.set(sum(1 for _ in self._of("registrations", None)))

    def _loop(self, work: Any) -> LoopingCall:
        loop = LoopingCall(lambda: Deferred.fromCoroutine(work()))
        loop.clock = self._clock
        return loop

    def _failed(self, failure: Any) -> None:
        self._log.failure("the live state is no longer shared", failure)
