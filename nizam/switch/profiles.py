"""Keeping a node's SIP profiles and gateways as the snapshot has them.

FreeSWITCH asks for sofia.conf when a profile starts and when it is told to look again, and a look
again takes over settings, but of gateways only new ones: what has changed or is gone must be killed
by name, which takes a second or two. A node that started while no instance answered has no profile
at all.

Addresses, ports and TLS are read when a profile starts. A look again would be worse than nothing:
FreeSWITCH then names the new port in Contact and listens on the old one (config_sofia, sofia.c). So
a profile whose mark differs is restarted once no call is on it, since a restart ends them, and is
not told to look again until then; its gateways are started one by one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, Final
from uuid import UUID

import attrs
import orjson
from twisted.internet.task import deferLater
from twisted.logger import Logger

from nizam.errors import NizamError, SwitchError
from nizam.esl.interface import ISwitchLink
from nizam.fsxml.profiles import PROFILES

GATEWAY_PROFILE: Final = "external"
COMMAND_SECONDS: Final = 10.0
LOOKS: Final = 8
"""Times that the node is looked at for one change. The instance that it asks may learn of the
change up to a second later than this one."""
BETWEEN_LOOKS_SECONDS: Final = 1.0
RESTART_SECONDS: Final = 15.0
"""How long a profile that restarts may be away before it is started."""

_SESSIONS: Final = re.compile(r"^(\d+) session\(s\) - peak", re.MULTILINE)
_MARK: Final = re.compile(r"^BIND-URL\s.*;nizam=([0-9a-f]+)", re.MULTILINE)


@attrs.frozen
class SofiaStatus:
    """What `sofia status` shows: names of profiles, and names of gateways of all profiles."""

    profiles: frozenset[str]
    gateways: frozenset[str]


def read_status(text: str) -> SofiaStatus:
    """The content of `sofia status`: tab-separated lines of name, type, data and state."""
    profiles, gateways = set(), set()
    for line in text.splitlines():
        name, _, rest = line.strip().partition("\t")
        kind = rest.partition("\t")[0].strip()
        if kind == "profile":
            profiles.add(name)
        elif kind == "gateway":
            gateways.add(name.partition("::")[2])
    return SofiaStatus(frozenset(profiles), frozenset(gateways))


class SipProfiles:
    """The SIP profiles of one node.

    `wanted` gives the ids of the gateways that it should have, `marks` for each profile what
    `nizam.fsxml.profiles.start_mark` makes of it.
    """

    _log = Logger()

    def __init__(
        self,
        clock: Any,
        link: ISwitchLink,
        node: str,
        wanted: Callable[[], Iterable[UUID]],
        marks: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        self._clock = clock
        self._link = link
        self._node = node
        self._wanted = wanted
        self._marks = marks
        self._restarted: dict[str, tuple[str, float]] = {}
        self._waiting: set[str] = set()
        self._outdated: set[str] = set()
        self._rescans = 0
        self._due = False
        self._running = False

    def changed(self, gateway: UUID) -> None:
        """The gateway is not any more as FreeSWITCH may know it."""
        self._outdated.add(str(gateway))

    def settings_changed(self) -> None:
        """The settings of a profile may not be any more as FreeSWITCH knows them.

        They cannot be seen in `sofia status`, so that it is told twice, for an instance that
        learns of the change later.
        """
        self._rescans = 2

    async def align(self) -> bool:
        """Bring the node in line; ends when it is, when it is disconnected, or after some looks.

        Whether there was anything to do. While it runs, another call makes it look again and
        returns at once.
        """
        self._due = True
        if self._running:
            return False
        self._running = True
        acted = False
        try:
            while self._due and self._link.connected:
                self._due = False
                acted = await self._look_until_aligned() or acted
        finally:
            self._running = False
        return acted

    async def _look_until_aligned(self) -> bool:
        for look in range(LOOKS):
            if look:
                await deferLater(self._clock, BETWEEN_LOOKS_SECONDS)
            try:
                if await self._step():
                    return look > 0
            except NizamError as error:
                self._log.warn("{node}: {error}", node=self._node, error=str(error))
                if not self._link.connected:
                    return True
        self._log.warn("{node} has not taken over all gateways", node=self._node)
        return False

    async def _step(self) -> bool:
        """Look once, command what is missing; whether nothing was."""
        status = read_status(await self._api("sofia status"))
        absent = [profile for profile in PROFILES if profile not in status.profiles]
        for profile in absent:
            if not self._restarts(profile):
                self._log.info("{node}: starts profile {name}", node=self._node, name=profile)
                await self._api(f"sofia profile {profile} start")
        if GATEWAY_PROFILE in absent:
            self._outdated.clear()  # it has just read all of them
            return False
        restarts, waiting = await self._restart_outdated(status.profiles)
        # Others that are there and not wanted stay: a process that has only an old copy of the
        # data would otherwise take away gateways that are in use.
        gone = self._outdated = self._outdated & status.gateways
        for name in gone:
            with suppress(SwitchError):  # it is marked for deletion already
                await self._api(f"sofia profile {GATEWAY_PROFILE} killgw {name}")
        missing = {str(it) for it in self._wanted()} - status.gateways
        settings, self._rescans = self._rescans > 0, max(0, self._rescans - 1)
        for profile in PROFILES:
            if profile not in restarts | waiting:
                if settings or (missing and profile == GATEWAY_PROFILE):
                    await self._api(f"sofia profile {profile} rescan")
            elif profile in waiting and profile == GATEWAY_PROFILE:
                for name in sorted(missing):
                    await self._api(f"sofia profile {profile} startgw {name}")
        return not (absent or restarts or gone or missing or settings)

    def _restarts(self, profile: str) -> bool:
        """Whether it was told to restart a moment ago."""
        _, at = self._restarted.get(profile, ("", 0.0))
        return at > 0 and self._clock.seconds() - at < RESTART_SECONDS

    async def _restart_outdated(self, profiles: Iterable[str]) -> tuple[set[str], set[str]]:
        """Restart the profiles that run with other addresses, ports or TLS than they should: the
        names of those that restart, and of those that have to wait for the end of their calls."""
        marks, restarts, waiting = self._marks(), set[str](), set[str]()
        for profile in sorted(marks.keys() & set(profiles)):
            running = _MARK.search(await self._api(f"sofia status profile {profile}"))
            if running is None or running[1] == marks[profile]:
                continue
            if self._restarts(profile):
                restarts.add(profile)
            elif self._restarted.get(profile, ("", 0.0))[0] == marks[profile]:
                # It has read something else: another instance is configured otherwise, or behind.
                waiting.add(profile)
            elif await self._has_calls(profile):
                waiting.add(profile)
            else:
                restarts.add(profile)
                answer = await self._api(f"sofia profile {profile} restart")
                # Not within ten seconds of its start (cmd_profile, mod_sofia.c).
                if "restarting" in answer:
                    self._log.info("{node}: restarts {name}", node=self._node, name=profile)
                    self._restarted[profile] = (marks[profile], self._clock.seconds())
        for profile in waiting - self._waiting:
            self._log.warn(
                "{node}: SIP profile {name} has new addresses, ports or TLS, which it takes over "
                "by a restart; that waits until no call is on it",
                node=self._node,
                name=profile,
            )
        self._waiting = waiting
        return restarts, waiting

    async def _has_calls(self, profile: str) -> bool:
        """Whether a call is on the profile, or may be: channels are shown a moment after they
        began, and counted at once."""
        rows = orjson.loads(await self._api("show channels as json")).get("rows", ())
        counted = _SESSIONS.search(await self._api("status"))
        if counted is None or int(counted[1]) > len(rows):
            return True
        return any(str(it.get("name")).startswith(f"sofia/{profile}/") for it in rows)

    async def _api(self, command: str) -> str:
        return await self._link.api(command, COMMAND_SECONDS)
