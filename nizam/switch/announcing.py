"""What the active process tells of a node: that it is heard, that it is not, and when nobody was
listening."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import orjson

from nizam.errors import KeyValueUnavailable
from nizam.kv.interface import IKeyValue
from nizam.model.events import timestamp
from nizam.switch.coverage import Coverage
from nizam.switch.watermark import Watermark

Tell = Callable[[str, str, Mapping[str, Any]], None]
"""Stores an event of a node: its type, the node, its data."""


class Announcing:
    """Tells by `tell`. `up` is whether it was told last that the node is heard, by whichever
    process; `coverage` what this one has heard of it."""

    def __init__(
        self, node: str, key_value: IKeyValue | None, now: Callable[[], datetime], tell: Tell
    ) -> None:
        self.up = False
        self.coverage = Coverage()
        self._node = node
        self._key_value = key_value
        self._now = now
        self._tell = tell

    def announce(self, up: bool) -> None:
        """This process is active, and hears the node if it is `up`."""
        if not self.up:
            self._tell("node.up", self._node, {})
        self.up = up

    def down(self, reason: str) -> None:
        """This process is active, and hears the node no more."""
        self.up = False
        self._tell("node.down", self._node, {"reason": reason})

    async def tell_gaps(self, told: Watermark | None) -> None:
        """Tell what nobody has heard: what is missing here after everything that was durable, as
        the process before `told`, or noted in Redis while it could not."""
        until = None if told is None else told.until
        if self._key_value is not None and self.coverage.is_open:
            try:
                stored = await self._key_value.get(self._key)
                if stored:
                    remembered = datetime.fromisoformat(orjson.loads(stored))
                    until = max(remembered, until or remembered)
                else:
                    # If this is the first process, and dies before it has heard anything, the next
                    # one knows of it.
                    await self._key_value.set(self._key, orjson.dumps(self._now()))
            except KeyValueUnavailable:
                pass
        for hole in self.coverage.missing(until):
            data: dict[str, Any] = {
                "from": timestamp(hole.begin) if hole.begin else None,
                "to": timestamp(hole.end),
                "reason": hole.reason,
            }
            if hole.dropped is not None:
                data["dropped"] = hole.dropped
            self._tell("node.gap", self._node, data)

    async def remember(self, until: datetime) -> None:
        """Note for the next process until when everything is durable: PostgreSQL may be away."""
        if self._key_value is not None:
            try:
                await self._key_value.set(self._key, orjson.dumps(until))
            except KeyValueUnavailable:
                return

    @property
    def _key(self) -> str:
        return f"nizam:heard:{self._node}"
