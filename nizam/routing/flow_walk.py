"""A call on its way through the nodes of a call flow.

Nodes that need no decision are strung together in one plan. Where the way depends on what the
caller presses, on another server or on who answers, the plan ends with a transfer to a re-entry
token, and the switch asks again when it is known.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

import attrs

from nizam.fsxml.values import text
from nizam.model.audio import recordings_directory
from nizam.model.call_flow import CallFlow, PublishedFlow
from nizam.model.flow_nodes import (
    BranchNode,
    BridgeNode,
    CollectNode,
    FlowNode,
    HangupNode,
    HttpNode,
    PlayNode,
    RecordNode,
    SayNode,
    SetNode,
    VoicemailNode,
)
from nizam.routing.context import Routing, destination_to
from nizam.routing.facts import Fetch
from nizam.routing.flow_state import FLOW_NEXT, VARIABLE
from nizam.routing.plan import (
    Answer,
    Bridge,
    CollectDigits,
    Hangup,
    Plan,
    Playback,
    Record,
    SayDigits,
    Set,
    Sleep,
    Speak,
    Step,
    Transfer,
)
from nizam.routing.rows import Entry
from nizam.routing.tokens import FlowStep, read_token, write_token

SETTLE_MILLISECONDS = 500
"""How long after the answer nothing is played, so that its beginning is heard."""
WAIT_MILLISECONDS = 400
"""How long the caller waits before the switch asks again whether another server has answered."""
MOST_MEMBERS = 50
"""How many members of an answer become variables."""
CARRY_ON = "transfer_on_fail"
"""The channel variable that says where a call goes whose bridge failed for good."""

_REFERENCE = re.compile(r"\{([a-z][a-z0-9_]{0,39})\}")
_NAME = re.compile(r"\A[a-z][a-z0-9_]{0,39}\Z")
_PRESSED = re.compile(r"\A[0-9*#]{1,30}\Z")
_DIGITS = re.compile(r"\A[0-9]{1,64}\Z")


@attrs.define
class Walk:
    """The way of one call through one version, until the plan ends or the switch must ask again.

    `variables` are the flow's as they are now; what is set on the way is set on the channel too.
    """

    routing: Routing
    entry: Entry[CallFlow]
    flow: PublishedFlow
    variables: dict[str, str]
    _steps: list[Step] = attrs.field(factory=list)
    _seen: set[str] = attrs.field(factory=set)
    _nodes: Mapping[str, FlowNode] = attrs.field(init=False)
    _answered: bool = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._nodes = {node.id: node for node in self.flow.nodes}
        self._answered = self.routing.request.answered

    def node(self, identifier: str) -> FlowNode | None:
        """The node of this version with the id, or None."""
        return self._nodes.get(identifier)

    def begin(self, *steps: Step) -> None:
        """Put steps before all others."""
        self._steps.extend(steps)

    def go(self, identifier: str | None) -> Plan:
        """The plan from this node on; None is its end."""
        while identifier is not None:
            if identifier in self._seen:
                # Once round: the rest is asked for again, and counted.
                self._ask_again(FlowStep(self.entry.id, self.flow.version, identifier))
                break
            self._seen.add(identifier)
            node = self._nodes[identifier]
            identifier = _WAYS[type(node)](self, node)
        return tuple(self._steps)

    def wait(self, node: HttpNode, hop: int) -> Plan:
        """The plan of a call that waits for what it asked for in its re-entry `hop`."""
        self._seen.add(node.id)
        return self.go(self.ask(node, hop))

    def value(self, name: str) -> str:
        """What a variable holds: one of the flow, or one that every call has; empty if it is not
        set."""
        found = self.variables.get(name)
        if found is not None:
            return found
        request = self.routing.request
        known = {
            "caller_number": request.caller_number,
            "caller_name": self.routing.caller_name,
            "called_number": request.flow.to or self._dialled(),
            "disposition": request.disposition or "",
        }
        return text(known.get(name, ""))

    def _dialled(self) -> str:
        dialled = self.routing.request.destination
        return dialled if read_token(dialled) is None else ""

    def note(self, node: FlowNode, words: str, *, failed: bool = False) -> None:
        """Add a line about a node to the trace."""
        result: Any = "failed" if failed else "chosen"
        self.routing.note("call_flow", result, f"{node.id}: {words}", self.entry)

    # -- one function for each type of node: each returns the id of the next, or None --------------

    def play(self, node: PlayNode) -> str | None:
        sound = self.routing.sound(node.sound)
        if sound is None:
            self.note(node, "cannot be played", failed=True)
        else:
            self.note(node, f"plays {sound}")
            self._listen(Playback(sound))
        return node.next

    def say(self, node: SayNode) -> str | None:
        words = self._filled_in(node.text)
        language = (node.language or self.routing.tenant.language)[:2]
        speech = self.routing.view.speech
        if _DIGITS.match(words):
            self.note(node, "says digits")
            self._listen(SayDigits(language, words))
        elif not words:
            self.note(node, "has nothing to say")
        elif speech is None:
            self.note(node, "is not spoken: there is no text-to-speech engine", failed=True)
        else:
            self.note(node, "is spoken")
            self._listen(Speak(*speech, words))
        return node.next

    def collect(self, node: CollectNode) -> str | None:
        sound = None if node.sound is None else self.routing.sound(node.sound)
        self.note(node, f"takes {node.min_digits} to {node.max_digits} digits")
        self._listen(
            CollectDigits(
                f"{VARIABLE}{node.variable}",
                node.min_digits,
                node.max_digits,
                node.attempts,
                round(node.timeout_seconds * 1000),
                round(node.digit_timeout_seconds * 1000),
                node.terminator,
                sound,
            )
        )
        self._ask_again(FlowStep(self.entry.id, self.flow.version, node.id, "after"))
        return None

    def collected(self, node: CollectNode) -> str | None:
        """Where what the caller pressed leads."""
        digits = self.variables.get(node.variable, "")
        counts = _PRESSED.match(digits) and node.min_digits <= len(digits) <= node.max_digits
        if not counts:
            self.variables.pop(node.variable, None)
            self.note(node, "nothing was pressed that counts")
            return node.timeout_next or node.next
        for branch in node.branches:
            if branch.digits == digits:
                # More than one could be a PIN.
                pressed = digits if len(digits) == 1 else f"{len(digits)} digits"
                self.note(node, f"the caller pressed {pressed}, which lead to {branch.next}")
                return branch.next
        self.note(node, f"the caller pressed {len(digits)} digits")
        return node.next

    def branch(self, node: BranchNode) -> str | None:
        value = text(self.value(node.variable))
        for branch in node.branches:
            if text(branch.value) == value:
                self.note(node, f"{node.variable} leads to {branch.next}")
                return branch.next
        self.note(node, f"{node.variable} is something else")
        return node.next

    def set(self, node: SetNode) -> str | None:
        self._set(node.variable, self._filled_in(node.value))
        self.note(node, f"sets {node.variable}")
        return node.next

    def http(self, node: HttpNode) -> str | None:
        return self.ask(node, self.routing.hops)

    def ask(self, node: HttpNode, hop: int) -> str | None:
        """Ask the server, or go on by what it has answered."""
        answer = self.routing.ask(self._fetch(node, hop))
        if answer.state == "pending":
            self.note(node, f"waits for {urlsplit(node.url).hostname}")
            self._steps.append(Sleep(WAIT_MILLISECONDS))
            self._ask_again(FlowStep(self.entry.id, self.flow.version, node.id, "wait", hop))
            return None
        if answer.state == "failed":
            self.note(node, f"no good answer: {answer.words}", failed=True)
            return node.error_next or node.next
        taken: list[str] = []
        for name, value in answer.body.items():
            full = f"{node.variable}_{name}"
            if len(taken) < MOST_MEMBERS and _NAME.match(full) and _is_scalar(value):
                self._set(full, _written(value))
                taken.append(full)
        self.note(node, f"was answered: {', '.join(taken) or 'nothing that can be kept'}")
        return node.next

    def bridge(self, node: BridgeNode) -> str | None:
        routing = self.routing
        self.note(node, f"sends the call to a destination: {node.destination.type}")
        if node.next is None:
            self._steps.extend(routing.follow_configured(node.destination))
            return None
        before = routing.outcome
        with routing.coming_back():
            plan = routing.follow_configured(node.destination)
        if routing.outcome not in {before, "loop"}:
            self.note(node, "nobody can be rung there", failed=True)
            routing.outcome = before
            return node.next
        if not plan or not isinstance(plan[-1], Bridge):
            # A machine takes the call, or it ends: nobody is waited for.
            self._steps.extend(plan)
            return None
        token = FlowStep(self.entry.id, self.flow.version, node.id, "after")
        if any(isinstance(it, Bridge) for it in plan[:-1]):
            # A cause that ends the attempts early, such as busy, ends the plan too.
            context = routing.tenant.domain
            self._steps.append(Set(CARRY_ON, f"true {write_token(token)} XML {context}"))
        self._steps.append(Set(FLOW_NEXT, write_token(token)))
        self._steps.extend(plan[:-1])
        self._steps.append(attrs.evolve(plan[-1], continue_on="always"))
        self._steps.append(Transfer(write_token(token), routing.tenant.domain))
        return None

    def bridged(self, node: BridgeNode) -> str | None:
        """Where a call goes that nobody has answered."""
        self._steps.append(Set(CARRY_ON, ""))
        cause = self.routing.request.disposition or "NO_ANSWER"
        self.note(node, f"nobody has answered: {cause}")
        return node.next

    def record(self, node: RecordNode) -> str | None:
        root, call = self.routing.view.media_root, self.routing.request.known_id
        if root is None or not call:
            self.note(node, "is not recorded: there is no media root", failed=True)
            return node.next
        name = f"{call}-{node.id}-{self.routing.hops}.wav"
        # Not in folders: unlike for the recording of a call, FreeSWITCH makes none here.
        path = f"{root}/{recordings_directory(self.routing.view.id)}/{name}"
        self.note(node, f"records the caller for {node.max_seconds} s at most")
        self._listen(Record(path, node.max_seconds, node.silence_seconds))
        return node.next

    def voicemail(self, node: VoicemailNode) -> str | None:
        self.note(node, "takes a message")
        self._steps.extend(self.routing.follow(destination_to("voicemail", node.extension_id)))
        return None

    def hangup(self, node: HangupNode) -> str | None:
        self.note(node, f"ends with {node.cause}")
        self._steps.append(Hangup(node.cause))
        return None

    # -- what the nodes have in common -------------------------------------------------------------

    def _listen(self, step: Step) -> None:
        """A step that the caller hears or speaks in, on an answered call."""
        if not self._answered:
            self._steps += [Answer(), Sleep(SETTLE_MILLISECONDS)]
            self._answered = True
        self._steps.append(step)

    def _set(self, name: str, value: str) -> None:
        self.variables[name] = text(value)
        self._steps.append(Set(f"{VARIABLE}{name}", self.variables[name]))

    def _ask_again(self, token: FlowStep) -> None:
        written = write_token(token)
        self._steps.append(Set(FLOW_NEXT, written))
        self._steps.append(Transfer(written, self.routing.tenant.domain))

    def _filled_in(self, template: str) -> str:
        return _REFERENCE.sub(lambda match: self.value(match[1]), template).strip()

    def _fetch(self, node: HttpNode, hop: int) -> Fetch:
        request = self.routing.request
        body: dict[str, Any] = {
            "call_id": request.known_id,
            "tenant_id": str(self.routing.view.id),
            "call_flow": {
                "id": str(self.entry.id),
                "name": self.entry.body.name,
                "version": self.flow.version,
            },
            "node": node.id,
            "caller_number": self.value("caller_number"),
            "caller_name": self.value("caller_name"),
            "called_number": self.value("called_number"),
            "variables": dict(self.variables),
        }
        key = f"{self.entry.id}:{node.id}:{hop}"
        url, method = node.url, node.method
        if method == "GET":
            url, body = _with_query(url, body), {}
        return Fetch(key, url, method, node.timeout_seconds, body, node.webhook_id, node.id)


def _with_query(url: str, body: Mapping[str, Any]) -> str:
    """The URL with the facts of the call as parameters: `variables[order]=7`."""
    parts = urlsplit(url)
    named = {name: it for name, it in body.items() if isinstance(it, str)}
    named["call_flow"] = body["call_flow"]["id"]
    named |= {f"variables[{name}]": it for name, it in body["variables"].items()}
    query = "&".join(it for it in (parts.query, urlencode(named)) if it)
    return urlunsplit(parts._replace(query=query))


def _is_scalar(value: object) -> bool:
    return isinstance(value, str | int | float | bool)


def _written(value: object) -> str:
    """A scalar as a variable holds it: true and false as in JSON."""
    return str(value).lower() if isinstance(value, bool) else str(value)


_WAYS: Mapping[type[Any], Callable[[Walk, Any], str | None]] = {
    PlayNode: Walk.play,
    SayNode: Walk.say,
    CollectNode: Walk.collect,
    BranchNode: Walk.branch,
    SetNode: Walk.set,
    HttpNode: Walk.http,
    BridgeNode: Walk.bridge,
    RecordNode: Walk.record,
    VoicemailNode: Walk.voicemail,
    HangupNode: Walk.hangup,
}
