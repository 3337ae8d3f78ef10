"""Switch nodes: as every resource, with the state of the link to each, and what is on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import orjson

from nizam.http.crud import Crud
from nizam.http.etag import etag
from nizam.http.reply import Reply
from nizam.http.route import Call
from nizam.switch.live import LiveState

_NO_LINK: dict[str, Any] = {
    "connected": False,
    "since": None,
    "last_event_at": None,
    "lag_seconds": None,
}


@attrs.frozen
class SwitchNodes(Crud):
    """The handlers; `link` is what this instance, or the one that listens to it, says."""

    live: LiveState

    @property
    def beside(self) -> tuple[str, ...]:
        """What is shown of a node and is no part of its body."""
        return ("link", "calls", "registrations")

    def listed(self, call: Call, rows: Sequence[str]) -> Sequence[Any]:
        """Each node with its link."""
        return [self._with_link(orjson.loads(it)) for it in rows]

    async def get(self, call: Call) -> Reply:
        """One node with its link: never 304, for the link has no version."""
        found = await self.store.get(self.resource, None, call.id())
        return Reply(self._with_link(found.shown()), 200, (("ETag", etag(found.version)),))

    def _with_link(self, node: dict[str, Any]) -> dict[str, Any]:
        name = node["name"]
        link = self.live.links().get(name)
        # What is known of a node that is not heard may be over long since.
        known = link is not None and link["connected"]
        return {
            **node,
            "link": link or _NO_LINK,
            "calls": self.live.amount("calls", name) if known else None,
            "registrations": self.live.amount("registrations", name) if known else None,
        }
