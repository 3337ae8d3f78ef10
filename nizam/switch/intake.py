"""What happened, from the switch into the database: the way of every event and every CDR.

Events come from the event links, CDRs by HTTP. They are made into ours, shown in the live state,
and handed to the writer, which never makes FreeSWITCH wait, or kept for the process that stores
what the node says (`node_intake`). The event socket acknowledges nothing; a CDR is acknowledged
when it is in PostgreSQL or in Redis.
"""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from nizam.esl.event import SwitchEvent
from nizam.events.channels import Call, TenantOfDomain
from nizam.events.fields import identifier
from nizam.events.normalise import Normaliser
from nizam.events.places import NO_PLACES, Places
from nizam.events.told import Output
from nizam.fsxml.served import Served
from nizam.kv.interface import IKeyValue
from nizam.model.call_decision import CallDecision
from nizam.model.events import Event, timestamp
from nizam.model.identifiers import new_id
from nizam.store.pool import Pool
from nizam.switch.active_calls import count_calls
from nizam.switch.batch import Batch
from nizam.switch.calls_shown import call_document
from nizam.switch.cdr_intake import CdrIntake
from nizam.switch.channel_index import ChannelIndex
from nizam.switch.gateways_shown import GatewaysShown
from nizam.switch.live import LiveState
from nizam.switch.missing import Missing
from nizam.switch.node_intake import Hands, NodeIntake
from nizam.switch.node_intakes import NodeIntakes
from nizam.switch.phones import Phones
from nizam.switch.storing import Deliveries, Transactions
from nizam.switch.writer import Writer

TICK_SECONDS: Final = 0.25
EXPIRE_SECONDS: Final = 10.0
"""Between looks for phones whose time is over."""


class Intake(Service):
    """Takes what the switch nodes say.

    `database` is the pool of the primary. `tenant_of_domain`, `gateway_owner` and `places` look
    tenants up in the snapshot, `extension_of` the extension with a number of a tenant.
    `on_deliveries` gets (delivery id, webhook id) pairs after their commit, `on_call` each call
    of which something changed. `on_events` is called when events have been committed. `leases` is
    the pool for the leases of nodes, `holder` names whoever has one in them; without it there is
    no other process that stores what they say.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        database: Transactions,
        key_value: IKeyValue | None,
        live: LiveState,
        channel_index: ChannelIndex,
        *,
        tenant_of_domain: TenantOfDomain,
        gateway_owner: Callable[[str], UUID | None] = lambda _name: None,
        places: Places = NO_PLACES,
        extension_of: Callable[[UUID, str], UUID | None] = lambda _tenant_id, _number: None,
        on_deliveries: Callable[[Deliveries], Awaitable[None]],
        on_call: Callable[[Call], None] = lambda _call: None,
        on_events: Callable[[], None] = lambda: None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        leases: Pool | None = None,
        holder: str = "",
    ) -> None:
        self.live = live
        self._clock = clock
        self._now = now
        self._index = channel_index
        self.tenant_of_domain = tenant_of_domain
        self.extension_of = extension_of
        self._gateway_owner = gateway_owner
        self._places = places
        self._on_call = on_call
        self._became_active: dict[str, Callable[[], None]] = {}
        hands = Hands(
            write=self._write,
            tell=self.node_event,
            durable=self._durable,
            waiting=lambda node: self.normaliser(node).waiting,
            leave=self._leave,
            became_active=self._now_active,
        )
        self._instance = str(new_id())
        name = f"{holder} {self._instance}".strip()
        self.nodes = NodeIntakes(
            lambda node: NodeIntake(clock, node, hands, key_value, now, leases, name)
        )
        self.writer = Writer(
            clock,
            database,
            key_value,
            on_deliveries,
            self._was_shed,
            on_events=on_events,
            leases=None if leases is None else self.nodes,
        )
        self.cdrs = CdrIntake(
            clock,
            channel_index,
            self.normaliser,
            self._write,
            self.take,
        )
        self.gateways = GatewaysShown(
            live,
            gateway_owner,
            now,
            lambda node, name, up: self.normaliser(node).gateway_changed(name, up),
            self.node_event,
        )
        self._normalisers: dict[str, Normaliser] = {}
        self._sequence = itertools.count(1)
        self._missing = Missing()
        self.phones = Phones(live, now)
        self._expire_at = 0.0
        live.on_lost(self._node_lost)
        self._ticking = LoopingCall(self._tick)
        self._ticking.clock = clock
        self._finding: Deferred[None] | None = None

    def startService(self) -> None:  # noqa: N802
        """Begin to store."""
        super().startService()  # type: ignore[no-untyped-call]
        self.writer.start()
        self._ticking.start(TICK_SECONDS, now=False).addErrback(
            lambda failure: self._log.failure("the intake's clock stopped", failure)
        )

    def stopService(self) -> Deferred[None]:  # noqa: N802
        """Store everything that waits, or put it into Redis."""
        super().stopService()  # type: ignore[no-untyped-call]
        if self._ticking.running:
            self._ticking.stop()
        for normaliser in self._normalisers.values():
            self.take(normaliser.flush(), normaliser.node)
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        await self.writer.stop()
        await self.nodes.stop()

    def _write(self, batch: Batch) -> None:
        self.writer.add(batch)

    async def _durable(self) -> None:
        await self.writer.settled()

    async def _leave(self, document: bytes) -> None:
        await self.writer.leave(document)

    @property
    def well(self) -> bool:
        """False once its clock has stopped although it runs: what waits would wait for ever."""
        return bool(self._ticking.running) or not self.running

    # -- from the links -------------------------------------------------------------------

    def listen(self, node: str, became_active: Callable[[], None]) -> NodeIntake:
        """The node is one of ours: what is to be told of each event that comes, also where
        nothing follows from it. `became_active` is called whenever what the node says has become
        this process's to store."""
        self._became_active[node] = became_active
        return self.nodes.of_node(node)

    def link_up(self, node: str) -> None:
        """All that the node says is heard from now on."""
        self.nodes.of_node(node).link_up()

    def link_down(self, node: str, reason: str, *, stops: bool = False) -> None:
        """The connection is over; with `stops` because this process wants it so."""
        self.nodes.of_node(node).link_down(reason, stops)

    def stands_by(self, node: str) -> bool:
        """Whether another process is known to do what one alone does for the node."""
        found = self.nodes.get(node)
        return found is not None and found.stands_by

    def normaliser(self, node: str) -> Normaliser:
        """The one that knows the calls of this node."""
        found = self._normalisers.get(node)
        if found is None:
            found = self._normalisers[node] = Normaliser(
                node,
                tenant_of_domain=self.tenant_of_domain,
                lookup=self._index.lookup,
                gateway_owner=self._gateway_owner,
                places=self._places,
            )
        return found

    def has_heard(self, node: str, until: datetime) -> bool:
        """Whether all was heard that the node had fired by this moment, as far as can be told."""
        found = self.nodes.get(node)
        return found is None or found.has_heard(until)

    def switch_event(self, node: str, event: SwitchEvent) -> None:
        """An event of a node has come."""
        if event.subclass == "sofia::gateway_delete":
            self.live.remove("gateways", node, event.get("Gateway") or "")
        output = self.normaliser(node).feed(event, self._clock.seconds())
        self.take(output, node)

    def take(self, output: Output, node: str) -> None:
        """Show and store what followed from something."""
        for call in output.changed.values():
            self._on_call(call)
            key = str(call.call_id)
            if call.finished_at is not None or not call.live:
                self.live.remove("calls", node, key)
            else:
                document = call_document(call, node)
                # Most events change nothing that is shown.
                if document != self.live.get("calls", node, key):
                    self.live.put("calls", node, key, document)
        for it in output.shown:
            if it.document is None:
                self.live.remove(it.kind, node, it.key)
            else:
                self.live.put(it.kind, node, it.key, it.document)
        events: list[Event] = []
        for event in output.events:
            events += self._show(event, node)
        output.events = events
        for leg in output.legs:
            self.cdrs.heard(leg.leg_id)
        if output:
            self._store(node, Batch(output.events, output.legs))

    def _store(self, node: str, batch: Batch) -> None:
        """Store what a node said, if that is for this process to do, or keep it."""
        found = self.nodes.get(node)
        if found is None:
            self.writer.add(batch)
        else:
            found.take(batch)

    def show_all(self, node: str) -> None:
        """Show exactly the calls that are known of the node: reconciliation is through."""
        documents = {
            str(call.call_id): call_document(call, node)
            for call in self.normaliser(node).calls
            if call.live
        }
        self.live.replace("calls", node, documents)
        normaliser = self.normaliser(node)
        self.live.replace("conferences", node, normaliser.conferences.documents())
        self.live.replace("parked_calls", node, normaliser.parking.documents())
        self.live.reconciled(node)

    def calls(self, links: Mapping[str, Mapping[str, Any]]) -> Iterator[Call]:
        """The calls under way on the nodes whose link, as `links` shows it, is connected."""
        for node, normaliser in self._normalisers.items():
            if links.get(node, {}).get("connected"):
                yield from normaliser.calls

    def node_event(
        self, kind: str, node: str, data: Mapping[str, Any], tenant_id: UUID | None = None
    ) -> None:
        """Store an event that we noticed ourselves, such as node.up, node.down or node.gap."""
        event = Event(
            type=kind,
            occurred_at=self._now(),
            core_id=self._instance,
            sequence=next(self._sequence),
            node=node,
            tenant_id=tenant_id,
            data=dict(data),
        )
        self._store(node, Batch([event]))

    def tell(self, events: Sequence[Event], node: str | None = None) -> None:
        """Store events that follow from decisions, or that a node was found to have missed to
        say."""
        if node is None:
            self.writer.add(Batch(list(events)))
        else:
            self._store(node, Batch(list(events)))

    def served(self, it: Served) -> None:
        """Keep how a call was routed, for whoever asks later why."""
        decision, call_id = it.decision, identifier(it.decision.call_id)
        if decision.tenant_id is None or call_id is None or it.view is None:
            return
        kept = CallDecision(
            decided_at=it.at,
            channel_id=it.call.unique_id,
            question=it.call.question_id,
            tenant_id=decision.tenant_id,
            call_id=call_id,
            node=it.call.node,
            revision=decision.revision,
            document=it.document,
        )
        self.writer.add(Batch(decisions=[kept]))

    def forget_node(self, node: str) -> None:
        """The node is no longer one of ours."""
        normaliser = self._normalisers.pop(node, None)
        if normaliser is not None:
            self.take(normaliser.flush(), node)
        self._became_active.pop(node, None)
        self.nodes.forget(node)
        self.live.forget_node(node)

    def _now_active(self, node: str) -> None:
        """What others have left is for this process to store, with what the node says."""
        self.writer.look_for_left()
        became_active = self._became_active.get(node)
        if became_active is not None:
            became_active()

    # -- the clock ----------------------------------------------------------------------------

    def _tick(self) -> None:
        now = self._clock.seconds()
        waiting: dict[str, tuple[Normaliser, UUID]] = {}
        for node, normaliser in self._normalisers.items():
            for call in list(normaliser.waiting):
                found = self._index.lookup(str(call.call_id))
                if found is not None:
                    self.take(normaliser.learn(call.call_id, *found), node)
                else:
                    waiting[str(call.call_id)] = (normaliser, call.call_id)
            self.take(normaliser.tick(now), node)
        if waiting and self._finding is None:
            self._finding = Deferred.fromCoroutine(self._find(waiting))
            # Not at the end of the coroutine: it may end before it is assigned.
            self._finding.addBoth(self._found)
        if self._missing and not self.writer.spilling:
            for node, window in self._missing.take():
                data = {"from": timestamp(window.begin), "to": timestamp(window.end)}
                self.node_event(
                    "node.gap", node, data | {"reason": "buffer full", "dropped": window.dropped}
                )
        if now >= self._expire_at:
            self._expire_at = now + EXPIRE_SECONDS
            for event in self.phones.expire():
                self.tell([event], event.node)
        if self.nodes.tick(now):
            self.writer.look_for_left()
        count_calls(self._normalisers.values())

    async def _find(self, waiting: Mapping[str, tuple[Normaliser, UUID]]) -> None:
        """Ask Redis about calls whose dialplan lookup another instance may have answered."""
        try:
            found = await self._index.find(list(waiting)[:1000])
            for key, (tenant_id, of) in found.items():
                normaliser, call_id = waiting[key]
                self.take(normaliser.learn(call_id, tenant_id, of), normaliser.node)
        except Exception:
            self._log.failure("channels could not be looked up")

    def _found(self, _: object) -> None:
        self._finding = None

    def _was_shed(self, dropped: Batch) -> None:
        self._missing.note(dropped)
        self._log.error("{n} events dropped: no buffer has room", n=len(dropped))

    # -- registrations and gateways -----------------------------------------------------------

    def _show(self, event: Event, node: str) -> list[Event]:
        """Show what the event tells; the events to store."""
        if event.type.startswith("registration."):
            return self.phones.told(event, node)
        if event.type in ("gateway.up", "gateway.down"):
            self.gateways.show(node, event.data, event.tenant_id, event.type == "gateway.up")
        return [event]

    def _node_lost(self, node: str, first: bool) -> None:
        """Nobody hears the node any more; one instance stores that its phones are gone."""
        lost = self.phones.node_lost(node)
        if first and lost:
            self.tell(lost)
