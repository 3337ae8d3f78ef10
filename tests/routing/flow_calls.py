"""A caller on the switch who goes through call flows: what is served is carried out, step by step,
and the switch asks again with the variables of its channel, as in a dialplan request."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import attrs
from lxml import etree

from nizam.fsxml.dialplan import render
from nizam.fsxml.request import XmlRequest, call_request
from nizam.routing.decide import decide
from nizam.routing.decision import Decision
from nizam.routing.facts import Facts, Fetch, Fetched
from tests.routing.tenants import ACME, CALL, NOON, Tenants, identifier

FLOW = "acme/5100"


def put_flow(
    tenants: Tenants, nodes: Sequence[Mapping[str, Any]], name: str = FLOW, version: int = 1
) -> None:
    """Publish a flow that begins at the first of its nodes."""
    slug, number = name.split("/")
    content = {"start": nodes[0]["id"], "nodes": list(nodes)}
    published = {"version": version, "published_at": "2026-11-01T00:00:00Z", **content}
    tenants.put(
        "call_flow", name, {"number": number, "name": slug, **content, "published": published}
    )


@attrs.define
class Caller:
    """A phone of acme in a call; what it hears, and what is done with it, stands in `heard`.

    `presses` are the digits for one collecting after the other; `rings` says how ringing ends;
    `answers` what a server says to the nodes that ask one.
    """

    tenants: Tenants
    presses: list[str] = attrs.field(factory=list)
    rings: list[str] = attrs.field(factory=list)
    answers: dict[str, Any] = attrs.field(factory=dict)
    by: str | None = "1001"
    variables: dict[str, str] = attrs.field(factory=dict)
    heard: list[str] = attrs.field(factory=list)
    asked: list[Fetch] = attrs.field(factory=list)
    decisions: list[Decision] = attrs.field(factory=list)
    answered: bool = False

    def call(self, number: str = "5100", questions: int = 300) -> Caller:
        """Dial, and follow what comes until the call ends."""
        destination: str | None = number
        for _ in range(questions):
            assert destination is not None
            decision = self.ask(destination)
            destination = self._carry_out(decision)
            if destination is None:
                return self
        raise AssertionError("the call has no end")

    def ask(self, destination: str, context: str = ACME) -> Decision:
        """One question of the switch, with what its channel holds."""
        fields = {
            "section": "dialplan",
            "Hunt-Context": context,
            "Hunt-Destination-Number": destination,
            "Hunt-Caller-ID-Number": self.by or "13105550999",
            "Unique-ID": CALL,
            "Answer-State": "answered" if self.answered else "ringing",
        }
        if self.by:
            fields |= {"variable_sip_authorized": "true", "variable_sip_auth_username": self.by}
        fields |= {f"variable_{name}": it for name, it in self.variables.items()}
        request = call_request(XmlRequest(urlencode(fields).encode()))
        facts = Facts()
        while True:
            decision = decide(self.tenants.snapshot, request, NOON, random.Random(1), facts)
            fetch = decision.fetch
            if fetch is None:
                break
            self.asked.append(fetch)
            answer = self.answers.get(fetch.node, "nobody is there")
            found = Fetched("answered", answer) if isinstance(answer, dict) else None
            if answer == "later":
                found = Fetched("pending")
            found = found or Fetched("failed", words=str(answer))
            facts = attrs.evolve(facts, fetched={**facts.fetched, fetch.key: found})
        self.decisions.append(decision)
        return decision

    @property
    def words(self) -> list[str]:
        """All lines of all explanations."""
        return [it.detail for decision in self.decisions for it in decision.trace]

    def _carry_out(self, decision: Decision) -> str | None:
        document = etree.fromstring(render(decision, ACME))
        continues = self.variables.get("continue_on_fail") == "true"
        for action in document.iter("action"):
            name, data = str(action.get("application")), action.get("data") or ""
            assert "$" not in data
            if name in {"set", "export"}:
                variable, _, value = data.partition("=")
                self.variables.pop(variable, None)
                if value:
                    self.variables[variable] = value
                continues = self.variables.get("continue_on_fail") == "true"
            elif name == "unset":
                self.variables.pop(data, None)
            elif name == "answer":
                self.answered = True
            elif name == "play_and_get_digits":
                self._collect(data)
            elif name == "transfer":
                destination, dialplan, context = data.split(" ")
                assert (dialplan, context) == ("XML", ACME)
                return destination
            elif name == "bridge":
                self.heard.append(f"rings {data}")
                cause = self.rings.pop(0) if self.rings else "SUCCESS"
                self.variables["originate_disposition"] = cause
                if cause == "SUCCESS" or not continues:
                    self.heard.append(f"ends {cause}")
                    return None
            elif name == "hangup":
                self.heard.append(f"ends {data}")
                return None
            elif name != "sleep":
                self.heard.append(f"{name} {data}")
        self.heard.append("ends at the end of the plan")
        return None

    def _collect(self, data: str) -> None:
        fields = data.split(" ")
        assert self.variables.get("sensitive_dtmf") == "true"
        self.heard.append(f"collects at {fields[5]}")
        variable, pressed = fields[7], self.presses.pop(0) if self.presses else ""
        self.variables.pop(variable, None)
        if len(pressed) >= int(fields[0]):
            self.variables[variable] = pressed[: int(fields[1])]


def to_extension(number: str) -> dict[str, str]:
    """The destination."""
    return {"type": "extension", "id": str(identifier(f"acme/{number}"))}
