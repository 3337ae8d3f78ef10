"""Finding documents of the live state by what they say, without going through all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import attrs

Document = dict[str, Any]
Name = tuple[str, str]


def users(document: Mapping[str, Any]) -> Iterable[Name]:
    """The tenant and user that a registration is of."""
    return ((str(document.get("tenant_id")), str(document.get("user"))),)


def extensions(document: Mapping[str, Any]) -> Iterable[Name]:
    """The tenant and extensions whose legs a call has."""
    tenant = str(document.get("tenant_id"))
    found = {leg["extension_id"] for leg in document["legs"] if leg["extension_id"]}
    return ((tenant, it) for it in found)


def names(document: Mapping[str, Any]) -> Iterable[Name]:
    """The name of a gateway."""
    return (("gateway", str(document.get("gateway"))),)


BY: Mapping[str, Callable[[Mapping[str, Any]], Iterable[Name]]] = {
    "calls": extensions,
    "registrations": users,
    "gateways": names,
}
"""Kind of document -> under which names it is found."""


@attrs.define
class Documents:
    """The documents of one kind of one node, by key and by the names of `by`."""

    by: Callable[[Mapping[str, Any]], Iterable[Name]] | None = None
    found: dict[str, Document] = attrs.field(factory=dict)
    _named: dict[Name, dict[str, Document]] = attrs.field(factory=dict)

    def put(self, key: str, document: Document) -> None:
        """Keep the document under the key, in place of the one before."""
        self._unname(key)
        self.found[key] = document
        for name in () if self.by is None else self.by(document):
            self._named.setdefault(name, {})[key] = document

    def remove(self, key: str) -> Document | None:
        """Forget the document under the key; what it was."""
        self._unname(key)
        return self.found.pop(key, None)

    def replace(self, documents: Mapping[str, Document]) -> None:
        """Keep exactly these."""
        self.found, self._named = {}, {}
        for key, document in documents.items():
            self.put(key, document)

    def named(self, name: Name) -> Iterable[Document]:
        """The documents that are found under the name."""
        return self._named.get(name, {}).values()

    def _unname(self, key: str) -> None:
        before = self.found.get(key)
        for name in () if before is None or self.by is None else self.by(before):
            keys = self._named.get(name)
            if keys is not None:
                keys.pop(key, None)
                if not keys:
                    del self._named[name]
