"""The gateways of sofia.conf: asked for at start and by rescan, up or down, added and deleted."""

from __future__ import annotations

import attrs

from nizam.sim import wire
from nizam.sim.core import Gateway
from nizam.sim.exchange import Exchange

_DELETE_AFTER_SECONDS = 1.5
_EXTERNAL_PORT = {"internal": "5060", "external": "5080"}


class Trunks:
    """Keeps the core's profiles and gateways as mod_sofia would."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self.core = exchange.core

    async def start(self) -> None:
        """Asks sofia.conf and the gateways of every profile that it names."""
        profiles = await self._exchange.questions.profiles()
        if profiles:
            self.core.profiles = profiles
        for profile in self.core.profiles:
            await self._load(profile, reconfigure=False)

    async def rescan(self, profile: str) -> None:
        """Adds gateways that are new; existing ones keep what they had, as on a real switch."""
        await self._load(profile, reconfigure=True)

    def set_up(self, name: str, up: bool) -> None:
        """The carrier answers OPTIONS again, or stops: sofia::gateway_state on a change.

        Raises KeyError for an unknown gateway.
        """
        gateway = self.core.gateways[name]
        if gateway.up != up:
            self.core.gateways[name] = attrs.evolve(gateway, up=up)
            self._state(name, up)

    def kill(self, name: str) -> bool:
        """Marks a gateway for deletion; sofia::gateway_delete follows. False if unknown."""
        gateway = self.core.gateways.get(name)
        if gateway is None:
            return False
        self.core.clock.callLater(
            _DELETE_AFTER_SECONDS * self._exchange.pace, self._delete, gateway
        )
        return True

    async def _load(self, profile: str, reconfigure: bool) -> None:
        for answer in await self._exchange.questions.gateways(profile, reconfigure):
            if answer.name in self.core.gateways:
                continue
            self.core.gateways[answer.name] = Gateway(
                name=answer.name,
                profile=profile,
                username=answer.params.get("username", "not-set"),
                proxy=answer.params.get("proxy") or answer.params.get("realm", ""),
                variables=tuple(answer.variables.items()),
            )
            added: wire.Headers = [("Gateway", answer.name), ("profile-name", profile)]
            self._fire("sofia::gateway_add", added)
            self._state(answer.name, True)

    def _delete(self, gateway: Gateway) -> None:
        if self.core.gateways.pop(gateway.name, None) is not None:
            self._fire(
                "sofia::gateway_delete",
                [("profile-name", gateway.profile), ("Gateway", gateway.name)],
            )

    def _state(self, name: str, up: bool) -> None:
        details: wire.Headers = [
            ("Gateway", name),
            ("State", "NOREG"),
            ("Ping-Status", "UP" if up else "DOWN"),
        ]
        details += (
            [("Phrase", "OK"), ("Status", "200")]
            if up
            else [("Phrase", "Service Unavailable"), ("Status", "503")]
        )
        self._fire("sofia::gateway_state", details)

    def _fire(self, subclass: str, headers: wire.Headers) -> None:
        self.core.fire("CUSTOM", lambda: headers, subclass=subclass)


def profile_port(profile: str) -> str:
    """The SIP port that a profile is said to listen on."""
    return _EXTERNAL_PORT.get(profile, "5060")
