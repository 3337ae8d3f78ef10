"""Command links for an instance that does not listen to the switches, but controls their calls."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol
from uuid import UUID

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.endpoints import HostnameEndpoint
from twisted.logger import Logger

from nizam.errors import SwitchUnavailable
from nizam.esl.interface import ISwitchLink
from nizam.esl.link import EslLink
from nizam.esl.subscription import CALL_CONTROL
from nizam.routing.snapshot import Snapshot
from nizam.settings import NodeSettings
from nizam.switch.node_specs import Decrypts, NodeSpec, wanted_nodes


class Links(Protocol):
    """The command links of the nodes."""

    def command_link(self, name: str | None = None) -> ISwitchLink:
        """That of the node, or of any that is connected. Raises errors.SwitchUnavailable."""


class NoLinks:
    """For an instance that reaches no switch."""

    def command_link(self, name: str | None = None) -> ISwitchLink:
        """See Links."""
        raise SwitchUnavailable(f"{name or 'no switch node'} is not connected")


class CommandLinks(Service):
    """One link to each node, for commands alone, while it runs.

    With many instances each has its own: a command needs no other instance, and FreeSWITCH
    answers it to whoever sent it. `changed` has to be called with what changes in the snapshot.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        snapshot: Snapshot,
        secret_box: Decrypts,
        static: Sequence[NodeSettings] = (),
    ) -> None:
        self._reactor = reactor
        self._snapshot = snapshot
        self._secret_box = secret_box
        self._static = tuple(static)
        self._links: dict[str, tuple[NodeSpec, EslLink]] = {}

    def startService(self) -> None:  # noqa: N802 - Twisted's name
        """Connect to the nodes there are."""
        super().startService()  # type: ignore[no-untyped-call]
        self.refresh()

    def stopService(self) -> Deferred[None]:  # noqa: N802 - Twisted's name
        """Close every link."""
        super().stopService()  # type: ignore[no-untyped-call]
        links, self._links = self._links, {}
        stopping = DeferredList([link.stopService() for _, link in links.values()])
        return stopping.addCallback(lambda _results: None)

    def command_link(self, name: str | None = None) -> ISwitchLink:
        """See Links."""
        wanted = self._links if name is None else {name}
        for it in wanted:
            found = self._links.get(it)
            if found is not None and found[1].connected:
                link: ISwitchLink = found[1]
                return link
        raise SwitchUnavailable(f"{name or 'no switch node'} is not connected")

    def changed(self, changes: Iterable[tuple[str, UUID | None, UUID, str]]) -> None:
        """Something changed in the snapshot: nodes may come, go and move."""
        if any(resource == "switch_node" for resource, *_ in changes):
            self.refresh()

    def refresh(self) -> None:
        """Connect to new nodes, leave those that are gone, move those that have moved."""
        if not self.running:
            return
        wanted = wanted_nodes(self._static, self._snapshot, self._secret_box)
        for name, (spec, link) in list(self._links.items()):
            if spec != wanted.get(name):
                del self._links[name]
                link.stopService().addErrback(
                    lambda failure: self._log.failure("a link did not stop cleanly", failure)
                )
        for name, spec in wanted.items():
            if name not in self._links:
                endpoint = HostnameEndpoint(self._reactor, spec.host, spec.port)
                link = EslLink(
                    self._reactor,
                    endpoint,
                    spec.password,
                    subscription=CALL_CONTROL,
                    name=f"{name} commands",
                )
                self._links[name] = (spec, link)
                link.startService()
