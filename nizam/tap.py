"""From the command line to a running daemon: the one place that puts the parts together."""

from __future__ import annotations

import gc
import os
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from ipaddress import ip_network
from random import SystemRandom
from typing import Any
from uuid import UUID

import attrs
from twisted.application.service import IService, Service
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.web.resource import IResource, Resource

from nizam import __version__, metrics
from nizam.errors import DatabaseUnavailable, KeyValueUnavailable
from nizam.events.places import places_in
from nizam.http.api import Api
from nizam.http.app import build_root
from nizam.http.cdr import CdrResource
from nizam.http.commanding import StoreCommander
from nizam.http.deciding import CallDecider
from nizam.http.flow_requests import FlowRequests
from nizam.http.node_credentials import NodeCredentials
from nizam.http.server import MAX_CONNECTIONS, BoundedSite
from nizam.http.xmlcurl import XmlCurlResource
from nizam.kv.single import SingleRedis
from nizam.mail.outbox import MailOutbox
from nizam.mail.smtp import SmtpMailer
from nizam.media.library import MediaLibrary
from nizam.media.objects import ObjectStore
from nizam.media.recordings import RecordingFolders
from nizam.model.gateway import Gateway
from nizam.model.identifiers import new_id
from nizam.model.webhook import Webhook
from nizam.ops.deadline import within
from nizam.ops.health import Finding, Health, HealthResource, State, probe_resources
from nizam.ops.leader import Leader
from nizam.ops.notify import SystemdNotifier
from nizam.ops.prometheus import MetricsResource, StallMeter
from nizam.ops.purge import Purge
from nizam.ops.scheduled import scheduled_tasks
from nizam.ops.scheduler import Scheduler
from nizam.options import Options
from nizam.realtime.bell import Bell
from nizam.realtime.catch_up import reading
from nizam.realtime.hub import Hub
from nizam.realtime.pusher.publisher import PusherApp, PusherPublisher
from nizam.realtime.streams import Streams
from nizam.realtime.tail import PAGE_EVENTS, Tail
from nizam.recordings.keeper import RecordingKeeper
from nizam.routing.peer_calls import peer_keys
from nizam.routing.snapshot import Snapshot
from nizam.settings import Role, Settings
from nizam.store.pool import Pool
from nizam.store.secrets import SecretBox
from nizam.store.store import Store
from nizam.store.system.event_log import log_end, read_log
from nizam.store.system.scheduled_tasks import SCHEDULER_LEASE
from nizam.store.system.secret_keys import keys_in_use
from nizam.switch.call_limits import CallLimits
from nizam.switch.call_states import is_counted
from nizam.switch.channel_index import ChannelIndex
from nizam.switch.command_links import CommandLinks
from nizam.switch.intake import Intake
from nizam.switch.live import LiveState
from nizam.switch.live_documents import Most
from nizam.switch.live_facts import LiveFacts
from nizam.switch.nodes import SwitchNodes
from nizam.switch.notices import NoticeTeller
from nizam.switch.snapshots import Changed, SnapshotService
from nizam.switch.spent_minutes import SpentMinutes
from nizam.webhooks.egress import EgressAgent
from nizam.webhooks.queue import DeliveryQueue
from nizam.webhooks.signing import key_of
from nizam.webhooks.worker import WebhookWorker

__all__ = ["Options", "build_daemon", "makeService"]

KEY_RETRY_SECONDS = 1.0
READY_POLL_SECONDS = 0.1
REQUESTS_SECONDS = 5.0
"""How long a stop waits for the requests that are being answered."""

API_SECONDS = 1.0
"""How long a request of the API waits for PostgreSQL before it is answered 503."""

STOP_SECONDS = 28.0
"""How long a stop may take in all; systemd and Kubernetes are told to wait 35 s."""

XML_BODY_BYTES = 4 * 1024 * 1024

Deliveries = Iterable[tuple[UUID, UUID]]


def makeService(options: Options) -> IService:  # noqa: N802 - Twisted's name
    """The whole daemon as one service, from parsed options."""
    from twisted.internet import reactor

    return build_daemon(options.loaded.settings, reactor)


def build_daemon(settings: Settings, reactor: Any) -> IService:
    """The daemon with the roles that the settings name; it serves once it was started."""
    # Twisted would log two lines for each connection that is made.
    Factory.noisy = False
    daemon: IService = Daemon(settings, reactor)
    return daemon


class Daemon(Service):
    """Starts the parts in the order in which they need each other, and stops them in reverse.

    The HTTP port listens from the start: until the routing data is loaded it answers the probes,
    and 503 to everything else.
    """

    _log = Logger()

    def __init__(self, settings: Settings, reactor: Any) -> None:
        self.name = "nizam"
        self._settings = settings
        self._reactor = reactor
        self._site = BoundedSite(
            _NotReady(),  # type: ignore[no-untyped-call]
            reactor,
            body_limits={b"/freeswitch/": XML_BODY_BYTES},
            max_connections=MAX_CONNECTIONS + _streams_in(settings),
            unlimited=(*settings.http.trusted_proxies, *settings.http.xml_allowed_networks),
        )
        self._port: Any = None
        self._parts: _Parts | None = None
        self._starting: Deferred[None] | None = None
        self._notifier = SystemdNotifier(reactor, os.environ)
        self._stalls = StallMeter(reactor)

    def privilegedStartService(self) -> None:  # noqa: N802 - Twisted's name
        """Listen, while the process still may use the port."""
        http = self._settings.http
        self._port = self._reactor.listenTCP(
            http.port, self._site, interface=http.host, backlog=socket.SOMAXCONN
        )

    def startService(self) -> None:  # noqa: N802 - Twisted's name
        """Start every part; what is away is waited for."""
        super().startService()  # type: ignore[no-untyped-call]
        metrics.BUILD_INFO.labels(__version__).set(1)
        self._stalls.startService()
        self._starting = Deferred.fromCoroutine(self._start())
        self._starting.addErrback(self._failed)

    def stopService(self) -> Deferred[None]:  # noqa: N802 - Twisted's name
        """Take no more work, finish what is under way, give back the rest, within 28 s."""
        super().stopService()  # type: ignore[no-untyped-call]
        return Deferred.fromCoroutine(self._stop_in_time())

    async def _stop_in_time(self) -> None:
        if not await within(self._reactor, STOP_SECONDS, self._stop()):
            self._log.warn("some parts did not stop in time; what they held is durable elsewhere")

    async def _start(self) -> None:
        parts = self._parts = _Parts(self._settings, self._reactor)
        await parts.connect()
        while not await parts.unlock():
            await deferLater(self._reactor, KEY_RETRY_SECONDS)
            if not self.running:
                return
        self._site.resource = parts.build()
        parts.start()
        while self.running and not parts.health.ready:
            await deferLater(self._reactor, READY_POLL_SECONDS)
        if self.running:
            set_aside_what_stays()
            self._notifier.ready()
            self._log.info("ready: {roles}", roles=", ".join(sorted(self._settings.roles)))

    async def _stop(self) -> None:
        self._notifier.stopService()
        if self._starting is not None:
            await self._starting
        if self._parts is not None:
            self._parts.health.drain()
        if self._port is not None:
            await self._port.stopListening()
        if self._parts is not None and self._parts.streams is not None:
            await self._parts.streams.drain()
        await self._site.finish(REQUESTS_SECONDS)
        if self._parts is not None:
            await self._parts.stop()
        self._stalls.stopService()

    def _failed(self, failure: Any) -> None:
        self._log.failure("the daemon could not start", failure)
        if self._reactor.running:
            self._reactor.stop()


def _streams_in(settings: Settings) -> int:
    """How many connections streams may take beside those of requests."""
    return settings.realtime.max_streams if Role.REALTIME in settings.roles else 0


def set_aside_what_stays() -> None:
    """Spare full collections of garbage the modules and tenants that were loaded by now: going
    through them takes a tenth of a second, in which no call is answered."""
    gc.collect()
    gc.freeze()


class _NotReady(Resource):
    """What the port answers before the parts are put together."""

    isLeaf = True  # noqa: N815 - Twisted's name

    def render(self, request: Any) -> bytes:
        """200 for the question whether the process lives, 503 for everything else."""
        alive = request.path == b"/livez"
        request.setResponseCode(200 if alive else 503)
        request.setHeader(b"content-type", b"application/json")
        if not alive:
            request.setHeader(b"retry-after", b"1")
        return b'{"status": "ok"}' if alive else b'{"status": "unavailable"}'


class _Parts:
    """The object graph of one process."""

    _log = Logger()

    def __init__(self, settings: Settings, reactor: Any) -> None:
        self.settings = settings
        self.reactor = reactor
        database, redis = settings.database, settings.redis
        # Apart, so that a burst of requests does not keep what happened from being stored, and a
        # client is told within a second what the intake can wait for.
        for_api = database.pool_size // 2
        self.api_pool = Pool(reactor, database.dsn(), for_api, "api", deadline=API_SECONDS)
        self.primary = Pool(reactor, database.dsn(), database.pool_size - for_api, "primary")
        self.replicas = [
            Pool(reactor, dsn, database.read_pool_size, f"replica{number}", deadline=API_SECONDS)
            for number, dsn in enumerate(database.read_dsns(), 1)
        ]
        self.streams: Streams | None = None
        self.key_value = SingleRedis(
            reactor,
            redis.host,
            redis.port,
            redis.password.reveal() if redis.password else None,
            redis.database,
            username=redis.username,
        )
        self.health = Health(reactor, {"snapshot": lambda: Finding(State.FAILED)}, {})
        self._services: list[Service] = []
        self._flow_requests: FlowRequests | None = None
        self._bell: Bell | None = None
        self._box: SecretBox | None = None
        self._peer_keys: tuple[bytes, ...] = ()
        self._objects: ObjectStore | None = None

    async def connect(self) -> None:
        """Begin to connect to PostgreSQL and Redis; what is away is tried again by itself."""
        # A server that hangs must not keep the others, or the copy in Redis, from being used.
        for pool in (self.primary, self.api_pool, *self.replicas):
            Deferred.fromCoroutine(pool.start())
        await self.key_value.start()

    async def unlock(self) -> bool:
        """Find the keys that decrypt stored secrets; False when nobody can say them yet."""
        try:
            keys = await keys_in_use(self.primary, self.key_value, self.settings.secret_keys)
        except (DatabaseUnavailable, KeyValueUnavailable):
            return False
        self._box = SecretBox(keys)
        self._peer_keys = peer_keys(it.key for it in keys)
        return True

    def build(self) -> Resource:
        """Put the services of this process's roles together; the root of its HTTP tree."""
        if self._box is None:
            raise RuntimeError("the keys have to be there first")
        settings, reactor, box, roles = self.settings, self.reactor, self._box, self.settings.roles
        environment = "live" if settings.production else "test"
        store = Store(self.api_pool, self.replicas, box, environment=environment)
        media = MediaLibrary(reactor, settings.media_root)
        objects = self._objects = _object_store(reactor, settings)
        snapshot = Snapshot(settings.media_root, settings.speech, self._peer_keys)
        snapshots = SnapshotService(reactor, self.primary, self.key_value, snapshot)
        live = LiveState(reactor, self.key_value, most=Most.of(**attrs.asdict(settings.live)))
        index = ChannelIndex(reactor, self.key_value)
        queue = DeliveryQueue(self.key_value)
        worker = self._worker(queue, box) if Role.DELIVER in roles else None
        enqueue = worker.enqueue if worker else _Pusher(queue).enqueue
        store.on_deliveries(enqueue)
        bell = Bell(reactor, self.key_value)
        store.on_events(bell.ring)
        mails: list[Service] = []
        if worker is not None:
            mailer = SmtpMailer(reactor, settings.mail)
            mails = [MailOutbox(reactor, self.primary, mailer)]

        async def committed(deliveries: Deliveries) -> None:
            enqueue(deliveries)

        limits = CallLimits(
            reactor,
            self.key_value,
            calls=lambda: intake.calls(live.links()),
            counted=lambda tenant_id, number: is_counted(snapshot, tenant_id, number),
            deadline=settings.redis.limits_timeout_ms / 1000,
        )
        intake = Intake(
            reactor,
            self.primary,
            self.key_value,
            live,
            index,
            tenant_of_domain=lambda domain: _tenant_of_domain(snapshot, domain),
            gateway_owner=lambda name: _gateway_owner(snapshot, name),
            places=places_in(snapshot),
            extension_of=lambda tenant_id, number: _extension_of(snapshot, tenant_id, number),
            on_deliveries=committed,
            on_call=limits.changed,
            on_events=bell.ring,
        )
        # The intake stores CDRs that come by HTTP in every role; links are the intake role's.
        # The worker outlives the intake, whose last batch still makes deliveries.
        others = [*([worker] if worker else []), *mails]
        self._services = [media, snapshots, live, limits, *others, intake]
        nodes: SwitchNodes | None = None
        if Role.SCHEDULER in roles:
            keeper = RecordingKeeper(
                reactor,
                self.primary,
                media,
                enqueue,
                objects,
                move=settings.recordings.storage == "s3",
            )
            self._services.append(keeper)
        if Role.INTAKE in roles:
            nodes = SwitchNodes(
                reactor,
                intake,
                snapshot,
                box,
                self.key_value,
                settings.nodes,
                sip=settings.sip,
                ready=lambda: snapshots.ready,
            )
            snapshots.on_change(nodes.changed)
            self._services.append(nodes)
            spent = SpentMinutes(
                reactor,
                self.key_value,
                snapshot=snapshot,
                live=live,
                counts=limits,
                links=nodes,
                tell=intake.tell,
            )
            self._services.append(spent)
        links: SwitchNodes | CommandLinks | None = nodes
        if nodes is None and Role.API in roles:
            links = CommandLinks(reactor, snapshot, box, settings.nodes)
            snapshots.on_change(links.changed)
            self._services.append(links)
        self._bell = bell
        if Role.REALTIME in roles:
            self.streams = self._open_streams(bell)
            self._publish(bell)
        api = Api.over(
            reactor=reactor,
            settings=settings,
            store=store,
            key_value=self.key_value,
            snapshot=snapshot,
            live=live,
            queue=queue,
            held=snapshots.holds,
            media=media,
            objects=objects,
            counts=limits,
            links=links,
            tell=intake.tell,
            streams=self.streams,
        )
        scheduler = self._scheduler(api, store) if Role.SCHEDULER in roles else None
        self.health = self._health(snapshot, snapshots, live, nodes, scheduler)
        self._services.append(self.health)

        mounted: dict[str, IResource] = {"/api/health": HealthResource(self.health)}
        for name, probe in probe_resources(self.health).items():
            mounted[f"/{name.decode()}"] = probe
        token = settings.http.metrics_token
        mounted["/metrics"] = MetricsResource(
            token.reveal() if token else None,
            [lambda: metrics.SNAPSHOT_AGE_SECONDS.set(snapshots.age_seconds)],
        )
        if Role.XML in roles:
            credentials = NodeCredentials(
                snapshot, box.decrypt, settings.xml_clients, settings.http.xml_allowed_networks
            )
            self._flow_requests = FlowRequests(
                reactor,
                self.key_value,
                EgressAgent(reactor, settings.webhooks.allowed_networks),
                lambda tenant_id, webhook_id: _signing_keys(snapshot, box, tenant_id, webhook_id),
            )
            decider = CallDecider(
                snapshot,
                reactor,
                SystemRandom(),
                LiveFacts(live, snapshot),
                limiter=limits,
                commander=StoreCommander(store),
                fetcher=self._flow_requests,
                observers=(index.served, intake.served, NoticeTeller(intake.tell).served),
            )
            mounted["/freeswitch/xml"] = XmlCurlResource(
                snapshot,
                credentials,
                decider,
                box.decrypt,
                settings.sip,
                lambda: snapshots.ready,
                log_lookups=settings.log_level == "debug",
            )
            mounted["/freeswitch/cdr"] = CdrResource(credentials, intake.accept_cdr, reactor)

        def forget_people(changed: list[Changed]) -> None:
            if any(it[0] in ("api_key", "user", "tenant") for it in changed):
                api.authenticator.forget()
                if self.streams is not None:
                    self.streams.check_all()

        if self.streams is not None:
            self.streams.check = api.realtime().access.check
        snapshots.on_change(forget_people)
        if roles & {Role.API, Role.SCHEDULER}:
            snapshots.on_change(RecordingFolders(media, snapshot).changed)
        routes = api.routes() if roles & {Role.API, Role.REALTIME} else []
        if Role.API not in roles:
            routes = [it for it in routes if it.tag == "realtime"]
        return build_root(api, reactor, mounted, routes)

    def _publish(self, bell: Bell) -> None:
        """The publisher to a Pusher-protocol service, among the services, where one is set."""
        pusher = self.settings.pusher
        if pusher.connection != "pusher":
            return
        # There with this connection: the settings are checked.
        secret = pusher.app_secret.reveal() if pusher.app_secret else ""
        types = frozenset(pusher.event_types)
        app = PusherApp(pusher.url, pusher.app_id or "", pusher.app_key or "", secret, types)
        # The operator chose the target, so any address may be one.
        everywhere = (ip_network("0.0.0.0/0"), ip_network("::/0"))
        egress = EgressAgent(self.reactor, everywhere)
        holder = f"{socket.gethostname()}-{new_id()}"
        self._services.append(
            PusherPublisher(self.reactor, self.primary, bell, egress, app, holder)
        )

    def _open_streams(self, bell: Bell) -> Streams:
        """The streams, among the services."""
        # Here, because the first client would wait for it.
        import nizam.realtime.websocket  # noqa: F401

        hub, pool, limits = Hub(self.reactor), self.primary, self.settings.realtime
        tail = Tail(
            self.reactor,
            hub,
            bell,
            lambda after: read_log(pool, after, most=PAGE_EVENTS),
            lambda: log_end(pool),
        )
        streams = Streams(
            self.reactor,
            hub,
            tail,
            reading(pool),
            most=limits.max_streams,
            most_of_tenant=limits.max_streams_of_tenant,
        )
        self._services.append(streams)
        return streams

    def start(self) -> None:
        """Start every service."""
        for service in self._services:
            service.startService()  # type: ignore[no-untyped-call]

    async def stop(self) -> None:
        """Stop every service, what makes work before what does it, then the connections."""
        for service in reversed(self._services):
            try:
                stopping: Any = service.stopService()  # type: ignore[no-untyped-call]
                if isinstance(stopping, Deferred):
                    await stopping
            except Exception:
                # The others still hold what has to be stored or given back.
                self._log.failure("{part} did not stop cleanly", part=type(service).__name__)
        if self._bell is not None:
            self._bell.stop()
        if self._flow_requests is not None:
            await self._flow_requests.close()
        if self._objects is not None:
            self._objects.close()
        await self.key_value.stop()
        pools = (self.primary, self.api_pool, *self.replicas)
        await DeferredList([Deferred.fromCoroutine(pool.stop()) for pool in pools])

    def _worker(self, queue: DeliveryQueue, box: SecretBox) -> WebhookWorker:
        settings = self.settings.webhooks

        def reveal(webhook_id: UUID, field: str, sealed: str) -> str:
            return box.decrypt(sealed, "webhook", webhook_id, field)

        return WebhookWorker(
            self.reactor,
            self.primary,
            queue,
            EgressAgent(self.reactor, settings.allowed_networks),
            reveal,
            name=f"{socket.gethostname()}-{new_id()}",
            concurrency=settings.concurrency,
            endpoint_concurrency=settings.endpoint_concurrency,
        )

    def _scheduler(self, api: Api, store: Store) -> Scheduler:
        """The scheduled work, among the services with what it needs."""
        name = f"{socket.gethostname()}-{new_id()}"
        leader = Leader(self.reactor, self.primary, SCHEDULER_LEASE, name)
        end_sign_ins = api.signing_in.sign_ins.revoke_all
        purge = Purge(store, api.media, self.key_value, end_sign_ins, api.objects)
        tasks = scheduled_tasks(self.settings.retention, purge, api.live)
        scheduler = Scheduler(self.reactor, self.primary, leader, tasks)
        self._services += [leader, scheduler]
        return scheduler

    def _health(
        self,
        snapshot: Snapshot,
        snapshots: SnapshotService,
        live: LiveState,
        nodes: SwitchNodes | None,
        scheduler: Scheduler | None,
    ) -> Health:
        def esl() -> Finding:
            links = (
                nodes.connected
                if nodes is not None
                else {name: bool(it.get("connected")) for name, it in live.links().items()}
            )
            connected = bool(links) and all(links.values())
            state = State.OK if connected or not links else State.DEGRADED
            return Finding(state, {"connected": connected})

        def gateways() -> Finding:
            heard = live.gateways()
            shown = [
                {
                    "name": _gateway_name(snapshot, it["gateway"]),
                    "state": "up" if it["up"] else "down",
                }
                for it in heard
            ]
            down = any(not it["up"] for it in heard)
            return Finding(State.DEGRADED if down else State.OK, {"gateways": shown})

        def loaded() -> Finding:
            state = State.OK if snapshots.ready else State.FAILED
            return Finding(state, {"age_seconds": round(snapshots.age_seconds, 3)})

        probes: dict[str, Callable[[], Awaitable[object]]] = {
            "database": lambda: self.primary.query("select 1", deadline=1.0),
            "redis": self.key_value.ping,
        }

        def shown() -> Finding:
            state = State.DEGRADED if live.full else State.OK
            return Finding(state, {"full": live.full} if live.full else {})

        checks = {"esl": esl, "gateways": gateways, "live": shown, "snapshot": loaded}
        if scheduler is not None:
            checks["scheduler"] = scheduler.finding
        return Health(self.reactor, checks, probes)


def _object_store(reactor: Any, settings: Settings) -> ObjectStore | None:
    """The object storage of the settings, which recordings may lie in although none are moved
    there any more."""
    found = settings.recordings
    return None if found.s3_bucket is None else ObjectStore(reactor, found)


class _Pusher:
    """Hands deliveries to the workers of other processes; their sweep finds what was missed."""

    _log = Logger()

    def __init__(self, queue: DeliveryQueue) -> None:
        self._queue = queue

    def enqueue(self, deliveries: Deliveries) -> None:
        """Push committed deliveries, as (delivery id, webhook id), without waiting."""
        Deferred.fromCoroutine(self._push(list(deliveries)))

    async def _push(self, deliveries: Sequence[tuple[UUID, UUID]]) -> None:
        try:
            await self._queue.push(deliveries)
        except KeyValueUnavailable:
            self._log.warn("{count} webhook deliveries wait for the sweep", count=len(deliveries))


def _signing_keys(
    snapshot: Snapshot, box: SecretBox, tenant_id: UUID, webhook_id: UUID
) -> Sequence[bytes]:
    """What requests are signed with that name this webhook; nothing if the tenant has none such."""
    tenant = snapshot.tenant(tenant_id)
    found = None if tenant is None else tenant.get(Webhook, webhook_id)
    sealed = None if found is None else found.secrets.get("secret")
    return () if not sealed else (key_of(box.decrypt(sealed, "webhook", webhook_id, "secret")),)


def _tenant_of_domain(snapshot: Snapshot, domain: str) -> UUID | None:
    tenant = snapshot.tenant_by_domain(domain)
    return None if tenant is None else tenant.id


def _extension_of(snapshot: Snapshot, tenant_id: UUID, number: str) -> UUID | None:
    tenant = snapshot.tenant(tenant_id)
    found = None if tenant is None else tenant.by_number(number)
    return found.id if found is not None and found.resource == "extension" else None


def _gateway_of(snapshot: Snapshot, name: str) -> tuple[UUID, Gateway] | None:
    """The tenant and the gateway; FreeSWITCH knows gateways by their ids."""
    try:
        identifier = UUID(name)
    except ValueError:
        return None
    for tenant in snapshot.tenants():
        found = tenant.get(Gateway, identifier)
        if found is not None:
            return tenant.id, found.body
    return None


def _gateway_owner(snapshot: Snapshot, name: str) -> UUID | None:
    found = _gateway_of(snapshot, name)
    return None if found is None else found[0]


def _gateway_name(snapshot: Snapshot, name: str) -> str:
    found = _gateway_of(snapshot, name)
    return name if found is None else found[1].name
