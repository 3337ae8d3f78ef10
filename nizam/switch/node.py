"""One switch node: the link that listens, the link that commands, and what keeps both honest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from nizam import metrics
from nizam.errors import NizamError
from nizam.esl.event import SwitchEvent
from nizam.esl.interface import ISwitchLink
from nizam.esl.link import EslLink
from nizam.esl.session import Refusal
from nizam.esl.subscription import CALL_CONTROL, CALL_EVENTS
from nizam.events.fields import moment
from nizam.model.events import timestamp
from nizam.switch.intake import Intake
from nizam.switch.node_intake import NodeIntake
from nizam.switch.node_specs import NodeSpec
from nizam.switch.profiles import BETWEEN_LOOKS_SECONDS, SipProfiles
from nizam.switch.reconcile import Reconciled, reconcile

RECONCILE_SECONDS: Final = 60.0
"""Between comparisons while the link stands: FreeSWITCH drops events for a listener that is too
slow, and tells nobody."""
RECONCILE_RETRY_SECONDS: Final = 1.0
NOT_READY_SECONDS: Final = 0.1
SHOW_SECONDS: Final = 1.0
COMMAND_SECONDS: Final = 5.0
RECENT_SECONDS: Final = 20.0
"""How old a change is that whoever was active until now has surely made the switch take over."""


class Node(Service):
    """Both links of one node, from startService to stopService.

    `gateways` gives the ids of the gateways that it should have, `marks` what its SIP profiles are
    started with; `ready` says whether the routing data is there, without which nothing that is
    found on the switch would have a tenant.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        spec: NodeSpec,
        intake: Intake,
        *,
        gateways: Callable[[], Iterable[UUID]] = tuple,
        marks: Callable[[], Mapping[str, str]] = dict,
        ready: Callable[[], bool] = lambda: True,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.spec = spec
        self.last_reconciled: Reconciled | None = None
        self._reactor = reactor
        self._intake = intake
        self._ready = ready
        self._now = now
        endpoint = HostnameEndpoint(reactor, spec.host, spec.port)
        self._events = EslLink(
            reactor,
            endpoint,
            spec.password,
            subscription=CALL_EVENTS,
            on_event=self._event,
            on_up=self._events_up,
            on_down=self._events_down,
            on_refused=self._refused,
            name=f"{spec.name} events",
        )
        self._commands = EslLink(
            reactor,
            endpoint,
            spec.password,
            subscription=CALL_CONTROL,
            on_up=self._commands_up,
            on_refused=self._refused,
            name=f"{spec.name} commands",
        )
        self._profiles = SipProfiles(reactor, self._commands, spec.name, gateways, marks)
        self._aligning: Deferred[Any] | None = None
        self._changes: list[tuple[float, UUID | None]] = []
        self._ever_up = False
        self._behind = False
        self._hearing: NodeIntake | None = None
        self._since: datetime | None = None
        self._last_event_at: datetime | None = None
        self._lag_seconds: float | None = None
        self._left_at: datetime | None = None
        self._reconcile_due = False
        self._reconciling: Deferred[None] | None = None
        self._timers: dict[str, IDelayedCall] = {}
        metrics.ESL_CONNECTED.labels(spec.name).set(0)
        metrics.ESL_RECONNECTS_TOTAL.labels(spec.name)
        for refusal in Refusal:
            metrics.ESL_REFUSALS_TOTAL.labels(spec.name, refusal.value)

    @property
    def connected(self) -> bool:
        """Whether events come in."""
        return self._events.connected

    @property
    def left_at(self) -> datetime | None:
        """Since when it is not heard; None while it is."""
        return self._left_at

    @property
    def commands(self) -> ISwitchLink:
        """The link for commands."""
        link: ISwitchLink = self._commands
        return link

    def startService(self) -> None:  # noqa: N802
        """Begin to connect."""
        super().startService()  # type: ignore[no-untyped-call]
        self._hearing = self._intake.listen(self.spec.name, self._became_active)
        self._show()
        self._events.startService()
        self._commands.startService()

    def stopService(self) -> Deferred[None]:  # noqa: N802
        """Close both links; fires when they are closed and nothing runs any more."""
        super().stopService()  # type: ignore[no-untyped-call]
        for timer in self._timers.values():
            if timer.active():
                timer.cancel()
        self._timers.clear()
        stopping = [self._events.stopService(), self._commands.stopService()]
        if self._aligning is not None:
            self._aligning.cancel()
        if self._reconciling is not None:
            stopping.append(self._reconciling)
        return gatherResults(stopping, consumeErrors=True).addCallback(lambda _done: None)

    async def flush_directory(self, number: str | None, domain: str | None) -> None:
        """Make FreeSWITCH ask again for a user that it may have cached, or for all of them.

        Twice, since the instance that it asks may learn of the change later than this one.
        """
        what = f" id {number} {domain}" if number and domain else ""
        try:
            await self._commands.api(f"xml_flush_cache{what}", COMMAND_SECONDS)
            await deferLater(self._reactor, BETWEEN_LOOKS_SECONDS)
            await self._commands.api(f"xml_flush_cache{what}", COMMAND_SECONDS)
        except NizamError as error:
            # Users are cached for a bounded time only.
            self._log.warn("{node}: {error}", node=self.spec.name, error=str(error))

    async def reload_lists(self) -> None:
        """Make FreeSWITCH take over access control lists that have changed.

        Twice, since the instance that it asks may learn of the change later than this one.
        """
        try:
            await self._commands.api("reloadacl", COMMAND_SECONDS)
            await deferLater(self._reactor, BETWEEN_LOOKS_SECONDS)
            await self._commands.api("reloadacl", COMMAND_SECONDS)
        except NizamError as error:
            self._log.warn("{node}: {error}", node=self.spec.name, error=str(error))

    def profile_changed(self) -> None:
        """The settings of a SIP profile have changed: make FreeSWITCH take that over."""
        self._change(None)

    def gateway_changed(self, identifier: UUID) -> None:
        """A gateway is new, different or gone: make FreeSWITCH take that over."""
        self._change(identifier)

    def _change(self, gateway: UUID | None) -> None:
        """Make FreeSWITCH take over a gateway, or settings of a profile, or be ready to: while
        another instance does so, it may end before it has done it."""
        now = self._reactor.seconds()
        self._changes = [it for it in self._changes if now - it[0] < RECENT_SECONDS]
        self._changes.append((now, gateway))
        if not self._intake.stands_by(self.spec.name):
            self._take_over_changes()

    def _take_over_changes(self) -> None:
        now = self._reactor.seconds()
        changes, self._changes = self._changes, []
        for at, gateway in changes:
            if now - at >= RECENT_SECONDS:
                continue
            if gateway is None:
                self._profiles.settings_changed()
            else:
                self._profiles.changed(gateway)
        self._align()

    def _became_active(self) -> None:
        """What one instance alone does for the node is for this one to do now."""
        self._take_over_changes()
        self._reconcile_again()

    def _align(self) -> None:
        if not self.running or self._intake.stands_by(self.spec.name):
            return
        aligning = Deferred.fromCoroutine(self._profiles.align())
        if self._aligning is None:
            # Further ones only make this one look again.
            self._aligning = aligning
            aligning.addBoth(self._aligned)
        aligning.addErrback(self._failed)

    def _aligned(self, result: bool | Failure) -> None:
        self._aligning = None
        if isinstance(result, Failure):
            if not isinstance(result.value, CancelledError):
                self._failed(result)
        elif result:
            # FreeSWITCH tells of a gateway only when its state changes, not when it is new.
            self._reconcile_again()

    # -- the links ----------------------------------------------------------------------------

    def _event(self, event: SwitchEvent, received_at: float) -> None:
        now = self._now()
        self._last_event_at = now
        fired = moment(event.get("Event-Date-Timestamp"))
        if self._hearing is not None:
            self._hearing.heard(event, now if fired is None else min(fired, now), received_at)
        if fired is not None:
            lag = (now - fired).total_seconds()
            self._lag_seconds = lag
            metrics.ESL_EVENT_LAG_SECONDS.labels(self.spec.name).observe(max(0.0, lag))
        if event.name not in ("HEARTBEAT", "BACKGROUND_JOB", "RELOADXML"):
            self._intake.switch_event(self.spec.name, event)

    def _events_up(self) -> None:
        name, now = self.spec.name, self._now()
        metrics.ESL_CONNECTED.labels(name).set(1)
        self._intake.link_up(name)
        if self._ever_up:
            metrics.ESL_RECONNECTS_TOTAL.labels(name).inc()
        self._ever_up = True
        self._since = now
        self._show()
        self._reconcile_due = True
        self._reconcile()

    def _events_down(self, reason: str) -> None:
        name = self.spec.name
        metrics.ESL_CONNECTED.labels(name).set(0)
        self._since = self._now()
        self._left_at = self._left_at or self._since
        self._intake.link_down(name, reason, stops=not self.running)
        self._show()

    def _commands_up(self) -> None:
        self._behind = True
        self._reconcile()

    def _refused(self, refusal: Refusal, detail: str) -> None:
        metrics.ESL_REFUSALS_TOTAL.labels(self.spec.name, refusal.value).inc()
        self._log.error(
            "{node} refuses us: {refusal} {detail}",
            node=self.spec.name,
            refusal=refusal.value,
            detail=detail,
        )

    # -- keeping honest -----------------------------------------------------------------------

    def _reconcile(self) -> None:
        if not self.running or self._reconciling is not None or not self._reconcile_due:
            return
        if not (self._events.connected and self._commands.connected):
            return
        if not self._ready():
            self._later("reconcile", NOT_READY_SECONDS, self._reconcile)
            return
        self._reconcile_due = False
        self._reconciling = Deferred.fromCoroutine(self._run_reconcile())
        self._reconciling.addErrback(self._failed)
        # Not at the end of the coroutine: it may end before it is assigned.
        self._reconciling.addBoth(self._reconciled)

    async def _run_reconcile(self) -> None:
        delay = RECONCILE_SECONDS
        try:
            self.last_reconciled = await reconcile(
                self._reactor,
                self._commands,
                self._intake,
                self.spec.name,
                self._now,
                self._left_at,
            )
        except NizamError as error:
            self._log.warn("{node}: {error}", node=self.spec.name, error=str(error))
            delay = RECONCILE_RETRY_SECONDS
        else:
            if not self._reconcile_due:
                self._left_at = None
            if self._behind:
                self._behind = False
                self._catch_up()
            self._align()
        finally:
            # A link that came up meanwhile asked for another one.
            self._later("reconcile", 0.0 if self._reconcile_due else delay, self._reconcile_again)

    def _catch_up(self) -> None:
        """Make FreeSWITCH read again what may have changed while nobody could tell it."""
        self._profiles.settings_changed()
        for work in (self.flush_directory(None, None), self.reload_lists()):
            Deferred.fromCoroutine(work).addErrback(self._failed)

    def _reconciled(self, _: object) -> None:
        self._reconciling = None

    def _reconcile_again(self) -> None:
        self._reconcile_due = True
        self._reconcile()

    def _show(self) -> None:
        """Show the link in the live state now, and again as long as events come."""
        document = {
            "connected": self._events.connected,
            "since": timestamp(self._since) if self._since else None,
            "last_event_at": timestamp(self._last_event_at) if self._last_event_at else None,
            "lag_seconds": self._lag_seconds,
        }
        self._intake.live.put("links", self.spec.name, "link", document)
        self._later("show", SHOW_SECONDS, self._show)

    def _later(self, what: str, delay: float, work: Callable[[], None]) -> None:
        timer = self._timers.pop(what, None)
        if timer is not None and timer.active():
            timer.cancel()
        if self.running:
            self._timers[what] = self._reactor.callLater(delay, work)

    def _failed(self, failure: Any) -> None:
        self._log.failure("{node}: something failed", failure, node=self.spec.name)
