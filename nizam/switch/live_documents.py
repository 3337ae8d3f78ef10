"""The documents of the live state, of all nodes, and what of them Redis is yet to be told.

Memory is bounded: beyond a number in all, and for each tenant, what is new is not shown. That is
counted, logged, and told by the health of the instance for a minute after it happened last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import attrs
from twisted.logger import Logger

from nizam import metrics
from nizam.switch.live_index import BY, Document, Documents, Tally

KINDS: Final = ("calls", "registrations", "gateways", "links", "conferences", "parked_calls")
SAID_AGAIN_SECONDS: Final = 60.0


@attrs.frozen
class Most:
    """How many documents are shown: of each kind in all, and for one tenant."""

    in_all: Mapping[str, int] = attrs.field(factory=dict)
    per_tenant: Mapping[str, int] = attrs.field(factory=dict)

    @classmethod
    def of(
        cls,
        max_calls: int = 50_000,
        max_calls_per_tenant: int = 10_000,
        max_registrations: int = 200_000,
        max_registrations_per_tenant: int = 50_000,
    ) -> Most:
        """Conferences and parked calls consist of calls, and are bounded as those are."""
        of_calls = ("calls", "conferences", "parked_calls")
        return cls(
            {
                **dict.fromkeys(of_calls, max_calls),
                "registrations": max_registrations,
                "gateways": 100_000,
            },
            {
                **dict.fromkeys(of_calls, max_calls_per_tenant),
                "registrations": max_registrations_per_tenant,
            },
        )


@attrs.define
class NodeDocuments:
    """What is known of one node.

    `mine` when this instance listens to it itself; `reconciled` when it was compared with the
    switch since it was connected. `version` is how far what another instance mirrors has been read
    of each kind.
    """

    documents: dict[str, Documents]
    mine: bool = False
    reconciled: bool = False
    version: dict[str, int] = attrs.field(factory=lambda: dict.fromkeys(KINDS, 0))

    @property
    def connected(self) -> bool:
        """Whether this instance hears what the node says, as far as it was told."""
        link = self.documents["links"].found.get("link")
        return self.mine and (link is None or bool(link.get("connected")))


class LiveDocuments:
    """The documents of all nodes. `seconds` is a clock."""

    _log = Logger()

    def __init__(self, seconds: Callable[[], float], most: Most) -> None:
        self.nodes: dict[str, NodeDocuments] = {}
        self.tallies = {kind: Tally() for kind in KINDS}
        self.dirty: dict[tuple[str, str], set[str]] = {}
        self._seconds = seconds
        self._most = most
        self._full_at: dict[str, float] = {}

    def node(self, name: str) -> NodeDocuments:
        """The documents of a node, of which there may be none yet."""
        found = self.nodes.get(name)
        if found is None:
            documents = {kind: Documents(BY.get(kind), self.tallies[kind]) for kind in KINDS}
            found = self.nodes[name] = NodeDocuments(documents)
        return found

    def of(self, kind: str) -> Iterator[Documents]:
        """The documents of one kind, node by node."""
        return (node.documents[kind] for node in self.nodes.values())

    def put(self, kind: str, node: str, key: str, document: Document) -> bool:
        """Show this document of a node that we listen to; False where there are too many."""
        mine = self._mine(node)
        if kind == "links" and not document.get("connected"):
            mine.reconciled = False
        if not self.keep(mine.documents[kind], kind, key, document):
            return False
        self.dirty.setdefault((kind, node), set()).add(key)
        return True

    def remove(self, kind: str, node: str, key: str) -> Document | None:
        """Show it no more; what it was."""
        before = self._mine(node).documents[kind].remove(key)
        if before is not None:
            self.dirty.setdefault((kind, node), set()).add(key)
        return before

    def replace(self, kind: str, node: str, documents: Mapping[str, Document]) -> None:
        """Show exactly these of the node."""
        known = self._mine(node).documents[kind].found
        for key in known.keys() - documents.keys():
            self.remove(kind, node, key)
        for key, document in documents.items():
            if known.get(key) != document:
                self.put(kind, node, key, document)

    def drop(self, name: str) -> None:
        """Forget a node, here alone."""
        node = self.nodes.pop(name, None)
        for documents in () if node is None else node.documents.values():
            for key in list(documents.found):
                documents.remove(key)
        for kind in KINDS:
            self.dirty.pop((kind, name), None)

    def whole(self, node: str) -> None:
        """Tell Redis everything of the node again."""
        for kind, documents in self.nodes[node].documents.items():
            self.dirty.setdefault((kind, node), set()).update(documents.found)

    def keep(self, documents: Documents, kind: str, key: str, document: Document) -> bool:
        """Keep the document, unless there are too many already."""
        if key not in documents.found:
            scope = self._reached(kind, document.get("tenant_id"))
            if scope is not None:
                self._refuse(kind, scope, document.get("tenant_id"))
                return False
        documents.put(key, document)
        return True

    @property
    def full(self) -> list[str]:
        """The kinds of which not everything is shown, or was not a minute ago."""
        now = self._seconds()
        return [it for it, at in self._full_at.items() if now - at < SAID_AGAIN_SECONDS]

    def _reached(self, kind: str, tenant: Any) -> str | None:
        tally = self.tallies[kind]
        if tally.total >= self._most.in_all.get(kind, tally.total + 1):
            return "all"
        if tenant is not None:
            count = tally.by_tenant[tenant]
            if count >= self._most.per_tenant.get(kind, count + 1):
                return "tenant"
        return None

    def _refuse(self, kind: str, scope: str, tenant: Any) -> None:
        metrics.LIVE_REFUSED_TOTAL.labels(kind, scope).inc()
        if kind not in self.full:
            self._full_at[kind] = self._seconds()
            whose = f" of tenant {tenant}" if scope == "tenant" else ""
            self._log.error("too many {kind}{whose}: not all are shown", kind=kind, whose=whose)

    def _mine(self, name: str) -> NodeDocuments:
        node = self.node(name)
        node.mine = True
        return node
