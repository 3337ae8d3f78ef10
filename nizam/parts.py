"""The parts of one process, made and put together according to its settings and roles."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from random import SystemRandom
from typing import Any

import attrs
from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import Logger
from twisted.web.resource import IResource, Resource

from nizam import metrics
from nizam.errors import DatabaseUnavailable, KeyValueUnavailable
from nizam.events.places import places_in
from nizam.http.api import Api
from nizam.http.app import build_root
from nizam.http.cdr import CdrResource
from nizam.http.commanding import StoreCommander
from nizam.http.deciding import CallDecider
from nizam.http.flow_requests import FlowRequests
from nizam.http.node_credentials import NodeCredentials
from nizam.http.xmlcurl import XmlCurlResource
from nizam.kv.make import key_value_of
from nizam.mail.outbox import MailOutbox
from nizam.mail.smtp import SmtpMailer
from nizam.media.library import MediaLibrary
from nizam.media.objects import ObjectStore
from nizam.media.recordings import RecordingFolders
from nizam.model.identifiers import new_id
from nizam.ops.backup_meter import BackupMeter
from nizam.ops.checks import Checks
from nizam.ops.health import Finding, Health, HealthResource, State, probe_resources
from nizam.ops.leader import Leader
from nizam.ops.media_meter import MediaMeter
from nizam.ops.prometheus import MetricsResource
from nizam.ops.purge import Purge
from nizam.ops.scheduled import scheduled_tasks
from nizam.ops.scheduler import Scheduler
from nizam.ops.schema import SchemaCheck, latest_revision
from nizam.parts_by_role import (
    object_store_of,
    pusher_of,
    signing_keys,
    streams_of,
    webhook_worker_of,
)
from nizam.realtime.bell import Bell
from nizam.realtime.streams import Streams
from nizam.recordings.keeper import RecordingKeeper
from nizam.routing.peer_calls import peer_keys
from nizam.routing.snapshot import Snapshot
from nizam.settings import Role, Settings
from nizam.store.opening import primary_pool, read_replicas
from nizam.store.pool import Pool
from nizam.store.secrets import SecretBox
from nizam.store.store import Store
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
from nizam.switch.owners import Owners
from nizam.switch.snapshots import Changed, SnapshotService
from nizam.switch.spent_minutes import SpentMinutes
from nizam.voicemail.files import MessageFiles
from nizam.voicemail.letters import VoicemailLetters
from nizam.voicemail.mailboxes import Mailboxes
from nizam.webhooks.egress import EgressAgent
from nizam.webhooks.handing_on import Deliveries, OtherWorkers
from nizam.webhooks.queue import DeliveryQueue

API_SECONDS = 1.0
"""How long a request of the API waits for PostgreSQL before it is answered 503."""


class Parts:
    """The object graph of one process."""

    _log = Logger()

    def __init__(self, settings: Settings, reactor: Any) -> None:
        self.settings = settings
        self.reactor = reactor
        database = settings.database
        # Apart, so that a burst of requests does not keep what happened from being stored, and a
        # client is told within a second what the intake can wait for.
        for_api = database.pool_size // 2
        self.api_pool = primary_pool(reactor, database, for_api, "api", deadline=API_SECONDS)
        self.primary = primary_pool(reactor, database, database.pool_size - for_api, "primary")
        self.key_value = key_value_of(reactor, settings.redis)
        self.replicas = read_replicas(
            reactor, database, self.api_pool, self.key_value, deadline=API_SECONDS
        )
        self.streams: Streams | None = None
        self.health = Health(reactor, {"snapshot": lambda: Finding(State.FAILED)}, {})
        self._services: list[Service] = []
        self._flow_requests: FlowRequests | None = None
        self._bell: Bell | None = None
        self._intake: Intake | None = None
        self._box: SecretBox | None = None
        self._peer_keys: tuple[bytes, ...] = ()
        self._objects: ObjectStore | None = None

    async def connect(self) -> None:
        """Begin to connect to PostgreSQL and Redis; what is away is tried again by itself."""
        # A server that hangs must not keep the others, or the copy in Redis, from being used.
        for pool in self._pools:
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
        store = Store(self.api_pool, box, replicas=self.replicas, environment=environment)
        media = MediaLibrary(reactor, settings.media_root)
        objects = self._objects = object_store_of(reactor, settings)
        snapshot = Snapshot(settings.media_root, settings.speech, self._peer_keys)
        snapshots = SnapshotService(
            reactor,
            self.primary,
            self.key_value,
            snapshot,
            listen_dsn=settings.database.direct_dsn(),
        )
        owners = Owners(snapshot)
        live = LiveState(reactor, self.key_value, most=Most.of(**attrs.asdict(settings.live)))
        index = ChannelIndex(reactor, self.key_value)
        queue = DeliveryQueue(self.key_value)
        worker = None
        if Role.DELIVER in roles:
            worker = webhook_worker_of(reactor, settings, self.primary, queue, box)
        enqueue = worker.enqueue if worker else OtherWorkers(queue).enqueue
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
        intake = self._intake = Intake(
            reactor,
            self.primary,
            self.key_value,
            live,
            index,
            tenant_of_domain=owners.of_domain,
            gateway_owner=owners.of_gateway,
            places=places_in(snapshot),
            extension_of=owners.extension,
            on_deliveries=committed,
            on_call=limits.changed,
            on_events=bell.ring,
            # Those without links store CDRs alone, which are nobody's.
            leases=self.primary if Role.INTAKE in roles else None,
            holder=socket.gethostname(),
        )
        # The intake stores CDRs that come by HTTP in every role; links are the intake role's.
        # The worker outlives the intake, whose last batch still makes deliveries.
        others = [*([worker] if worker else []), *mails]
        self._services = [media, snapshots, live, limits, *others, intake]
        if self.replicas is not None:
            self._services.append(self.replicas)
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
            letters = VoicemailLetters(self.primary, media)
            self._services += [
                keeper,
                MessageFiles(reactor, self.primary, media),
                MailOutbox(reactor, self.primary, SmtpMailer(reactor, settings.mail), letters),
            ]
        if Role.INTAKE in roles:
            nodes = SwitchNodes(
                reactor,
                intake,
                snapshot,
                box,
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
            self._services += [spent, Mailboxes(reactor, self.primary, nodes, enqueue)]
        links: SwitchNodes | CommandLinks | None = nodes
        if nodes is None and Role.API in roles:
            links = CommandLinks(reactor, snapshot, box, settings.nodes)
            snapshots.on_change(links.changed)
            self._services.append(links)
        self._bell = bell
        if Role.REALTIME in roles:
            self.streams = streams_of(reactor, settings, self.primary, bell)
            self._services.append(self.streams)
            if settings.pusher.connection == "pusher":
                self._services.append(pusher_of(reactor, settings, self.primary, bell))
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
        schema = SchemaCheck(reactor, self.primary, latest_revision())
        self._services.append(schema)
        checks = Checks(owners, snapshots, live, nodes, scheduler, schema).by_name()
        self.health = Health(reactor, checks, self._probes())
        self._services.append(self.health)
        if roles & {Role.API, Role.SCHEDULER}:
            # Those that write files there; others may be without the mount.
            self._services.append(MediaMeter(reactor, media))
        if Role.SCHEDULER in roles:
            self._services.append(BackupMeter(reactor, self.primary))

        mounted: dict[str, IResource] = {"/api/health": HealthResource(self.health)}
        for name, probe in probe_resources(self.health).items():
            mounted[f"/{name.decode()}"] = probe
        token = settings.http.metrics_token
        mounted["/metrics"] = MetricsResource(
            token.reveal() if token else None,
            [lambda: metrics.SNAPSHOT_AGE_SECONDS.set(snapshots.age_seconds), self.health.measure],
        )
        if Role.XML in roles:
            credentials = NodeCredentials(
                snapshot, box.decrypt, settings.xml_clients, settings.http.xml_allowed_networks
            )
            self._flow_requests = FlowRequests(
                reactor,
                self.key_value,
                EgressAgent(reactor, settings.webhooks.allowed_networks),
                lambda tenant_id, webhook_id: signing_keys(snapshot, box, tenant_id, webhook_id),
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
            mounted["/freeswitch/cdr"] = CdrResource(credentials, intake.cdrs.accept, reactor)

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
        routes = [
            it
            for it in (api.routes() if roles & {Role.API, Role.REALTIME} else ())
            if (Role.REALTIME if it.tag == "realtime" else Role.API) in roles
        ]
        return build_root(api, reactor, mounted, routes)

    @property
    def well(self) -> bool:
        """Whether nothing here has come to a standstill that only a new process can end."""
        return self._intake is None or self._intake.well

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
        await DeferredList([Deferred.fromCoroutine(pool.stop()) for pool in self._pools])

    @property
    def _pools(self) -> tuple[Pool, ...]:
        replicas = () if self.replicas is None else self.replicas.all
        reading = (pool for it in replicas for pool in (it.pool, it.watch))
        return (self.primary, self.api_pool, *reading)

    def _scheduler(self, api: Api, store: Store) -> Scheduler:
        """The scheduled work, among the services with what it needs."""
        name = f"{socket.gethostname()}-{new_id()}"
        leader = Leader(self.reactor, self.primary, SCHEDULER_LEASE, name)
        end_sign_ins = api.sign_ins.revoke_all
        purge = Purge(store, api.media, self.key_value, end_sign_ins, api.objects)
        tasks = scheduled_tasks(self.settings.retention, purge, api.live)
        scheduler = Scheduler(self.reactor, self.primary, leader, tasks)
        self._services += [leader, scheduler]
        return scheduler

    def _probes(self) -> dict[str, Callable[[], Awaitable[object]]]:
        return {
            "database": lambda: self.primary.query("select 1", deadline=1.0),
            "redis": self.key_value.ping,
        }
