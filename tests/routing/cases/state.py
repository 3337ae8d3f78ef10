"""The state of the moment that a case describes, as decisions are given it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import attrs

from nizam.document.keys import key_text
from nizam.model.registry import resource
from nizam.routing.facts import Contact, Facts, Fetched, Limit, RingingLeg
from nizam.routing.snapshot import TenantView
from tests.routing.cases.case import State

NODE = "fs1"


@attrs.frozen
class CaseLive:
    """What `facts` of a case says, of one tenant; of others it knows nothing."""

    state: State
    view: TenantView

    def contacts(self, tenant_id: UUID, number: str) -> tuple[Contact, ...]:
        """The phones under `registered`."""
        if tenant_id != self.view.id:
            return ()
        given = (it.partition(" @") for it in self.state.registered.get(number, ()))
        return tuple(Contact(uri, node or NODE) for uri, _, node in given)

    def legs(self, tenant_id: UUID, extension_id: UUID) -> int:
        """The count under `calls`."""
        return self.state.calls.get(self._number(tenant_id, extension_id), 0)

    def ringing(self, tenant_id: UUID, extension_id: UUID) -> tuple[RingingLeg, ...]:
        """The legs under `ringing`."""
        legs = self.state.ringing.get(self._number(tenant_id, extension_id), ())
        began = "2026-11-24T15:00:00Z"
        named = [it.partition(" @") for it in legs]
        return tuple(
            RingingLeg(leg, leg, extension_id, node or NODE, began) for leg, _, node in named
        )

    def gateway_up(self, gateway_id: UUID, node: str) -> bool | None:
        """Whether it stands under `up` or `down`."""
        name = _name(self.view, "gateway", gateway_id)
        return name in self.state.up if name in {*self.state.up, *self.state.down} else None

    def node_address(self, node: str) -> str | None:
        """The address under `nodes`."""
        return self.state.nodes.get(node)

    def _number(self, tenant_id: UUID, extension_id: UUID) -> str:
        return _name(self.view, "extension", extension_id) if tenant_id == self.view.id else ""


def facts_of(state: State, view: TenantView) -> Facts:
    """The facts for a call of the tenant."""
    full = {_limit_key(view, words): most for words, most in state.full.items()}
    return Facts(CaseLive(state, view), full, {}, state.changes_fail)


def answered(facts: Facts, key: str, answer: Any) -> Facts:
    """The facts once the request `key` was answered: with an object, or not, for a reason."""
    if isinstance(answer, Mapping):
        fetched = Fetched("answered", answer)
    else:
        fetched = Fetched("failed", words=str(answer))
    return attrs.evolve(facts, fetched={**facts.fetched, key: fetched})


def _limit_key(view: TenantView, words: str) -> str:
    what, scope, *name = words.split(" ", 2)
    kind, _, day = what.partition("@")
    kind, _, of = kind.partition("/")
    fields: dict[str, Any] = {"kind": kind, "scope": scope, "most": 1, "of": of, "day": day}
    if scope == "tenant":
        return Limit(id=view.id, **fields).key
    stored = {"route": "outbound_route"}.get(scope, scope)
    found = next(
        it.id
        for it in view.all(resource(stored).body)
        if _name(view, stored, it.id) == " ".join(name)
    )
    return Limit(id=found, **fields).key


def _name(view: TenantView, kind: str, identifier: UUID) -> str:
    entry = view.find(kind, identifier)
    if entry is None:
        return ""
    return key_text(resource(kind), entry.body.model_dump(mode="json", by_alias=True))
