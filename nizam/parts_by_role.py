"""Parts of one role, each made of the settings and of what every role has; `nizam.parts` puts them
together with the others."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from ipaddress import ip_network
from typing import Any
from uuid import UUID

from nizam.media.objects import ObjectStore
from nizam.model.identifiers import new_id
from nizam.model.webhook import Webhook
from nizam.realtime.bell import Bell
from nizam.realtime.catch_up import reading
from nizam.realtime.hub import Hub
from nizam.realtime.pusher.publisher import PusherApp, PusherPublisher
from nizam.realtime.streams import Streams
from nizam.realtime.tail import PAGE_EVENTS, Tail
from nizam.routing.snapshot import Snapshot
from nizam.settings import Settings
from nizam.store.pool import Pool
from nizam.store.secrets import SecretBox
from nizam.store.system.event_log import log_end, read_log
from nizam.webhooks.egress import EgressAgent
from nizam.webhooks.queue import DeliveryQueue
from nizam.webhooks.signing import key_of
from nizam.webhooks.worker import WebhookWorker


def pusher_of(reactor: Any, settings: Settings, pool: Pool, bell: Bell) -> PusherPublisher:
    """The publisher to a Pusher-protocol service, where one is set."""
    pusher = settings.pusher
    # There with this connection: the settings are checked.
    secret = pusher.app_secret.reveal() if pusher.app_secret else ""
    types = frozenset(pusher.event_types)
    app = PusherApp(pusher.url, pusher.app_id or "", pusher.app_key or "", secret, types)
    # The operator chose the target, so any address may be one.
    everywhere = (ip_network("0.0.0.0/0"), ip_network("::/0"))
    egress = EgressAgent(reactor, everywhere)
    return PusherPublisher(reactor, pool, bell, egress, app, f"{socket.gethostname()}-{new_id()}")


def streams_of(reactor: Any, settings: Settings, pool: Pool, bell: Bell) -> Streams:
    """The streams of events to clients."""
    # Here, because the first client would wait for it.
    import nizam.realtime.websocket  # noqa: F401

    hub, limits = Hub(reactor), settings.realtime
    tail = Tail(
        reactor,
        hub,
        bell,
        lambda after: read_log(pool, after, most=PAGE_EVENTS),
        lambda: log_end(pool),
    )
    return Streams(
        reactor,
        hub,
        tail,
        reading(pool),
        most=limits.max_streams,
        most_of_tenant=limits.max_streams_of_tenant,
    )


def webhook_worker_of(
    reactor: Any, settings: Settings, pool: Pool, queue: DeliveryQueue, box: SecretBox
) -> WebhookWorker:
    """What delivers webhooks."""
    given = settings.webhooks

    def reveal(webhook_id: UUID, field: str, sealed: str) -> str:
        return box.decrypt(sealed, "webhook", webhook_id, field)

    return WebhookWorker(
        reactor,
        pool,
        queue,
        EgressAgent(reactor, given.allowed_networks),
        reveal,
        name=f"{socket.gethostname()}-{new_id()}",
        concurrency=given.concurrency,
        endpoint_concurrency=given.endpoint_concurrency,
    )


def object_store_of(reactor: Any, settings: Settings) -> ObjectStore | None:
    """The object storage of the settings, which recordings may lie in although none are moved
    there any more."""
    found = settings.recordings
    return None if found.s3_bucket is None else ObjectStore(reactor, found)


def signing_keys(
    snapshot: Snapshot, box: SecretBox, tenant_id: UUID, webhook_id: UUID
) -> Sequence[bytes]:
    """What requests are signed with that name this webhook; nothing if the tenant has none such."""
    tenant = snapshot.tenant(tenant_id)
    found = None if tenant is None else tenant.get(Webhook, webhook_id)
    sealed = None if found is None else found.secrets.get("secret")
    return () if not sealed else (key_of(box.decrypt(sealed, "webhook", webhook_id, "secret")),)
