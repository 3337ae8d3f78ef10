"""One case as its file says it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from tests.routing.cases.site import HERE, read_yaml

TUESDAY = datetime.fromisoformat("2026-11-24T10:00-05:00")
"""When calls are made unless a case says otherwise: ten in New York, four in Berlin."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)


class Call(_Part):
    """Who calls whom, and what the switch tells of the call."""

    to: str
    """What is dialled; or `menu 5000 entry 1`, `after 1002`, `parked 700`, `flow 5300 desk at`:
    what the switch asks again for."""
    from_: str | None = Field(None, alias="from")
    """The extension whose phone calls; from outside, the caller's number."""
    context: str = "internal"
    """`internal`, or `public` for a call that comes in from a carrier."""
    number: str | None = None
    """The number that the caller shows, if it is another than `from`."""
    name: str = ""
    """The name that the caller shows."""
    domain: str | None = None
    """The domain of the tenant to which the switch says that the call belongs."""
    extension: str | None = None
    """The extension that our directory put on the leg: one that did not sign in for this call."""
    call_id: str | None = None
    """The id that an earlier question of the same call was given."""
    after: str | None = None
    """How the last attempt to ring somebody ended, such as USER_BUSY."""
    hops: int = 0
    """How often the call has come back by itself since somebody chose where it goes."""
    misses: int = 0
    """How often the caller has dialled what is no extension in this menu."""


class State(_Part):
    """The state of the moment; what is not named is not there."""

    registered: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    """By extension: the SIP URIs of its phones, each with `@NODE` of the switch after a blank if
    that is not fs1."""
    calls: Mapping[str, int] = Field(default_factory=dict)
    """By extension: how many legs of it are up or ringing."""
    ringing: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    """By extension: the ids of the legs that ring at it, the longest first; `ID @fs2` of one at
    another switch."""
    down: tuple[str, ...] = ()
    """Gateways that do not answer."""
    up: tuple[str, ...] = ()
    """Gateways that answer."""
    nodes: Mapping[str, str] = Field(default_factory=dict)
    """By switch: where other switches reach it."""
    full: Mapping[str, int] = Field(default_factory=dict)
    """By limit (`concurrent extension 1001`, `attempts/costly extension 1009`,
    `minutes_per_day@2026-11-24 tenant`): how high it stands, which is the most."""
    answers: tuple[Any, ...] = ()
    """What HTTP requests are answered, in their order: an object; or text, why there is none."""
    changes_fail: str | None = None
    """Why what was dialled cannot be changed."""


class Case(_Part):
    """A call and where it goes."""

    case: str
    """In words, what the rule is."""
    tenant: str = "acme"
    """The tenant that is called, or whose phone calls."""
    status: str = "active"
    """In which state the tenant is."""
    with_: Mapping[str, Any] = Field(default_factory=dict, alias="with")
    """What is different from the tenant's document, as a document that is merged into it."""
    unchecked: bool = False
    """Whether `with` is there although it would be refused, as data older than a check."""
    refused: str | None = None
    """Part of what is said when the document of `with` cannot be saved; there is no call then."""
    call: Call | None = None
    at: AwareDatetime = TUESDAY
    """When the call is made."""
    facts: State = State()
    """The state of the moment."""
    outcome: str = "routed"
    route: str | None = None
    plan: str | None = None
    """The plan in the words of nizam.routing.words."""
    explains: tuple[str, ...] = ()
    """What the explanation says, each as (part of) one of its lines, in this order."""
    changes: tuple[str, ...] = ()
    """What the call changes: `extension 1001 {"do_not_disturb":true}`."""
    counts: tuple[str, ...] | None = None
    """The limits that the call counts under: `concurrent extension 1001 of 2`; any without it."""
    tells: tuple[str, ...] | None = None
    """The types of the events that follow from the decision; any without it."""
    then: Mapping[str, str] = Field(default_factory=dict)
    """By how the ringing ended: the plan when the switch asks again, as the last plan told it."""
    presses: Mapping[str, str] = Field(default_factory=dict)
    """By what is pressed in the menu of the plan (or `timeout`, `invalid`), or as the digits that
    it takes (or `timeout`): the plan."""

    @model_validator(mode="after")
    def _whole(self) -> Case:
        if (self.refused is None) != (self.call is not None and self.plan is not None):
            raise ValueError("takes either refused, or a call and its plan")
        return self


@cache
def cases() -> tuple[tuple[str, Case], ...]:
    """Every case of `calls/`, each with the file it stands in and its words."""
    found: dict[str, Case] = {}
    for path in sorted((HERE / "calls").glob("*.yaml")):
        content = read_yaml(path)
        for given in content["cases"]:
            case = Case.model_validate({"tenant": content.get("tenant", "acme")} | given)
            name = f"{path.stem}: {case.case}"
            if name in found:
                raise ValueError(f"two cases are called {name}")
            found[name] = case
    return tuple(found.items())
