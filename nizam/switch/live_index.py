"""Finding documents of the live state by what they say, without going through all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import attrs

Document = dict[str, Any]
Name = tuple[str, str]


def users(document: Mapping[str, Any]) -> Iterable[Name]:
    """The tenant and user that a registration is of."""
    return ((str(document.get("tenant_id")), str(document.get("user"))),)


def call_names(document: Mapping[str, Any]) -> Iterable[Name]:
    """The id of a call, and the tenant and extensions whose legs it has."""
    tenant = str(document.get("tenant_id"))
    found = {leg["extension_id"] for leg in document["legs"] if leg["extension_id"]}
    return (("call", str(document.get("call_id"))), *((tenant, it) for it in found))


def names(document: Mapping[str, Any]) -> Iterable[Name]:
    """The name of a gateway."""
    return (("gateway", str(document.get("gateway"))),)


BY: Mapping[str, Callable[[Mapping[str, Any]], Iterable[Name]]] = {
    "calls": call_names,
    "registrations": users,
    "gateways": names,
}
"""Kind of document -> under which names it is found."""


@attrs.define
class Tally:
    """How many documents of one kind there are, on all nodes: in all, and of each tenant."""

    total: int = 0
    by_tenant: Counter[str | None] = attrs.field(factory=Counter)

    def add(self, document: Mapping[str, Any], amount: int) -> None:
        """One more, or one less; what is a part of a call is none."""
        if document.get("part"):
            return
        tenant = document.get("tenant_id")
        self.total += amount
        self.by_tenant[tenant] += amount
        if not self.by_tenant[tenant]:
            del self.by_tenant[tenant]


@attrs.define
class Documents:
    """The documents of one kind of one node, by key and by the names of `by`."""

    by: Callable[[Mapping[str, Any]], Iterable[Name]] | None = None
    tally: Tally = attrs.field(factory=Tally)
    found: dict[str, Document] = attrs.field(factory=dict)
    _named: dict[Name, dict[str, Document]] = attrs.field(factory=dict)

    def put(self, key: str, document: Document) -> None:
        """Keep the document under the key, in place of the one before."""
        self._forget(key)
        self.found[key] = document
        self.tally.add(document, 1)
        for name in () if self.by is None else self.by(document):
            self._named.setdefault(name, {})[key] = document

    def remove(self, key: str) -> Document | None:
        """Forget the document under the key; what it was."""
        self._forget(key)
        return self.found.pop(key, None)

    def named(self, name: Name) -> Iterable[Document]:
        """The documents that are found under the name."""
        return self._named.get(name, {}).values()

    def _forget(self, key: str) -> None:
        before = self.found.get(key)
        if before is None:
            return
        self.tally.add(before, -1)
        for name in () if self.by is None else self.by(before):
            keys = self._named.get(name)
            if keys is not None:
                keys.pop(key, None)
                if not keys:
                    del self._named[name]
