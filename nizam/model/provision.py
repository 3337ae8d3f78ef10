"""What a new tenant can be given in the one request that makes it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from nizam.model.api_key import KeyTerms
from nizam.model.base import Value
from nizam.model.tenant import Tenant
from nizam.model.user import Person
from nizam.model.values import InternalNumber, safe_text

MOST_OBJECTS = 1000
"""In one request; a larger tenant is made empty and applied a document."""

_NUMBER = "{number}"
_OF_EACH = frozenset({"number", "display_name", "sip_password"})


class ExtensionRange(Value):
    """Extensions with numbers in a row, each with a SIP password of its own. `{number}` in
    `display_name` stands for the number; `fields` are what else all of them have."""

    first: InternalNumber
    """The first number."""
    count: Annotated[int, Field(ge=1, le=MOST_OBJECTS)]
    """How many."""
    display_name: Annotated[str, StringConstraints(min_length=1, max_length=100)] = (
        f"Extension {_NUMBER}"
    )
    """The name of each; {number} stands for its number."""
    fields: Annotated[dict[str, Any], Field(default_factory=dict)]
    """What else all of them have, as POST extensions takes it."""

    @field_validator("count")
    @classmethod
    def _has_room(cls, value: int, info: ValidationInfo) -> int:
        first = info.data.get("first")
        if first is not None and len(str(int(first) + value - 1)) > len(first):
            raise PydanticCustomError(
                "beyond_digits",
                "the numbers from {first} on end before that many",
                {"first": first},
            )
        return value

    @field_validator("display_name")
    @classmethod
    def _is_safe(cls, value: str) -> str:
        return safe_text(value)

    @field_validator("fields")
    @classmethod
    def _leaves_each_its_own(cls, value: dict[str, Any]) -> dict[str, Any]:
        own = sorted(_OF_EACH & value.keys())
        if own:
            raise PydanticCustomError(
                "of_each", "{names} cannot be the same for all", {"names": ", ".join(own)}
            )
        return value

    def bodies(self) -> Iterator[dict[str, Any]]:
        """The extensions, as JSON values."""
        for number in range(int(self.first), int(self.first) + self.count):
            text = str(number).zfill(len(self.first))
            name = self.display_name.replace(_NUMBER, text)
            yield {**self.fields, "number": text, "display_name": name}


class Administrator(Person):
    """The tenant's first user, a tenant_admin. Without a password there is a reset token in the
    answer, with which the person chooses one, or a password that was generated if that is asked
    for."""

    generate_password: bool = False
    """Whether to generate a password, which is in the answer."""

    @field_validator("generate_password")
    @classmethod
    def _is_needed(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("password") is not None:
            raise PydanticCustomError("surplus", "there is a password already", {})
        return value


class Provision(Value):
    """A tenant with its people and keys. Beside these a request has lists of its first objects, by
    the names that tenant documents give to them."""

    tenant: Tenant
    """The tenant."""
    status: Literal["trial", "active"] = "active"
    """The state that it begins in."""
    extension_range: ExtensionRange | None = None
    """Extensions with numbers in a row."""
    admin: Administrator | None = None
    """Its first user."""
    api_key: KeyTerms | None = None
    """Its first key."""
