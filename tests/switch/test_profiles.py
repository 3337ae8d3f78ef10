"""A node's gateways follow what changes, as FreeSWITCH lets them: by rescan, and killgw first."""

from __future__ import annotations

import json
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
        self.mark = "0a"
        self.configured_mark = "0a"
        self.calls: list[str] = []
        self.unshown = 0
        self.up_long_enough = True
        self.commands: list[str] = []

    async def api(self, command: str, timeout: float) -> str:
        """Answer one command."""
        if command == "sofia status":
            lines = [f"{name}\tprofile\tsip:x\tRUNNING (0)" for name in self.profiles]
            lines += [f"external::{it}\tgateway\tsip:x\tNOREG" for it in self.gateways]
            self.gateways -= self.dying
            self.dying = set()
            return "\n".join(lines)
        if command.startswith("sofia status profile "):
            return f"Name\tx\nBIND-URL         \tsip:x:5060;transport=udp,tcp;nizam={self.mark}\n"
        if command == "show channels as json":
            return json.dumps({"rows": [{"name": it} for it in self.calls]})
        if command == "status":
            sessions = len(self.calls) + self.unshown
            return f"9 session(s) since startup\n{sessions} session(s) - peak 2, last 5min 2\n"
        self.commands.append(command.removeprefix("sofia profile "))
        _, _, profile, action, *rest = command.split()
        if action == "killgw":
            if UUID(rest[0]) not in self.gateways:
                raise SwitchError("no such gateway.")
            self.dying.add(UUID(rest[0]))
        elif action == "startgw":
            self.gateways.add(UUID(rest[0]))
        elif action == "restart" and not self.up_long_enough:
            self.up_long_enough = True
            return "Profile external must be up for at least 10 seconds to stop/restart."
        elif profile == "external":
            self.gateways |= self.configured
        if action == "restart":
            self.mark = self.configured_mark
            return "Reload XML [Success]\nrestarting: external"
        if action == "start":
            self.profiles.add(profile)
        return "+OK"

    async def bgapi(self, command: str, timeout: float) -> str:
        """Not used here."""
        raise NotImplementedError


def align(
    switch: Switch,
    *changed: UUID,
    wanted: set[UUID] | None = None,
    settings: bool = False,
    marks: dict[str, str] | None = None,
) -> list[str]:
    """The commands that bring the switch in line."""
    clock = Clock()
    wanted = switch.configured if wanted is None else wanted
    profiles = SipProfiles(clock, switch, "fs1", lambda: wanted, lambda: marks or {})
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


MARK = {"external": "0b"}
"""What `external` should have been started with, while it runs with another mark."""


def outdated(calls: list[str], configured_mark: str = "0b") -> Switch:
    switch = Switch(set(BOTH), set(), set())
    switch.calls, switch.configured_mark = calls, configured_mark
    return switch


def test_a_profile_with_new_addresses_is_restarted_and_not_told_to_look_again_before() -> None:
    assert align(outdated([]), settings=True, marks=MARK) == [
        "external restart",
        "internal rescan",
        "internal rescan",
        "external rescan",
    ]


def test_a_profile_is_not_restarted_while_a_call_is_on_it() -> None:
    switch = outdated(["sofia/external/+12025550123"])
    assert align(switch, settings=True, marks=MARK) == ["internal rescan"] * 2
    switch = outdated(["sofia/internal/1001@acme.example.test"])
    assert align(switch, marks=MARK) == ["external restart"]


def test_a_call_that_has_just_begun_and_is_not_shown_yet_keeps_a_profile_from_restarting() -> None:
    switch = outdated([])
    switch.unshown = 1
    assert align(switch, marks=MARK) == []


def test_gateways_are_started_one_by_one_while_their_profile_waits_for_a_restart() -> None:
    switch = outdated(["sofia/external/+12025550123"])
    assert align(switch, wanted={ONE}, marks=MARK) == [f"external startgw {ONE}"]


def test_a_profile_that_has_just_started_is_restarted_a_little_later() -> None:
    switch = outdated([])
    switch.up_long_enough = False
    assert align(switch, marks=MARK) == ["external restart"] * 2


def test_a_profile_that_reads_something_else_than_it_should_is_not_restarted_again() -> None:
    switch = outdated([], configured_mark="0c")
    assert align(switch, marks=MARK) == ["external restart"]


def test_a_profile_that_says_nothing_of_its_start_is_left_alone() -> None:
    switch = outdated([])
    switch.mark = ""
    assert align(switch, marks=MARK) == []
