"""The CUSTOM events of FreeSWITCH's modules, each handed to what understands it."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from nizam.esl.event import SwitchEvent
from nizam.events import registrations, voicemail
from nizam.events.channels import Calls, TenantOfDomain
from nizam.events.conferences import Conferences
from nizam.events.gateways import GatewayStates
from nizam.events.parking import Parking
from nizam.events.places import Places
from nizam.events.told import Shown, Told


class Customs:
    """Reads the events of modules; `calls` are those of the same FreeSWITCH process."""

    def __init__(
        self,
        calls: Calls,
        tenant_of_domain: TenantOfDomain,
        gateway_owner: Callable[[str], UUID | None],
        places: Places,
        node: str,
    ) -> None:
        self._calls = calls
        self._tenant_of_domain = tenant_of_domain
        self.gateways = GatewayStates(gateway_owner)
        self.conferences = Conferences(places, node)
        self.parking = Parking(places, node)

    def read(self, event: SwitchEvent) -> Told | None:
        """What the event tells, if it is one of those that are told on."""
        subclass = event.subclass or ""
        if subclass == "conference::maintenance":
            return self.conferences.change(event, self._calls)
        if subclass == "valet_parking::info":
            return self.parking.change(event, self._calls)
        if subclass == "vm::maintenance":
            return self._voicemail(event)
        found = None
        if subclass.startswith("sofia::gateway"):
            found = self.gateways.change(event)
        elif subclass.startswith("sofia::"):
            found = registrations.registration(event, self._tenant_of_domain)
        return None if found is None else Told(*found)

    def take_shown(self) -> list[Shown]:
        """What has changed of conferences and parked calls."""
        found = [*self.conferences.shown, *self.parking.shown]
        if found:
            self.conferences.shown.clear()
            self.parking.shown.clear()
        return found

    def _voicemail(self, event: SwitchEvent) -> Told | None:
        found = voicemail.mailbox(event, self._tenant_of_domain)
        if found is None:
            return None
        call, channel = self._calls.find(event) or (None, None)
        kind, tenant_id, data = found
        if tenant_id is None and call is not None:
            tenant_id = call.tenant_id
        return Told(kind, tenant_id, data, call, channel)
