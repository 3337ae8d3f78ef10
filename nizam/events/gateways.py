"""sofia::gateway_state and its kin: gateways that come up and go down."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

from nizam.esl.event import SwitchEvent
from nizam.events.fields import identifier, integer

# Of a gateway that registers, by its State; one that does not is NOREG and goes by its ping.
_UP: Final = frozenset({"REGED"})
_BETWEEN: Final = frozenset({"TRYING", "REGISTER", "UNREGISTER", "UNREGED"})


def is_up(state: str | None, ping_status: str | None) -> bool | None:
    """Whether a gateway in this state can take calls; None while that is being found out."""
    state = (state or "").upper()
    if state in _BETWEEN:
        return None
    if state == "NOREG" or not state:
        ping = (ping_status or "").upper()
        return ping.startswith("UP") if ping in {"UP", "DOWN"} or ping.startswith("UP") else None
    return state in _UP


class GatewayStates:
    """Knows which gateways are up, so that only changes are told.

    `owner` is the tenant of a gateway by its name in sofia.conf, None for the platform's.
    """

    def __init__(self, owner: Callable[[str], UUID | None]) -> None:
        self._owner = owner
        self._up: dict[str, bool] = {}

    def changed(self, name: str, up: bool) -> bool:
        """Whether that is news; it is not any more afterwards."""
        before = self._up.get(name)
        self._up[name] = up
        return before is not up

    def change(self, event: SwitchEvent) -> tuple[str, UUID | None, dict[str, Any]] | None:
        """The type, tenant and data of our event, if the gateway's state has changed."""
        name = event.get("Gateway")
        if not name:
            return None
        if event.subclass == "sofia::gateway_delete":
            self._up.pop(name, None)
            return None
        if event.subclass != "sofia::gateway_state":
            return None
        up = is_up(event.get("State"), event.get("Ping-Status"))
        if up is None or not self.changed(name, up):
            return None
        return (
            "gateway.up" if up else "gateway.down",
            self._owner(name),
            {
                "gateway": name,
                "gateway_id": str(gateway_id) if (gateway_id := identifier(name)) else None,
                "state": event.get("State"),
                "ping_status": event.get("Ping-Status"),
                "status": integer(event.get("Status")),
                "phrase": event.get("Phrase"),
            },
        )
