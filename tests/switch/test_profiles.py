"""A node's gateways follow what changes, as FreeSWITCH lets them: by rescan, and killgw first."""

from __future__ import annotations

from uuid import UUID

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from zope.interface import implementer

from nizam.errors import SwitchError
from nizam.esl.interface import ISwitchLink
from nizam.switch.profiles import BETWEEN_LOOKS_SECONDS, SipProfiles, SofiaStatus, read_status

ONE, TWO = UUID(int=1), UUID(int=2)
# `sofia status` of FreeSWITCH 1.11.1.
STATUS = f"""\
                     Name\t   Type\t                                      Data\tState
=================================================================================================
        acme.example.test\t  alias\t                                  internal\tALIASED
                 external\tprofile\t             sip:mod_sofia@127.0.0.1:15080\tRUNNING (0)
external::{ONE}\tgateway\t               sip:not-used@127.0.0.1:7900\tNOREG
                 internal\tprofile\t             sip:mod_sofia@127.0.0.1:15060\tRUNNING (0)
=================================================================================================
2 profiles 1 alias
"""


@implementer(ISwitchLink)
class Switch:
    """A command link to a FreeSWITCH that keeps killed gateways for a look, as the real one."""

    def __init__(self, profiles: set[str], gateways: set[UUID], configured: set[UUID]) -> None:
        self.connected = True
        self.profiles, self.gateways, self.configured = profiles, gateways, configured
        self.dying: set[UUID] = set()
        self.commands: list[str] = []

    async def api(self, command: str, timeout: float) -> str:
        """Answer one command."""
        if command == "sofia status":
            lines = [f"{name}\tprofile\tsip:x\tRUNNING (0)" for name in self.profiles]
            lines += [f"external::{it}\tgateway\tsip:x\tNOREG" for it in self.gateways]
            self.gateways -= self.dying
            self.dying = set()
            return "\n".join(lines)
        self.commands.append(command.removeprefix("sofia profile "))
        _, _, profile, action, *rest = command.split()
        if action == "killgw":
            if UUID(rest[0]) not in self.gateways:
                raise SwitchError("no such gateway.")
            self.dying.add(UUID(rest[0]))
        elif profile == "external":
            self.gateways |= self.configured
        if action == "start":
            self.profiles.add(profile)
        return "+OK"

    async def bgapi(self, command: str, timeout: float) -> str:
        """Not used here."""
        raise NotImplementedError


def align(
    switch: Switch, *changed: UUID, wanted: set[UUID] | None = None, settings: bool = False
) -> list[str]:
    """The commands that bring the switch in line."""
    clock = Clock()
    wanted = switch.configured if wanted is None else wanted
    profiles = SipProfiles(clock, switch, "fs1", lambda: wanted)
    for identifier in changed:
        profiles.changed(identifier)
    if settings:
        profiles.settings_changed()
    done = Deferred.fromCoroutine(profiles.align())
    clock.pump([BETWEEN_LOOKS_SECONDS] * 20)
    assert done.called
    return switch.commands


BOTH = {"internal", "external"}


def test_the_status_names_profiles_and_gateways() -> None:
    assert read_status(STATUS) == SofiaStatus(frozenset(BOTH), frozenset({str(ONE)}))


def test_a_new_gateway_is_added_by_a_rescan() -> None:
    assert align(Switch(set(BOTH), set(), {ONE}), ONE) == ["external rescan"]


def test_a_changed_gateway_is_killed_and_added_again_once_it_is_gone() -> None:
    switch = Switch(set(BOTH), {ONE, TWO}, {ONE, TWO})
    commands = align(switch, ONE)
    # Asked for the status right after the kill, the switch still shows it.
    assert commands == [*[f"external killgw {ONE}"] * 2, "external rescan"]
    assert switch.gateways == {ONE, TWO}


def test_a_deleted_gateway_is_killed() -> None:
    switch = Switch(set(BOTH), {ONE, TWO}, {TWO})
    assert set(align(switch, ONE)) == {f"external killgw {ONE}"}
    assert switch.gateways == {TWO}


def test_gateways_that_nobody_said_had_changed_stay() -> None:
    assert align(Switch(set(BOTH), {ONE, TWO}, {TWO})) == []


def test_changed_settings_are_taken_over_even_from_an_instance_that_learns_later() -> None:
    switch = Switch(set(BOTH), {ONE}, {ONE})
    assert align(switch, settings=True) == ["internal rescan", "external rescan"] * 2
    switch = Switch(set(BOTH), set(), {ONE})
    assert align(switch, ONE, settings=True) == ["internal rescan", "external rescan"] * 2


def test_a_node_that_started_without_us_gets_its_profiles() -> None:
    switch = Switch(set(), set(), {ONE})
    assert align(switch) == ["internal start", "external start"]
    assert switch.gateways == {ONE}


def test_an_instance_that_learns_later_is_asked_again() -> None:
    switch = Switch(set(BOTH), set(), set())
    commands = align(switch, ONE, wanted={ONE})
    assert len(commands) > 1
    assert set(commands) == {"external rescan"}


@pytest.mark.parametrize("answer", [SwitchError("no"), None])
def test_looking_ends_when_the_switch_does_not_do_it(answer: SwitchError | None) -> None:
    switch = Switch(set(BOTH), set(), set())

    async def refuse(command: str, timeout: float) -> str:
        if answer:
            raise answer
        return "internal\tprofile\tx\ty\nexternal\tprofile\tx\ty"

    switch.api = refuse  # type: ignore[method-assign]
    assert align(switch, wanted={ONE}) == []
