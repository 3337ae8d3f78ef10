"""A simulated switch that is answered documents written by hand, its phones, and a listener."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from xml.sax.saxutils import quoteattr

import attrs

from nizam.sim.stage import Phone, Stage
from tests.sim.answering import NOT_FOUND, AnsweringServer, verified_answer
from tests.sim.client import Client

ACME = "acme.example.test"

Actions = Sequence[str]
RING_1002 = "bridge user/1002@acme.example.test"
EVERYTHING = (
    "event json CHANNEL_CREATE CHANNEL_ANSWER CHANNEL_BRIDGE CHANNEL_UNBRIDGE CHANNEL_EXECUTE "
    "CHANNEL_HANGUP CHANNEL_HANGUP_COMPLETE RECORD_START RECORD_STOP DTMF PLAYBACK_START "
    "CUSTOM conference::maintenance valet_parking::info menu::enter"
)


def dialplan(name: str, actions: Actions, context: str = ACME) -> bytes:
    """A document with one extension; an action is `APPLICATION DATA`."""
    written = "".join(
        f"<action application={quoteattr(application)} data={quoteattr(data)}/>"
        for application, _, data in (action.partition(" ") for action in actions)
    )
    return (
        '<document type="freeswitch/xml"><section name="dialplan">'
        f"<context name={quoteattr(context)}><extension name={quoteattr(name)}><condition>"
        f"{written}</condition></extension></context></section></document>"
    ).encode()


def conference_conf(params: Mapping[str, str]) -> bytes:
    """A conference.conf with one profile named `room`, and the keys `nizam`."""
    written = "".join(
        f"<param name={quoteattr(name)} value={quoteattr(value)}/>"
        for name, value in params.items()
    )
    return (
        '<document type="freeswitch/xml"><section name="configuration">'
        '<configuration name="conference.conf"><caller-controls><group name="nizam">'
        '<control action="mute" digits="0"/><control action="hangup" digits="#"/></group>'
        f'</caller-controls><profiles><profile name="room">{written}</profile></profiles>'
        "</configuration></section></document>"
    ).encode()


@attrs.define
class World:
    """A switch, who answers it, and its phones 1001, 1002 and 1003."""

    stage: Stage
    answers: AnsweringServer
    client: Client
    anna: Phone
    ben: Phone
    cora: Phone
    plans: dict[str, Actions] = attrs.field(factory=dict)
    conference: Mapping[str, str] = attrs.field(factory=dict)

    def answer(self, form: dict[str, str]) -> bytes:
        """Dialplans by number, the conference, and for the rest the verified documents."""
        if form["section"] == "dialplan":
            number = form["Hunt-Destination-Number"]
            if number not in self.plans:
                return NOT_FOUND
            return dialplan(number, self.plans[number], form["Hunt-Context"])
        if form["key_value"] == "conference.conf":
            return conference_conf(self.conference)
        return verified_answer(form)

    def events(self, name: str) -> list[str]:
        """The Actions, else the applications, of the events of a name or subclass, in order."""
        found = [dict(event) for event in self.client.events]
        return [
            it.get("Action") or it.get("Application") or it.get("DTMF-Digit") or it["Event-Name"]
            for it in found
            if name in (it["Event-Name"], it.get("Event-Subclass"))
        ]

    async def told(self) -> None:
        """Waits until the client has been sent all events so far."""
        await self.client.say("api echo done")
