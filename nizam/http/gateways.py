"""Gateways: as every resource, with what the switch nodes say of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs
import orjson

from nizam.http.crud import Crud
from nizam.http.etag import etag
from nizam.http.history import EVENTS_SORT
from nizam.http.listing import list_parameters, list_reply
from nizam.http.reply import Reply
from nizam.http.route import Call, Route
from nizam.http.schemas import list_of, ref
from nizam.store.history import GATEWAY_STATE_FIELDS, list_gateway_states
from nizam.store.listing import parse_listing
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

    async def states(self, call: Call) -> Reply:
        """When one gateway came up and went down, the newest first."""
        tenant, identifier = call.tenant, call.id()
        await self.store.get(self.resource, tenant, identifier)
        listing = parse_listing(call.query, GATEWAY_STATE_FIELDS, EVENTS_SORT, id_kind="text")
        return list_reply(
            await self.store.read(
                lambda pool: list_gateway_states(pool, tenant, identifier, listing)
            )
        )

    def routes(self) -> list[Route]:
        """Those of every resource, and the history of its states."""
        return [
            *Crud.routes(self),
            Route(
                method="GET",
                path=f"{self.item}/states",
                handler=self.states,
                summary="When the gateway came up and went down, the newest first.",
                operation="list_gateway_states",
                tag=self.resource.path,
                permission="gateways:read",
                parameters=list_parameters(GATEWAY_STATE_FIELDS, EVENTS_SORT),
                response=list_of(ref("Event")),
            ),
        ]


def with_state(gateway: dict[str, Any], heard: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The gateway with its `state`: up, down (on one node is enough), null while none knows it."""
    mine = [it for it in heard if it["gateway"] == str(gateway["id"])]
    state = ("up" if all(it["up"] for it in mine) else "down") if mine else None
    changed = max((it["changed_at"] for it in mine), default=None)
    return {**gateway, "state": state, "state_changed_at": changed}
