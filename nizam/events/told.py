"""What an event of FreeSWITCH tells us, before it is made into one of ours."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import attrs

from nizam.events.channels import Call, Channel
from nizam.events.legs import Leg
from nizam.model.events import Event


@attrs.frozen
class Told:
    """The type, tenant and data of an event, and the call and the leg that it is about.

    `in_call_only` says that a call of another tenant, or of one that is not found out, must not
    be told of.
    """

    type: str
    tenant_id: UUID | None
    data: dict[str, Any]
    call: Call | None = None
    channel: Channel | None = None
    in_call_only: bool = False


@attrs.frozen
class Shown:
    """What goes on now, by its kind and key in the live state; None when it is over."""

    kind: str
    key: str
    document: dict[str, Any] | None


@attrs.define
class Output:
    """What follows: events and legs to store, the calls of which something changed, and what else
    is shown of what goes on now."""

    events: list[Event] = attrs.field(factory=list)
    legs: list[Leg] = attrs.field(factory=list)
    changed: dict[UUID, Call] = attrs.field(factory=dict)
    shown: list[Shown] = attrs.field(factory=list)

    def __bool__(self) -> bool:
        return bool(self.events or self.legs)
