"""What is going on right now: calls, phones, gateways, conferences, parked calls and links.

The instance that listens to a node knows it first hand, in memory; it mirrors what changes to
Redis a few times a second, and the others read it from there. Nothing here is durable: after a
restart or a lost link, reconciliation with the switch fills it again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final
from uuid import UUID

from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from nizam import metrics
from nizam.kv.interface import IKeyValue
from nizam.switch.calls_shown import one_call
from nizam.switch.live_documents import KINDS, LiveDocuments, Most
from nizam.switch.live_index import Document
from nizam.switch.live_mirror import LiveMirror

MIRROR_SECONDS: Final = 0.2
FOLLOW_SECONDS: Final = 1.0


class LiveState(Service):
    """The live state of all nodes.

    Documents are what the API shows: calls as in api.md, registrations, gateways, conferences and
    parked calls with their `tenant_id` (None: the platform's), links of the nodes with
    `connected`, `since`, `last_event_at` and `lag_seconds`. They are replaced, never changed.
    A call over several nodes has a document at each. `most` bounds how many there are.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        key_value: IKeyValue | None = None,
        *,
        most: Most | None = None,
        mirror_seconds: float = MIRROR_SECONDS,
        follow_seconds: float = FOLLOW_SECONDS,
    ) -> None:
        self._clock = clock
        self._documents = LiveDocuments(clock.seconds, most or Most.of())
        self._mirror_seconds = mirror_seconds
        self._follow_seconds = follow_seconds
        self._lost: list[Callable[[str, bool], None]] = []
        self._mirror: LiveMirror | None = None
        if key_value is not None:
            self._mirror = LiveMirror(clock, key_value, self._documents, self._node_lost)
        self._mirroring = self._loop(self._write)
        self._following = self._loop(self._follow)

    def startService(self) -> None:  # noqa: N802
        """Begin to mirror and to follow."""
        super().startService()  # type: ignore[no-untyped-call]
        self._mirroring.start(self._mirror_seconds, now=False)
        self._following.start(self._follow_seconds, now=True)

    def stopService(self) -> Deferred[None]:  # noqa: N802
        """Mirror what is left, then stop."""
        super().stopService()  # type: ignore[no-untyped-call]
        for loop in (self._mirroring, self._following):
            if loop.running:
                loop.stop()
        return maybeDeferred(lambda: Deferred.fromCoroutine(self._write()))

    def on_lost(self, listener: Callable[[str, bool], None]) -> None:
        """Call `listener` with the name of each node of this instance that nobody hears any more,
        before what was known of it is dropped; and with whether this is the instance to tell."""
        self._lost.append(listener)

    # -- reading ----------------------------------------------------------------------------

    def calls(self, tenant_id: UUID | None = None) -> list[Document]:
        """The calls under way, of one tenant or of all; the oldest first. A call between tenants
        is one of each, with the parts that are that tenant's."""
        parts: dict[tuple[str, str | None], list[Document]] = {}
        for document in self._of("calls", tenant_id):
            whose = (document["call_id"], document.get("tenant_id"))
            parts.setdefault(whose, []).append(document)
        found = [one_call(it) for it in parts.values()]
        return sorted(found, key=lambda call: (call["started_at"], call["call_id"]))

    def call(self, call_id: UUID | str, tenant_id: UUID | None = None) -> Document | None:
        """One call under way, over all nodes; of a tenant, the parts that are the tenant's."""
        wanted = None if tenant_id is None else str(tenant_id)
        parts = [
            it
            for it in self.named("calls", "call", str(call_id))
            if wanted is None or it.get("tenant_id") == wanted
        ]
        return one_call(parts) if parts else None

    async def look_up(self, call_id: UUID, tenant_id: UUID) -> Document | None:
        """One call of the tenant, also one that another instance heard of a moment ago."""
        found = self.call(call_id, tenant_id)
        if found is not None or self._mirror is None:
            return found
        return await self._mirror.look_up("calls", str(call_id), str(tenant_id))

    def registrations(self, tenant_id: UUID | None = None) -> list[Document]:
        """The phones that are registered, by domain and user."""
        found = self._of("registrations", tenant_id)
        return sorted(found, key=lambda it: (it["domain"] or "", it["user"] or "", it["node"]))

    def gateways(self, tenant_id: UUID | None = None) -> list[Document]:
        """The gateways of every node: name, state, up, node."""
        return sorted(self._of("gateways", tenant_id), key=lambda it: (it["gateway"], it["node"]))

    def conferences(self, tenant_id: UUID | None = None) -> list[Document]:
        """The conferences under way with their members; the oldest first."""
        found = self._of("conferences", tenant_id)
        return sorted(found, key=lambda it: (it["started_at"] or "", it["conference_id"]))

    def parked_calls(self, tenant_id: UUID | None = None) -> list[Document]:
        """The calls that wait in parking lots; the longest first."""
        found = self._of("parked_calls", tenant_id)
        return sorted(found, key=lambda it: (it["parked_at"] or "", it["leg_id"]))

    def count(self, kind: str, tenant_id: UUID) -> int:
        """How many of the `calls` or `registrations` are the tenant's."""
        return self._documents.tallies[kind].by_tenant[str(tenant_id)]

    @property
    def full(self) -> list[str]:
        """The kinds of which there were too many, a minute ago at most: not all are shown."""
        return self._documents.full

    def links(self) -> dict[str, Document]:
        """The event-socket link of each node, by its name."""
        found = {}
        for name, node in self._documents.nodes.items():
            link = node.documents["links"].found.get("link")
            if link is not None:
                gone = not node.mine and self._mirror and not self._mirror.is_heard(name)
                found[name] = link | {"connected": False} if gone else link
        return found

    def named(self, kind: str, first: str, second: str) -> list[Document]:
        """The `calls` with legs of an extension (by tenant and id) or with an id (by the word call
        and the id), the `registrations` of a user (by tenant and number), or the states of a
        gateway (by the word gateway and its name)."""
        return [it for found in self._documents.of(kind) for it in found.named((first, second))]

    def _of(self, kind: str, tenant_id: UUID | None) -> Iterator[Document]:
        wanted = None if tenant_id is None else str(tenant_id)
        for documents in self._documents.of(kind):
            for document in documents.found.values():
                if wanted is None or document.get("tenant_id") == wanted:
                    yield document

    # -- what the intake tells --------------------------------------------------------------

    def put(self, kind: str, node: str, key: str, document: Document) -> None:
        """Show this document under `key`, in place of the one before."""
        self._documents.put(kind, node, key, document)

    def remove(self, kind: str, node: str, key: str) -> None:
        """Show it no more."""
        self._documents.remove(kind, node, key)

    def replace(self, kind: str, node: str, documents: Mapping[str, Document]) -> None:
        """Show exactly these of the node: reconciliation has looked."""
        self._documents.replace(kind, node, documents)

    def reconciled(self, node: str) -> None:
        """What is shown of the node is what the switch has: once for each connection, Redis is
        rid of everything else."""
        found = self._documents.node(node)
        if self._mirror is not None and not found.reconciled:
            self._mirror.write_again(node)
        found.reconciled = True

    def get(self, kind: str, node: str, key: str) -> Document | None:
        """What is shown under `key`."""
        return self._documents.node(node).documents[kind].found.get(key)

    def shown(self, kind: str, node: str) -> dict[str, Document]:
        """Everything of one kind of a node, by its key."""
        return dict(self._documents.node(node).documents[kind].found)

    def amount(self, kind: str, node: str) -> int:
        """How many documents of one kind a node has: of a call over two nodes, each has one."""
        return len(self._documents.node(node).documents[kind].found)

    def hears(self, node: str) -> bool:
        """Whether this instance is connected to the node."""
        found = self._documents.nodes.get(node)
        return found is not None and found.connected

    def forget_node(self, node: str) -> None:
        """The node is no longer one of ours."""
        for kind in KINDS:
            self.replace(kind, node, {})
        self._documents.node(node).mine = False

    # -- Redis --------------------------------------------------------------------------------

    async def _write(self) -> None:
        for kind, tally in self._documents.tallies.items():
            metrics.LIVE_ITEMS.labels(kind).set(tally.total)
        metrics.REGISTRATIONS.set(self._documents.tallies["registrations"].total)
        if self._mirror is None:
            self._documents.dirty.clear()
        else:
            await self._mirror.write()

    async def _follow(self) -> None:
        if self._mirror is not None:
            await self._mirror.beat()
            await self._mirror.follow()

    def _node_lost(self, name: str, first: bool) -> None:
        if self._documents.nodes[name].mine:
            for listener in self._lost:
                listener(name, first)
            for kind in KINDS:
                if kind != "links":
                    self.replace(kind, name, {})

    def _loop(self, work: Any) -> LoopingCall:
        # What went wrong once must not be the end of it: the next round tries again.
        loop = LoopingCall(lambda: Deferred.fromCoroutine(work()).addErrback(self._failed))
        loop.clock = self._clock
        return loop

    def _failed(self, failure: Any) -> None:
        self._log.failure("the live state is not shared", failure)
