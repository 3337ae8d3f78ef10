"""A blocked number: one that may not call in, or may not be called, for a while or for good."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime

from nizam.model.base import Body
from nizam.model.patterns import Pattern
from nizam.model.resource import Column, Resource, Unique
from nizam.model.values import Text


class BlockedNumber(Body):
    """A number that may not call in, or may not be called, for a while or for good."""

    pattern: Pattern
    """A number or, with a final dot, a prefix; one that starts with + is compared in E.164."""
    direction: Literal["inbound", "outbound", "both"] = "inbound"
    """The calls that it stops."""
    reason: Text = ""
    """Why, for people."""
    expires_at: AwareDatetime | None = None
    """Until when; for good without it."""


RESOURCE = Resource(
    name="blocked_number",
    path="blocked-numbers",
    body=BlockedNumber,
    columns=(Column("pattern"), Column("direction"), Column("enabled", "boolean")),
    unique=(Unique(("pattern", "direction")),),
    search=("pattern", "reason"),
    example={
        "pattern": "+12025550142",
        "direction": "inbound",
        "reason": "Nuisance calls",
        "expires_at": "2027-01-01T00:00:00Z",
    },
)
