"""What a decision asks for beside its plan, in the words of cases."""

from __future__ import annotations

import re
from collections.abc import Iterator
from uuid import UUID

import orjson

from nizam.document.keys import key_text
from nizam.model.registry import resource, resources
from nizam.routing.snapshot import TenantView
from tests.routing.cases.calling import Made


def changes(made: Made) -> Iterator[str]:
    """Each change that the call makes: `extension 1001 {"do_not_disturb":true}`."""
    for it in made.decision.commands:
        view = made.view
        entry = None if view is None else view.find(it.resource, it.id)
        assert view is not None
        assert entry is not None, "what is changed must be the tenant's"
        name = key_text(resource(it.resource), entry.body.model_dump(mode="json", by_alias=True))
        yield f"{it.resource} {name} {_named(view, orjson.dumps(dict(it.changes)).decode())}"


def counts(made: Made) -> Iterator[str]:
    """Each limit that the call counts under: `concurrent extension 1001 of 2`; of costly calls
    alone `attempts/costly extension 1001 of 30`; `later` is one that it may come to count under."""
    for it in made.decision.limits:
        view = made.view
        assert view is not None
        kind = {"route": "outbound_route"}.get(it.scope, it.scope)
        entry = None if kind == "tenant" else view.find(kind, it.id)
        name = ""
        if entry is not None:
            fields = entry.body.model_dump(mode="json", by_alias=True)
            name = f" {key_text(resource(kind), fields)}"
        kind = f"{it.kind}/{it.of}" if it.of else it.kind
        yield f"{kind} {it.scope}{name} of {it.most}{' later' if it.look else ''}"


def _named(view: TenantView, text: str) -> str:
    """The text with the names of the tenant's objects in the place of their ids."""

    def name(match: re.Match[str]) -> str:
        for kind, declared in resources().items():
            entry = view.find(kind, UUID(match[0])) if declared.scope == "tenant" else None
            if entry is not None:
                return key_text(declared, entry.body.model_dump(mode="json", by_alias=True))
        return match[0]

    return re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", name, text)
