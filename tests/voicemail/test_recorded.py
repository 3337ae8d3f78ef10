"""What the real mod_voicemail said is understood, and what the simulated one says is the same."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import attrs
from zope.interface import implementer

from nizam.errors import SwitchError
from nizam.esl.event import SwitchEvent
from nizam.esl.interface import ISwitchLink
from nizam.model.voicemail_files import message_id
from nizam.voicemail.switch import Box, SwitchMailboxes
from tests.events.replaying import feed, normaliser, recorded
from tests.voicemail.conftest import DOMAIN
from tests.voicemail.switch import COMMANDS, Switch

STREAM = "voicemail/esl/events-json"
BOX = Box(node="fs1", mailbox="1001", domain=DOMAIN)
OF_THE_MACHINE = {"FreeSWITCH-IPv4", "FreeSWITCH-IPv6", "Event-Calling-Line-Number"}
EXTENSION = "0198aaaa-0000-7000-8000-000000001001"


def jobs() -> list[tuple[str, str]]:
    """The commands that were run, with their answers."""
    found = (it for it in recorded(STREAM) if it.name == "BACKGROUND_JOB")
    return [(f"{it.get('Job-Command')} {it.get('Job-Command-Arg')}", it.body or "") for it in found]


@implementer(ISwitchLink)
@attrs.define
class Link:
    """Answers as was recorded, from one place in the recording on."""

    left: list[tuple[str, str]]
    connected: bool = True

    def command_link(self, name: str | None = None) -> Any:
        return self

    async def api(self, command: str, timeout: float) -> str:
        return await self.bgapi(command, timeout)

    async def bgapi(self, command: str, timeout: float) -> str:
        while self.left:
            line, said = self.left.pop(0)
            if line == command:
                if said.startswith("-ERR"):
                    raise SwitchError(said)
                return said
        raise AssertionError(f"{command} was not recorded from here on")


def test_messages_and_the_lamp_are_told_of() -> None:
    events = feed(normaliser(), recorded(STREAM)).events
    received = [it for it in events if it.type == "voicemail.received"]
    assert [it.data["mailbox"] for it in received] == ["1001", "1001"]
    for event in received:
        assert event.tenant_id is not None
        assert event.data["message_id"] == str(message_id(event.data["path"]))
        # Not the id that the switch has for it, which is that of the leg.
        assert event.data["switch_id"] == str(event.leg_id) != event.data["message_id"]
        assert event.data["extension_id"] == EXTENSION
        assert (event.data["from"], event.data["urgent"]) == ("1003", False)
        assert event.data["duration_ms"] > 0
    waiting = [it.data for it in events if it.type == "voicemail.waiting"]
    counts = [(it["new"], it["saved"]) for it in waiting]
    # Two were there before.
    assert counts == [(2, 1), (3, 1), (2, 2), (3, 1), (2, 1), (1, 1)]


async def test_what_the_switch_lists_and_knows_is_understood() -> None:
    switch = SwitchMailboxes(Link(jobs()))
    first = await switch.listed(BOX)
    received = [it for it in recorded(STREAM) if it.get("VM-Action") == "leave-message"]
    ids = [str(it.get("VM-UUID")) for it in received]
    assert (first[ids[0]], ids[1] in first, len(first)) == (False, False, 3)
    known = await switch.known(BOX, ids[0])
    assert known is not None
    assert known.path == received[0].get("VM-File-Path")
    assert (known.from_number, known.read_at, known.urgent) == ("1003", None, False)
    assert known.duration_ms > 0
    assert await switch.known(BOX, str(UUID(int=1))) is None
    await switch.mark(BOX, ids[0], read=True)
    assert (await switch.listed(BOX))[ids[0]] is True
    await switch.mark(BOX, ids[0], read=False)
    await switch.delete(BOX, ids[0], shared=True)
    await switch.delete(BOX, ids[1], shared=False)


def test_the_simulated_switch_answers_with_the_same_fields() -> None:
    switch = Switch()
    received = [it for it in recorded(STREAM) if it.get("VM-Action") == "leave-message"]
    found = jobs()
    assert len(found) > 20
    for line, said in found:
        switch.core.messages.clear()
        for event in received:
            switch.keep(_path(event), UUID(event.get("VM-UUID") or ""))
        name, _, arguments = line.partition(" ")
        answered = COMMANDS[name](switch.core, arguments)
        assert said.startswith("{") or answered == said, line
        if said.startswith("{"):
            assert _head(answered) == _head(said) - OF_THE_MACHINE, line


def _head(answer: str) -> set[str]:
    """The fields of an answer but for those of the messages, which differ."""
    return {it for it in json.loads(answer) if not it.startswith("VM-")}


def _path(event: SwitchEvent) -> str:
    return event.get("VM-File-Path") or ""
