"""What a decision asks for beside its plan, in the words of cases."""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from nizam.document.keys import key_text
from nizam.model.registry import resource
from tests.routing.cases.calling import Made


def changes(made: Made) -> Iterator[str]:
    """Each change that the call makes: `extension 1001 {"do_not_disturb":true}`."""
    for it in made.decision.commands:
        view = made.view
        entry = None if view is None else view.find(it.resource, it.id)
        assert entry is not None, "what is changed must be the tenant's"
        name = key_text(resource(it.resource), entry.body.model_dump(mode="json", by_alias=True))
        yield f"{it.resource} {name} {orjson.dumps(dict(it.changes)).decode()}"


def counts(made: Made) -> Iterator[str]:
    """Each limit that the call counts under: `concurrent extension 1001 of 2`."""
    for it in made.decision.limits:
        view = made.view
        assert view is not None
        kind = {"route": "outbound_route"}.get(it.scope, it.scope)
        entry = None if kind == "tenant" else view.find(kind, it.id)
        name = ""
        if entry is not None:
            fields = entry.body.model_dump(mode="json", by_alias=True)
            name = f" {key_text(resource(kind), fields)}"
        yield f"{it.kind} {it.scope}{name} of {it.most}"
