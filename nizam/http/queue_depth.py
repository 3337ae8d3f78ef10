"""GET /api/v1/queue: how much waits to be delivered, over all tenants."""

from __future__ import annotations

import attrs

from nizam.http.reply import Reply
from nizam.http.route import BASE, Call, Route, Schema
from nizam.http.schema_parts import count, object_of
from nizam.store.pool import Pool
from nizam.store.system.waiting_deliveries import oldest_pending_seconds
from nizam.webhooks.queue import PARTITIONS, DeliveryQueue

_DEPTH: Schema = {
    "title": "QueueDepth",
    **object_of(
        "The queue of webhook deliveries, of all tenants.",
        depth=count("How many wait to be sent now, or are being sent: ready and processing."),
        ready=count("Waiting for a worker."),
        processing=count("With a worker."),
        delayed=count("Waiting for the moment of their next attempt."),
        dead=count("Given up lately; the latest 10,000 of each of 16 partitions are counted."),
        oldest_seconds={
            "type": "number",
            "minimum": 0,
            "description": "Age of the oldest delivery that waits for its first attempt.",
        },
    ),
}


@attrs.frozen
class QueueDepth:
    """The handler."""

    queue: DeliveryQueue
    database: Pool

    async def depth(self, call: Call) -> Reply:
        """How much waits to be delivered."""
        depths = [await self.queue.depth(it) for it in range(PARTITIONS)]
        ready, processing, delayed, dead = (
            sum(getattr(it, name) for it in depths)
            for name in ("ready", "processing", "delayed", "dead")
        )
        return Reply(
            {
                "depth": ready + processing,
                "ready": ready,
                "processing": processing,
                "delayed": delayed,
                "dead": dead,
                "oldest_seconds": await oldest_pending_seconds(self.database),
            }
        )

    def routes(self) -> list[Route]:
        """The route of this file."""
        return [
            Route(
                method="GET",
                path=f"{BASE}/queue",
                handler=self.depth,
                summary="How much waits to be delivered to webhooks, over all tenants.",
                operation="queue_depth",
                tag="webhooks",
                access="platform",
                permission="health:read",
                response=_DEPTH,
            )
        ]
