"""The API: what its handlers work with, and all of its routes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import attrs

from nizam.calendars.reader import CalendarReader
from nizam.http.api_keys import ApiKeys
from nizam.http.audit_logs import AuditLogs
from nizam.http.auth import Authenticator
from nizam.http.calendars import Calendars
from nizam.http.call_commands import CallCommands
from nizam.http.call_flows import CallFlows
from nizam.http.call_verbs import CallVerbs
from nizam.http.crud import Crud
from nizam.http.documentation import Documentation
from nizam.http.documents import TenantDocuments
from nizam.http.event_schemas import routes as event_schemas
from nizam.http.explain import Explain
from nizam.http.gateways import Gateways
from nizam.http.greetings import Greetings
from nizam.http.history import History
from nizam.http.limits import Limiter
from nizam.http.limits_in_use import LimitsInUse
from nizam.http.live import Live
from nizam.http.lockout import Lockout
from nizam.http.login import SigningIn
from nizam.http.me import routes as routes_of_me
from nizam.http.music_on_hold import Music
from nizam.http.own_password import OwnPassword
from nizam.http.own_tokens import OwnTokens
from nizam.http.passwords import Passwords
from nizam.http.placing import Placing
from nizam.http.prompts import Prompts
from nizam.http.provision import Provisioning
from nizam.http.queue_depth import QueueDepth
from nizam.http.queueing import Queueing
from nizam.http.realtime import Realtime
from nizam.http.recordings import Recordings
from nizam.http.replays import Replays
from nizam.http.resets import Resets
from nizam.http.reveal import Reveal
from nizam.http.revisions import Revisions
from nizam.http.route import Route
from nizam.http.sign_ins import SignIns
from nizam.http.sounds import Sounds
from nizam.http.stats import Stats
from nizam.http.stream_access import StreamAccess
from nizam.http.stream_tickets import StreamTickets
from nizam.http.switch_nodes import SwitchNodes
from nizam.http.tables import routes as routes_of_tables
from nizam.http.tenants import Tenants
from nizam.http.usage import Usage
from nizam.http.users import Users
from nizam.http.verifier import Verifier
from nizam.http.voicemail import Voicemail
from nizam.http.webhooks import Webhooks
from nizam.kv.interface import IKeyValue
from nizam.media.library import MediaLibrary
from nizam.media.links import FileLinks
from nizam.media.objects import ObjectStore
from nizam.model.events import Event
from nizam.model.registry import resources
from nizam.model.resource import Resource
from nizam.realtime.streams import Streams
from nizam.recordings.files import RecordingFiles
from nizam.routing.snapshot import Snapshot
from nizam.settings import Settings
from nizam.store.documents import Documents
from nizam.store.store import Store
from nizam.switch.call_limits import CallLimits
from nizam.switch.command_links import Links, NoLinks
from nizam.switch.control import CallControl
from nizam.switch.live import LiveState
from nizam.switch.live_facts import LiveFacts
from nizam.switch.originations import Originations
from nizam.switch.preflight import Preflight
from nizam.webhooks.queue import DeliveryQueue


@attrs.frozen(kw_only=True)
class Api:
    """The collaborators of the handlers, put together by the composition root."""

    settings: Settings
    store: Store
    key_value: IKeyValue
    snapshot: Snapshot
    live: LiveState
    queue: DeliveryQueue
    media: MediaLibrary
    limiter: Limiter
    authenticator: Authenticator
    verifier: Verifier
    sign_ins: SignIns
    resets: Resets
    held: Callable[[UUID], Awaitable[bool]]
    counts: CallLimits
    control: CallControl
    preflight: Preflight
    tickets: StreamTickets
    streams: Streams | None
    objects: ObjectStore | None = None

    @classmethod
    def over(
        cls,
        *,
        reactor: Any,
        settings: Settings,
        store: Store,
        key_value: IKeyValue,
        snapshot: Snapshot,
        live: LiveState,
        queue: DeliveryQueue,
        media: MediaLibrary,
        held: Callable[[UUID], Awaitable[bool]] | None = None,
        counts: CallLimits | None = None,
        objects: ObjectStore | None = None,
        links: Links | None = None,
        tell: Callable[[Sequence[Event]], None] = lambda _events: None,
        streams: Streams | None = None,
    ) -> Api:
        """The API over these; it has nothing to start or stop. `held` waits until the snapshot
        holds a new tenant; None if nothing fills it. `counts` are the counters of calls; without
        them those in Redis are read. `objects` is the object storage, if there is one. `links`
        lead to the switches; `tell` stores events. `streams` are those of an instance that has the
        role."""

        async def filled_by_nobody(tenant_id: UUID) -> bool:
            return True

        def now() -> datetime:
            return datetime.fromtimestamp(reactor.seconds(), UTC)

        limiter = Limiter(key_value, reactor.seconds)
        sign_ins, resets = SignIns(key_value, now), Resets(key_value, now)
        tickets = StreamTickets(key_value, now)
        authenticator = Authenticator(
            store.find_api_key,
            store.find_user,
            sign_ins,
            store.touch_api_key,
            reactor.seconds,
            now,
            tickets,
        )
        verifier = Verifier(
            store=store,
            passwords=Passwords(reactor),
            lockout=Lockout(key_value, now),
            limiter=limiter,
            now=now,
            origins=settings.cors_origins,
        )
        counts = counts or CallLimits(reactor, key_value)
        links = links or NoLinks()
        originations = Originations(reactor, key_value, links, live, tell, now)
        return cls(
            settings=settings,
            store=store,
            key_value=key_value,
            snapshot=snapshot,
            live=live,
            queue=queue,
            media=media,
            limiter=limiter,
            authenticator=authenticator,
            verifier=verifier,
            sign_ins=sign_ins,
            resets=resets,
            held=held or filled_by_nobody,
            counts=counts,
            control=CallControl(links, live, originations),
            preflight=Preflight(snapshot, LiveFacts(live, snapshot), counts, tell, now),
            tickets=tickets,
            streams=streams,
        )

    def routes(self) -> list[Route]:
        """Every route: those of the declared resources, and the special ones."""
        found: list[Route] = []
        crud = {it.name: self._crud(it) for it in resources().values()}
        for it in crud.values():
            found += it.routes()
        found += Tenants(self.store, self.settings.retention.tenant_grace_days).routes()
        found += self._provisioning(crud).routes()
        found += Stats(self.store, self.live, self.store.primary.reactor.seconds).routes()
        found += Usage(self.store).routes()
        documents, reactor = Documents(self.store), self.store.primary.reactor
        found += TenantDocuments(documents, reactor).routes()
        found += Revisions(self.store, documents, reactor).routes()
        found += Reveal.over(resources().values(), self.store)
        found += AuditLogs(self.store).routes()
        found += CallFlows(self.store, self.settings.speech is not None).routes()
        queueing = Queueing(self.store, self.queue)
        found += Webhooks(self.store, queueing).routes()
        found += Replays(queueing).routes()
        found += QueueDepth(self.queue, self.store.primary).routes()
        found += History(self.store).routes()
        files = RecordingFiles(self.media, self.objects)
        links = FileLinks.of(self.store.secret_box, "recording-links")
        found += Recordings(self.store, files, links, self.settings.app_url).routes()
        message_links = FileLinks.of(self.store.secret_box, "voicemail-links")
        found += Voicemail(
            store=self.store,
            library=self.media,
            links=message_links,
            control=self.control,
            app_url=self.settings.app_url,
        ).routes()
        found += Greetings(self.store, self.media).routes()
        found += routes_of_tables(self.store, documents, found)
        found += Live(self.live, self.store).routes()
        found += self._call_control()
        found += self.realtime().routes()
        found += Explain(self.snapshot, self.counts, LiveFacts(self.live, self.snapshot)).routes()
        found += LimitsInUse(self.snapshot, self.counts).routes()
        found += self._signing_in()
        found += routes_of_me()
        found += event_schemas.routes()
        found += Documentation(lambda: found, self.settings.app_url).routes()
        return found

    def _call_control(self) -> list[Route]:
        verbs = CallVerbs(snapshot=self.snapshot, control=self.control, preflight=self.preflight)
        placing = Placing(
            store=self.store,
            control=self.control,
            preflight=self.preflight,
            live=LiveFacts(self.live, self.snapshot),
        )
        commands = CallCommands(self.store, self.key_value, verbs)
        return [*placing.routes(), *commands.routes()]

    def _signing_in(self) -> list[Route]:
        verifier, sign_ins = self.verifier, self.sign_ins
        entrance = SigningIn(verifier=verifier, sign_ins=sign_ins, secure=self.settings.production)
        tokens = OwnTokens(verifier=verifier, sign_ins=sign_ins)
        password = OwnPassword(
            verifier=verifier,
            authenticator=self.authenticator,
            sign_ins=sign_ins,
            resets=self.resets,
        )
        return [*entrance.routes(), *tokens.routes(), *password.routes()]

    def realtime(self) -> Realtime:
        """The streams' handlers, and who may have one."""
        own = urlsplit(self.settings.app_url)
        return Realtime(
            store=self.store,
            access=StreamAccess(self.authenticator, self.store, self.snapshot),
            tickets=self.tickets,
            streams=self.streams,
            origins=frozenset({*self.settings.cors_origins, f"{own.scheme}://{own.netloc}"}),
        )

    def _provisioning(self, crud: Mapping[str, Crud]) -> Provisioning:
        users, keys = crud["user"], crud["api_key"]
        assert isinstance(users, Users)  # noqa: S101 - as _crud has it
        assert isinstance(keys, ApiKeys)  # noqa: S101 - as _crud has it
        return Provisioning(
            store=self.store,
            users=users,
            keys=keys,
            snapshot=self.snapshot,
            sip=self.settings.sip,
            held=self.held,
        )

    def _crud(self, it: Resource) -> Crud:
        if it.name == "api_key":
            return ApiKeys(
                it,
                self.store,
                self.authenticator.forget,
                self.verifier.now,
                self.settings.api_rate_limit,
            )
        if it.name == "user":
            return Users(
                it,
                self.store,
                self.authenticator.forget,
                self.verifier.passwords,
                self.sign_ins,
                self.resets,
            )
        if it.name == "switch_node":
            return SwitchNodes(it, self.store, self.live)
        if it.name == "gateway":
            return Gateways(it, self.store, self.live)
        if it.name == "calendar":
            return Calendars(it, self.store, CalendarReader(self.store.primary.reactor))
        if it.name == "prompt":
            return Prompts(it, self.store, Sounds(self.media, "prompts"))
        if it.name == "music_on_hold":
            return Music(it, self.store, Sounds(self.media, "music-on-hold"))
        return Crud(it, self.store)
