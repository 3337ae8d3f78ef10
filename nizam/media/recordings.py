"""The folders that the switches record call flows into, made before they are needed: the
application `record` of FreeSWITCH makes none, and hangs up where there is none."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from nizam.errors import MediaUnavailable, StorageFull
from nizam.media.library import MediaLibrary
from nizam.model.call_flow import CallFlow
from nizam.model.flow_nodes import RecordNode
from nizam.routing.snapshot import Snapshot


@attrs.define
class RecordingFolders:
    """Makes the folder of a tenant as soon as a published flow of it records."""

    library: MediaLibrary
    snapshot: Snapshot
    _made: set[UUID] = attrs.field(factory=set)

    _log = Logger(namespace="nizam.media")

    def changed(self, changed: Iterable[tuple[str, UUID | None, UUID, str]]) -> None:
        """Look at the call flows among what has changed: (resource, tenant, id, how)."""
        for resource, tenant_id, identifier, _ in changed:
            if resource == "call_flow" and tenant_id is not None:
                self._look_at(tenant_id, identifier)

    def _look_at(self, tenant_id: UUID, identifier: UUID) -> None:
        view = self.snapshot.tenant(tenant_id)
        entry = None if view is None else view.get(CallFlow, identifier)
        flow = None if entry is None else entry.body.published
        if flow is None or tenant_id in self._made:
            return
        if any(isinstance(node, RecordNode) for node in flow.nodes):
            self._made.add(tenant_id)
            Deferred.fromCoroutine(self._make(tenant_id))

    async def _make(self, tenant_id: UUID) -> None:
        try:
            await self.library.prepare_recordings(tenant_id)
        except (MediaUnavailable, StorageFull) as error:
            self._made.discard(tenant_id)
            self._log.warn("call flows cannot record: {why}", why=error)
