"""What a decision may know beyond configuration and request: the state of the moment, as values.

`decide` asks nobody. What it knows of phones, calls, limits and answers from elsewhere is handed
to it; what it finds that it needs besides stands in the decision, and whoever asked fetches that
and decides again.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, Protocol
from uuid import UUID

import attrs

LimitKind = Literal[
    "concurrent", "per_minute", "minutes_per_day", "attempts", "numbers", "short_calls"
]
LimitScope = Literal["tenant", "extension", "route", "gateway"]


@attrs.frozen
class Contact:
    """Where a phone is registered: its SIP URI as the switch `node` would dial it, and at which of
    its SIP profiles."""

    uri: str
    node: str
    profile: str = "internal"


@attrs.frozen
class RingingLeg:
    """A leg that rings at an extension's phone, on the switch `node`.

    `originator_id` is the leg that makes it ring, where that is known.
    """

    leg_id: str
    call_id: str
    extension_id: UUID
    node: str
    started_at: str
    originator_id: str | None = None

    @property
    def caller_leg(self) -> str:
        """The leg of the one who waits for an answer: the call's first unless told otherwise."""
        return self.originator_id or self.call_id


class Live(Protocol):
    """The state of the moment; every answer is at hand, and none is of another tenant."""

    def contacts(self, tenant_id: UUID, number: str) -> tuple[Contact, ...]:
        """Where the phones of an extension are registered, the newest first; none when it is not
        known, too."""

    def legs(self, tenant_id: UUID, extension_id: UUID) -> int:
        """How many legs of the extension are up or ringing."""

    def ringing(self, tenant_id: UUID, extension_id: UUID) -> tuple[RingingLeg, ...]:
        """The legs that ring at the extension, the longest first."""

    def gateway_up(self, gateway_id: UUID, node: str) -> bool | None:
        """Whether the gateway answers at that switch; None when it is not known."""

    def node_address(self, node: str) -> str | None:
        """Where other switches reach this one by SIP, as host or host:port."""


class NothingLive:
    """No phone is registered and no call is up, as far as is known."""

    def contacts(self, tenant_id: UUID, number: str) -> tuple[Contact, ...]:
        """None."""
        return ()

    def legs(self, tenant_id: UUID, extension_id: UUID) -> int:
        """0."""
        return 0

    def ringing(self, tenant_id: UUID, extension_id: UUID) -> tuple[RingingLeg, ...]:
        """None."""
        return ()

    def gateway_up(self, gateway_id: UUID, node: str) -> bool | None:
        """Not known."""
        return None

    def node_address(self, node: str) -> str | None:
        """Not known."""
        return None


NOTHING_LIVE: Live = NothingLive()


@attrs.frozen
class Limit:
    """A counter that a call takes one of, and how high it may go.

    `concurrent` counts calls that are up, `per_minute` those of the last 60 s, `minutes_per_day`
    the minutes of the tenant's `day` so far, `attempts` the dialling of numbers in the last
    `seconds`, `numbers` the different ones, `short_calls` those that outside ended within
    `short_seconds` after an answer. `of` says which calls count, where that is not all of them:
    those to numbers outside, or costly ones. A limit that is reached stays so for `block_seconds`.
    With `look` a call takes nothing: it may do so later, as with the second gateway of a route.
    """

    kind: LimitKind
    scope: LimitScope
    id: UUID
    most: int
    of: Literal["", "outside", "costly"] = ""
    day: str = ""
    seconds: int = 60
    number: str = ""
    short_seconds: int = 0
    block_seconds: int = 0
    look: bool = False

    @property
    def key(self) -> str:
        """The counter's name, unique over all tenants."""
        return ":".join(it for it in (self.kind, self.scope, str(self.id), self.of, self.day) if it)


@attrs.frozen
class Fetch:
    """An HTTP request that must be answered before the call can go on.

    `key` names it among the answers of the call; `url`, `method` and `timeout_seconds` are the
    tenant's, `body` the JSON object that is sent. `signed_by` is the webhook whose secret signs it,
    `node` the node of the call flow that asks.
    """

    key: str
    url: str
    method: Literal["GET", "POST"]
    timeout_seconds: int
    body: Mapping[str, Any]
    signed_by: UUID | None = None
    node: str = ""


@attrs.frozen
class Fetched:
    """How a Fetch ended: `pending`, `failed` with words why, or `answered` with a JSON object."""

    state: Literal["pending", "failed", "answered"]
    body: Mapping[str, Any] = MappingProxyType({})
    words: str = ""


@attrs.frozen
class Command:
    """A change that a dialled code makes: the fields of one object of the tenant, replaced.

    `changes` is a merge patch (RFC 7396), as the API takes it.
    """

    resource: str
    id: UUID
    changes: Mapping[str, Any]


@attrs.frozen
class Notice:
    """An event that follows from the decision itself, such as fraud.blocked."""

    type: str
    data: Mapping[str, Any]


@attrs.frozen
class Facts:
    """What is known at the moment of one decision.

    `full` maps the keys of limits that are reached to how high they stand; `fetched` the keys of
    HTTP requests to their answers; `command_failed` says why the commands of an earlier attempt
    could not be run; `done` are the commands that were run when the same question was asked before.
    """

    live: Live = NOTHING_LIVE
    full: Mapping[str, int] = MappingProxyType({})
    fetched: Mapping[str, Fetched] = MappingProxyType({})
    command_failed: str | None = None
    done: tuple[Command, ...] = ()


NO_FACTS = Facts()
"""Nothing is known: no phone is registered, nothing is full."""
