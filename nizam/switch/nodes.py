"""All switch nodes: the ones in the settings and the ones in the database, as they come and go."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import Logger

from nizam.errors import SwitchUnavailable
from nizam.esl.interface import ISwitchLink
from nizam.fsxml.profiles import served_gateways, sip_profile, start_marks
from nizam.fsxml.sofia import gateway_mark
from nizam.model.extension import Extension
from nizam.model.gateway import Gateway
from nizam.routing.nodes import node_hosts
from nizam.routing.snapshot import Snapshot
from nizam.settings import NodeSettings
from nizam.settings.values import SipSettings
from nizam.switch.intake import Intake
from nizam.switch.node import Node
from nizam.switch.node_specs import Decrypts, NodeSpec, wanted_nodes
from nizam.switch.reconcile import close

Change = tuple[str, UUID | None, UUID, str]
"""(resource name, tenant id, id, operation) of something that changed in the database."""


class SwitchNodes(Service):
    """Holds the links to every node while it runs.

    `static` are the nodes of the settings; one of the database with the same name counts before
    it. `changed` has to be called with what changes in the snapshot, `ready` says whether that
    has been loaded.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        intake: Intake,
        snapshot: Snapshot,
        secret_box: Decrypts,
        static: Sequence[NodeSettings] = (),
        *,
        sip: SipSettings,
        ready: Callable[[], bool] = lambda: True,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._reactor = reactor
        self._ready = ready
        self._intake = intake
        self._snapshot = snapshot
        self._secret_box = secret_box
        self._static = tuple(static)
        self._sip = sip
        self._now = now
        self._nodes: dict[str, Node] = {}
        self._numbers: dict[UUID, str] = {}
        self._listed: set[UUID] = set()
        self._served: dict[UUID, bytes] = {}
        self._peers: frozenset[str] = frozenset()

    @property
    def nodes(self) -> Mapping[str, Node]:
        """The nodes by their names."""
        return self._nodes

    @property
    def connected(self) -> dict[str, bool]:
        """Of each node, whether its events come in."""
        return {name: node.connected for name, node in self._nodes.items()}

    @property
    def intake_states(self) -> Mapping[str, str]:
        """Of each node, whether this instance is `active` for what it says, on `standby` for
        another one, or `nobody` is known to be active."""
        return self._intake.nodes.states

    def command_link(self, name: str | None = None) -> ISwitchLink:
        """The command link of this node, or of any that is connected.

        Raises errors.SwitchUnavailable when there is none.
        """
        wanted = self._nodes.values() if name is None else filter(None, [self._nodes.get(name)])
        for node in wanted:
            if node.commands.connected:
                return node.commands
        raise SwitchUnavailable(f"{name or 'no switch node'} is not connected")

    def startService(self) -> None:  # noqa: N802
        """Connect to the nodes there are."""
        super().startService()  # type: ignore[no-untyped-call]
        self.refresh()

    def stopService(self) -> Deferred[None]:  # noqa: N802
        """Close every link."""
        super().stopService()  # type: ignore[no-untyped-call]
        nodes, self._nodes = self._nodes, {}
        stopping = DeferredList([node.stopService() for node in nodes.values()])
        return stopping.addCallback(lambda _results: None)

    def refresh(self) -> None:
        """Connect to new nodes, leave those that are gone, move those that have moved."""
        if not self.running:
            return
        wanted = self._wanted()
        for name in list(self._nodes):
            if self._nodes[name].spec != wanted.get(name):
                node = self._nodes.pop(name)
                node.stopService().addErrback(self._failed)
                if name not in wanted:
                    self._end_calls(name, node.left_at or self._now())
                    self._intake.forget_node(name)
        for name, spec in wanted.items():
            if name not in self._nodes:
                node = Node(
                    self._reactor,
                    spec,
                    self._intake,
                    gateways=self._gateways,
                    marks=lambda: start_marks(self._snapshot, self._sip),
                    ready=self._ready,
                    now=self._now,
                )
                self._nodes[name] = node
                node.startService()

    def _end_calls(self, name: str, at: datetime) -> None:
        """Nobody will tell the end of the calls on a node that is none of ours any more."""
        live = [it for call in self._intake.normaliser(name).calls for it in call.live]
        # The first leg of a call last: it is what the others are part of.
        live.sort(key=lambda it: it.leg_id == it.call_id)
        if close(self._intake, name, live, at, self._reactor):
            self._log.warn("{node}: its calls are not followed any more", node=name)

    def changed(self, changes: Iterable[Change]) -> None:
        """Something changed in the snapshot: nodes come and go, what FreeSWITCH holds is stale."""
        flush: set[tuple[str | None, str | None]] = set()
        lists_changed = profiles_changed = False
        for resource, tenant_id, identifier, operation in changes:
            if resource == "switch_node":
                self.refresh()
                if self._peers != node_hosts(self._snapshot):
                    self._peers = node_hosts(self._snapshot)
                    lists_changed = profiles_changed = True
            elif resource == "extension" and tenant_id is not None:
                flush |= self._stale(tenant_id, identifier, operation)
                lists_changed |= self._is_listed(tenant_id, identifier)
            elif resource == "gateway":
                lists_changed |= self._gateway_changed(tenant_id, identifier)
            elif resource == "acl":
                lists_changed = True
            elif resource == "sip_profile":
                profiles_changed = True
                flush.add((None, None))  # users have its policy on SRTP
            elif resource == "tenant" and operation != "created":
                flush.add((None, None))
                self._tenant_changed(identifier)
        if (None, None) in flush:
            flush = {(None, None)}
        for node in self._nodes.values():
            if profiles_changed:
                node.profile_changed()
            if node.commands.connected:
                if lists_changed:
                    Deferred.fromCoroutine(node.reload_lists()).addErrback(self._failed)
                for number, domain in flush:
                    Deferred.fromCoroutine(node.flush_directory(number, domain))

    def _is_listed(self, tenant_id: UUID, identifier: UUID) -> bool:
        """Whether the extension is, or was when it last changed, in a list of networks."""
        tenant = self._snapshot.tenant(tenant_id)
        found = tenant.get(Extension, identifier) if tenant else None
        before = identifier in self._listed
        self._listed.discard(identifier)
        if found is not None and found.body.allowed_cidrs:
            self._listed.add(identifier)
            return True
        return before

    def _gateway_changed(self, tenant_id: UUID | None, identifier: UUID) -> bool:
        """Have the gateway made again, unless what changed is nothing to FreeSWITCH: calls through
        it fail while it is not there. Whether it was."""
        view = None if tenant_id is None else self._snapshot.tenant(tenant_id)
        entry = None if view is None else view.get(Gateway, identifier)
        before = self._served.pop(identifier, None)
        if view is not None and entry is not None and entry.body.enabled:
            external = sip_profile(self._snapshot, self._sip, "external")
            self._served[identifier] = gateway_mark(view, entry, external)
            if self._served[identifier] == before:
                return False
        for node in self._nodes.values():
            node.gateway_changed(identifier)
        return True

    def _tenant_changed(self, tenant_id: UUID) -> None:
        """Gateways go with a tenant that is terminated."""
        view = self._snapshot.tenant(tenant_id)
        if view is not None and view.tenant.status == "terminated":
            for entry in view.all(Gateway):
                self._served.pop(entry.id, None)
                self._gateway_changed(tenant_id, entry.id)

    def _gateways(self) -> Iterator[UUID]:
        """The gateways that sofia.conf has."""
        external = sip_profile(self._snapshot, self._sip, "external")
        for view, entry in served_gateways(self._snapshot, external):
            # What is known already is changed where changes are heard, on all nodes at once.
            if entry.id not in self._served:
                self._served[entry.id] = gateway_mark(view, entry, external)
            yield entry.id

    def _stale(
        self, tenant_id: UUID, identifier: UUID, operation: str
    ) -> set[tuple[str | None, str | None]]:
        """The users that FreeSWITCH may hold an old answer for; (None, None): all of them."""
        tenant = self._snapshot.tenant(tenant_id)
        found = tenant.get(Extension, identifier) if tenant else None
        before = self._numbers.pop(identifier, None)
        if tenant is None or found is None:
            # Gone, and with it its number: what is cached cannot be named any more.
            return {(before, tenant.tenant.domain)} if tenant and before else {(None, None)}
        self._numbers[identifier] = found.body.number
        if before is None and operation != "created":
            return {(None, None)}  # it may have had another number
        numbers = {found.body.number, before or found.body.number}
        return {(number, tenant.tenant.domain) for number in numbers}

    def _wanted(self) -> dict[str, NodeSpec]:
        return wanted_nodes(self._static, self._snapshot, self._secret_box)

    def _failed(self, failure: Any) -> None:
        self._log.failure("a node did not stop cleanly", failure)
