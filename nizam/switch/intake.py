"""What happened, from the switch into the database: the way of every event and every CDR.

Events come from the event links, CDRs by HTTP. They are made into ours, shown in the live state,
and handed to the writer, which never makes FreeSWITCH wait. The event socket acknowledges
nothing; a CDR is acknowledged when it is in PostgreSQL or in Redis.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import attrs
import orjson
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from nizam import metrics
from nizam.errors import DatabaseUnavailable, MalformedJson
from nizam.esl.event import SwitchEvent
from nizam.events.channels import Call, TenantOfDomain
from nizam.events.fields import identifier
from nizam.events.legs import Leg, leg_from_json_cdr
from nizam.events.normalise import Normaliser
from nizam.events.places import NO_PLACES, Places
from nizam.events.told import Output
from nizam.fsxml.served import Served
from nizam.kv.interface import IKeyValue
from nizam.model.call_decision import CallDecision
from nizam.model.events import Event, timestamp
from nizam.model.identifiers import new_id
from nizam.switch.batch import Batch
from nizam.switch.calls_shown import call_document
from nizam.switch.channel_index import ChannelIndex
from nizam.switch.live import LiveState
from nizam.switch.live_index import Document
from nizam.switch.missing import Missing
from nizam.switch.phones import Phones
from nizam.switch.writer import Deliveries, Transactions, Writer

TICK_SECONDS: Final = 0.25
CDR_SECONDS: Final = 5.0
EXPIRE_SECONDS: Final = 10.0
"""Between looks for phones whose time is over."""
EARLY_CDRS: Final = 20_000
"""CDRs kept in memory for legs whose hang-up was not heard: reconciliation needs them."""


class Intake(Service):
    """Takes what the switch nodes say.

    `database` is the pool of the primary. `tenant_of_domain`, `gateway_owner` and `places` look
    tenants up in the snapshot, `extension_of` the extension with a number of a tenant.
    `on_deliveries` gets (delivery id, webhook id) pairs after their commit, `on_call` each call
    of which something changed. `on_events` is called when events have been committed.
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
        writer: Writer | None = None,
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
        self.writer = writer or Writer(
            clock, database, key_value, on_deliveries, self._was_shed, on_events=on_events
        )
        self._normalisers: dict[str, Normaliser] = {}
        self._early_cdrs: OrderedDict[UUID, Leg] = OrderedDict()
        self._instance = str(new_id())
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
        return Deferred.fromCoroutine(self.writer.stop())

    # -- from the links -------------------------------------------------------------------

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
                self.live.put("calls", node, key, call_document(call, node))
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
            self._early_cdrs.pop(leg.leg_id, None)
        if output:
            self.writer.add(Batch(output.events, output.legs))

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
        self.writer.add(Batch([event]))

    def tell(self, events: Sequence[Event]) -> None:
        """Store events that follow from decisions."""
        self.writer.add(Batch(list(events)))

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

    async def durable_until(self, node: str, heard_until: datetime) -> datetime:
        """Wait until what the node has said so far is in PostgreSQL or Redis; the moment until
        which that is all of it, at most `heard_until`: what waits for its tenant is in memory.

        Raises DatabaseUnavailable when something had to be dropped meanwhile.
        """
        waiting = self.normaliser(node).waiting
        moments = [event.occurred_at for call in waiting for event in call.waiting[:1]]
        await self.writer.settled()
        return min([heard_until, *moments])

    def forget_node(self, node: str) -> None:
        """The node is no longer one of ours."""
        normaliser = self._normalisers.pop(node, None)
        if normaliser is not None:
            self.take(normaliser.flush(), node)
        self.live.forget_node(node)

    def early_cdr(self, leg_id: UUID) -> Leg | None:
        """The CDR of a leg whose hang-up was not heard, if it has come."""
        return self._early_cdrs.get(leg_id)

    # -- from mod_json_cdr --------------------------------------------------------------------

    async def accept_cdr(
        self, node: str, uuid: str, record: Mapping[str, Any] | bytes | str
    ) -> None:
        """Store a record of mod_json_cdr; returns when it is stored or safe in Redis.

        `uuid` is what the request's address says. Raises MalformedJson or ValidationFailed for
        what is no CDR, DatabaseUnavailable when it is not safe yet: the same record may come
        again, any number of times.
        """
        if not isinstance(record, Mapping):
            try:
                record = orjson.loads(record)
            except orjson.JSONDecodeError as error:
                raise MalformedJson(f"the CDR of {uuid} is not JSON: {error}") from None
            if not isinstance(record, Mapping):
                raise MalformedJson(f"the CDR of {uuid} is not a JSON object")
        leg = self._placed(leg_from_json_cdr(record, node), node)
        waiter: Deferred[None] = Deferred()
        self.writer.add(Batch([], [leg], [waiter]))

        def give_up() -> None:
            if not waiter.called:
                waiter.errback(DatabaseUnavailable("the CDR is not stored yet"))

        timer = self._clock.callLater(CDR_SECONDS, give_up)
        try:
            await waiter
        finally:
            if timer.active():
                timer.cancel()

    def _placed(self, leg: Leg, node: str) -> Leg:
        """The leg with its call and tenant, as far as memory knows better than the record."""
        calls = self.normaliser(node).calls
        call = calls.of_leg(leg.leg_id)
        if call is None and leg.originator_id is not None:
            call = calls.of_leg(leg.originator_id)
        call_id = call.told_id if call else leg.call_id
        if call_id is None and leg.direction == "inbound" and leg.originator_id is None:
            call_id = leg.leg_id
        tenant_id = leg.tenant_id or (call.tenant_id if call else None)
        if tenant_id is None:
            found = self._index.lookup(str(call_id or leg.leg_id))
            tenant_id = found[0] if found else None
        leg = attrs.evolve(leg, call_id=call_id, tenant_id=tenant_id)
        channel = call.channels.get(leg.leg_id) if call else None
        if channel is None or not channel.ended:
            self._early_cdrs[leg.leg_id] = leg
            if len(self._early_cdrs) > EARLY_CDRS:
                self._early_cdrs.popitem(last=False)
        if call is not None and call.tenant_id is None and tenant_id is not None:
            self.take(self.normaliser(node).learn(call.call_id, tenant_id), node)
        return leg

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
            expired = self.phones.expire()
            if expired:
                self.tell(expired)
        self._count()

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

    def _count(self) -> None:
        """Active calls by tenant; only so many tenants get a line of their own."""
        counts: dict[str, int] = {}
        for normaliser in self._normalisers.values():
            for call in normaliser.calls:
                if call.part_of is not None:
                    continue
                tenant = str(call.tenant_id or "")
                if tenant not in counts and len(counts) >= 50:
                    tenant = "other"
                counts[tenant] = counts.get(tenant, 0) + 1
        metrics.ACTIVE_CALLS.clear()
        for tenant, count in counts.items():
            metrics.ACTIVE_CALLS.labels(tenant).set(count)

    # -- registrations and gateways -----------------------------------------------------------

    def _show(self, event: Event, node: str) -> list[Event]:
        """Show what the event tells; the events to store."""
        if event.type.startswith("registration."):
            return self.phones.told(event, node)
        if event.type in ("gateway.up", "gateway.down"):
            self.show_gateway(node, event.data, event.tenant_id, event.type == "gateway.up")
        return [event]

    def _node_lost(self, node: str, first: bool) -> None:
        """Nobody hears the node any more; one instance stores that its phones are gone."""
        lost = self.phones.node_lost(node)
        if first and lost:
            self.tell(lost)

    def gateways_seen(
        self, node: str, seen: Iterable[tuple[Mapping[str, Any], bool | None]]
    ) -> None:
        """Reconciliation has seen these gateways and no others; a change since we last knew is an
        event too. One that is between two states stays as it was known."""
        shown: dict[str, Document] = {}
        for data, up in seen:
            name = str(data["gateway"])
            known = self.live.get("gateways", node, name)
            if up is None:
                shown |= {name: known} if known else {}
                continue
            owner = self._gateway_owner(name)
            shown[name] = self._gateway(node, data, owner, up)
            if self.normaliser(node).gateway_changed(name, up):
                self.node_event("gateway.up" if up else "gateway.down", node, data, owner)
        gone = self.live.shown("gateways", node).keys() - shown.keys()
        self.live.replace("gateways", node, shown)
        for name in gone - {it["gateway"] for it in self.live.gateways()}:
            # Of a gateway that was removed nobody is to be told that it is down.
            metrics.GATEWAY_UP.remove(name)

    def show_gateway(
        self, node: str, data: Mapping[str, Any], tenant_id: UUID | None, up: bool
    ) -> None:
        """Show the state of a gateway."""
        document = self._gateway(node, data, tenant_id, up)
        self.live.put("gateways", node, str(data["gateway"]), document)

    def _gateway(
        self, node: str, data: Mapping[str, Any], tenant_id: UUID | None, up: bool
    ) -> Document:
        name = str(data["gateway"])
        metrics.GATEWAY_UP.labels(name).set(up)
        known = self.live.get("gateways", node, name)
        same = known is not None and known["up"] == up
        return dict(data) | {
            "tenant_id": str(tenant_id) if tenant_id else None,
            "node": node,
            "up": up,
            "changed_at": known["changed_at"] if known and same else timestamp(self._now()),
        }
