"""What the parts of a decision share while one call is being routed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import cache, lru_cache
from typing import Any, Protocol, TypeVar
from uuid import UUID

import attrs

from nizam.model.audio import Sound
from nizam.model.base import Body
from nizam.model.destination import Destination
from nizam.model.did import Did
from nizam.model.extension import Extension
from nizam.model.tenant import Tenant
from nizam.routing.facts import NO_FACTS, Command, Facts, Fetch, Fetched, Limit, Notice
from nizam.routing.plan import Hangup, Plan
from nizam.routing.request import CallRequest
from nizam.routing.rows import Entry
from nizam.routing.snapshot import TenantView
from nizam.routing.sounds import find_sound
from nizam.routing.trace import ResourceName, Result, TraceStep

B = TypeVar("B", bound=Body)

MAX_FORWARDS = 5
MAX_DEPTH = 12

TOLL_CLASSES = ("internal", "local", "national", "international")


class Random(Protocol):
    """The randomness that routing uses; `random.Random` has it."""

    def random(self) -> float:
        """A number from 0 to below 1."""

    def shuffle(self, x: list[Any]) -> None:
        """Bring a list into a random order."""


@attrs.frozen
class Rights:
    """On whose behalf numbers outside are dialled, and how far that reaches.

    `toll_class` None dials nothing outside. `extension` gives the caller id; `withhold` says
    whether it is withheld on this one call, None that it is as configured.
    """

    words: str
    toll_class: str | None
    extension: Entry[Extension] | None = None
    withhold: bool | None = None

    @classmethod
    def of(cls, extension: Entry[Extension]) -> Rights:
        """The rights of an extension."""
        words = f"extension {extension.body.number}"
        return cls(words, extension.body.toll_class, extension)


OUTSIDER = Rights("a caller without an extension", None)
CONFIGURED = Rights("the tenant's configuration", TOLL_CLASSES[-1])
"""Destinations that the tenant itself wrote down; its dialling policy still holds."""


@lru_cache(maxsize=100_000)
def destination_to(kind: str, identifier: UUID) -> Destination:
    """The destination that is the object of this type and id; made once, since that is slow."""
    return Destination.model_construct(type=kind, id=identifier)


@cache
def _planners() -> Mapping[str, Callable[[Routing, Destination], Plan]]:
    # They need this module.
    from nizam.routing.destinations import planners

    return planners()


@attrs.define
class Routing:
    """One call on its way through a tenant's configuration; trace and route grow as it goes.

    `caller` is the extension that makes the call, `did` the first of the tenant's DIDs that it
    is for, `zone_did` the DID whose time zone counts for what has none of its own.
    `destination` is the public number that it is sent to outside, in E.164.
    `policy_caller` is the number and the name that a routing policy wants shown outside,
    `diverted` why the last extension forwarded the call.
    """

    view: TenantView
    tenant: Tenant
    request: CallRequest
    now: datetime
    random: Random
    rights: Rights
    caller_name: str
    caller: Entry[Extension] | None = None
    trace: list[TraceStep] = attrs.field(factory=list)
    route: list[str] = attrs.field(factory=list)
    outcome: str = "routed"
    forwards: int = 0
    facts: Facts = NO_FACTS
    limits: list[Limit] = attrs.field(factory=list)
    commands: list[Command] = attrs.field(factory=list)
    notices: list[Notice] = attrs.field(factory=list)
    fetch: Fetch | None = None
    zone_did: Entry[Did] | None = None
    policy_caller: tuple[str | None, str | None] = (None, None)
    diverted: str = "always"
    did: Entry[Did] | None = None
    destination: str | None = None
    recorded_on_demand: bool = False
    from_node: bool = False
    hops: int = 0
    comes_back: bool = False
    """Whether whoever sends the call on goes on with it when nobody answers: what a destination
    does of its own in that case, such as its voicemail, is left out then."""
    _depth: int = 0

    def note(
        self, step: str, result: Result, detail: str, resource: Entry[Any] | None = None
    ) -> None:
        """Add a line to the trace."""
        named = None if resource is None else ResourceName(resource.resource, resource.id)
        self.trace.append(TraceStep(step, result, detail, named))

    def enter(self, entry: Entry[Any], words: str) -> None:
        """Note that the call goes to this object; `words` name it for people."""
        self.note(entry.resource, "chosen", f"goes to {words}", entry)
        self.route.append(words)

    def object(self, body_type: type[B], identifier: UUID | None) -> Entry[B] | None:
        """The tenant's enabled object; None, with a line in the trace, if there is none."""
        entry = None if identifier is None else self.view.get(body_type, identifier)
        name = body_type.__name__
        if entry is None:
            self.note("destination", "failed", f"{name} {identifier} does not exist")
            return None
        if not entry.body.enabled:
            self.note("destination", "failed", f"{name} {identifier} is disabled", entry)
            return None
        return entry

    def sound(self, sound: Sound) -> str | None:
        """What FreeSWITCH plays; None, with a line in the trace, for a prompt without a sound."""
        found = find_sound(self.view, sound)
        if found.path is None:
            self.note("prompt", "failed", found.words, found.prompt)
        elif found.prompt is not None:
            self.note("prompt", "matched", found.words, found.prompt)
        return found.path

    def take(self, *limits: Limit) -> Limit | None:
        """Count the call under all the limits, or under none: then the first that is reached.

        `most` 0 is no limit. What stands there already is not counted twice, but for gateways: a
        call has as many channels there as legs.
        """
        before = len(self.limits)
        for limit in limits:
            if limit.most == 0 or (limit.scope != "gateway" and limit in self.limits):
                continue
            taken = sum(it.key == limit.key and not it.look for it in self.limits)
            stands = self.facts.full.get(limit.key)
            if stands is not None and stands + taken >= limit.most:
                del self.limits[before:]
                return limit
            self.limits.append(limit)
        return None

    def change(self, command: Command) -> Mapping[str, Any] | None:
        """Have an object changed before the call is answered: the changes that are made.

        They are those of the first time when the same question was asked before, whatever has
        become of the object since. None, with a line in the trace, when they cannot be made.
        """
        if self.facts.command_failed is not None:
            self.note("command", "failed", self.facts.command_failed)
            return None
        same = (command.resource, command.id)
        earlier = (it for it in self.facts.done if (it.resource, it.id) == same)
        command = next(earlier, command)
        self.commands.append(command)
        return command.changes

    def ask(self, fetch: Fetch) -> Fetched:
        """What the request was answered; still pending when it has yet to be made."""
        found = self.facts.fetched.get(fetch.key)
        if found is None:
            self.fetch = fetch
            return Fetched("pending")
        return found

    def follow(self, destination: Destination) -> Plan:
        """The plan of a destination, whatever its type."""
        if self._depth >= MAX_DEPTH:
            self.outcome = "loop"
            self.note("destination", "failed", f"{MAX_DEPTH} destinations lead to each other")
            return (Hangup("EXCHANGE_ROUTING_ERROR"),)
        planner = _planners().get(destination.type)
        if planner is None:
            self.note("destination", "failed", f"nothing routes to a {destination.type}")
            return self.unreachable()
        self._depth += 1
        try:
            return planner(self, destination)
        finally:
            self._depth -= 1

    def follow_configured(self, destination: Destination) -> Plan:
        """The plan of a destination that the tenant, not the caller, has chosen."""
        with self.acting_as(CONFIGURED):
            return self.follow(destination)

    def forward(self, extension: Entry[Extension], why: str, destination: Destination) -> Plan:
        """The plan of an extension's forward, with the rights of that extension."""
        if self.forwards >= MAX_FORWARDS:
            self.outcome = "loop"
            detail = f"not forwarded ({why}): {MAX_FORWARDS} forwards are the most for a call"
            self.note("forward", "denied", detail, extension)
            return (Hangup("EXCHANGE_ROUTING_ERROR"),)
        self.note("forward", "matched", f"{extension.body.number} forwards: {why}", extension)
        self.forwards += 1
        before, self.diverted = self.diverted, why
        try:
            with self.acting_as(Rights.of(extension)):
                return self.follow(destination)
        finally:
            self.forwards -= 1
            self.diverted = before

    @contextmanager
    def acting_as(self, rights: Rights) -> Iterator[None]:
        """Dial outside on behalf of somebody else for a while."""
        before, self.rights = self.rights, rights
        try:
            yield
        finally:
            self.rights = before

    @contextmanager
    def otherwise(self) -> Iterator[None]:
        """Plan what happens only if nobody answers: it is traced, but not part of the route."""
        before = len(self.route)
        try:
            yield
        finally:
            del self.route[before:]

    @contextmanager
    def coming_back(self) -> Iterator[None]:
        """Send the call on for a while, and take it back when nobody answers."""
        before, self.comes_back = self.comes_back, True
        try:
            yield
        finally:
            self.comes_back = before

    def unreachable(self) -> Plan:
        """The plan for a destination that is configured but not there."""
        self.outcome = "unreachable"
        return (Hangup("NO_ROUTE_DESTINATION"),)
