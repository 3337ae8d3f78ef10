"""Gateways: as every resource, with what the switch nodes say of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs
import orjson

from nizam.http.crud import Crud
from nizam.http.etag import etag
from nizam.http.reply import Reply
from nizam.http.route import Call
from nizam.switch.live import LiveState


@attrs.frozen
class Gateways(Crud):
    """The handlers; the state is what this instance, or the one that listens, has heard."""

    live: LiveState

    @property
    def beside(self) -> tuple[str, ...]:
        """What is shown of a gateway and is no part of its body."""
        return ("state", "state_changed_at")

    def listed(self, call: Call, rows: Sequence[str]) -> Sequence[Any]:
        """Each gateway with its state."""
        heard = self.live.gateways(call.tenant_id)
        return [with_state(orjson.loads(it), heard) for it in rows]

    async def get(self, call: Call) -> Reply:
        """One gateway with its state: never 304, for the state has no version."""
        found = await self.store.get(self.resource, call.tenant_id, call.id())
        document = with_state(found.shown(), self.live.gateways(call.tenant_id))
        return Reply(document, 200, (("ETag", etag(found.version)),))


def with_state(gateway: dict[str, Any], heard: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The gateway with its `state`: up, down (on one node is enough), null while none knows it."""
    mine = [it for it in heard if it["gateway"] == str(gateway["id"])]
    state = ("up" if all(it["up"] for it in mine) else "down") if mine else None
    changed = max((it["changed_at"] for it in mine), default=None)
    return {**gateway, "state": state, "state_changed_at": changed}
