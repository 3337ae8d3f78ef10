"""A user: a person who signs in, and which part that person has in which tenant."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated
from uuid import UUID

from pydantic import (
    AfterValidator,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)

from nizam.model.base import Body, Value
from nizam.model.extension import Email
from nizam.model.password import weakness
from nizam.model.permissions import Role
from nizam.model.resource import Column, Resource, Secret, Unique
from nizam.model.values import Label

LoginEmail = Annotated[Email, AfterValidator(str.lower)]
"""An address in lower case: whoever types it otherwise is the same person."""

PASSWORD_MIN = 12
PASSWORD_MAX = 128

Password = Annotated[str, StringConstraints(min_length=PASSWORD_MIN, max_length=PASSWORD_MAX)]
"""12 to 128 characters of any kind (NIST SP 800-63B)."""


class Membership(Value):
    """A role in a tenant; without a tenant it is the platform's, where the only role is
    platform_admin."""

    tenant_id: UUID | None = None
    """The tenant; null is the platform."""
    role: Role
    """What the user may do there."""

    @model_validator(mode="after")
    def _fits(self) -> Membership:
        if (self.tenant_id is None) != (self.role == "platform_admin"):
            raise ValueError("platform_admin stands without a tenant_id, every other role with one")
        return self


class Person(Body):
    """Who somebody is. Without a password nobody can log in as them yet; a reset token lets the
    person choose one."""

    email: LoginEmail
    """The address to log in with; no other user has it."""
    name: Label
    """Who it is."""
    password: Password | None = None
    """What to log in with; only its hash is kept."""

    @field_validator("password")
    @classmethod
    def _is_hard_to_guess(cls, value: str | None, info: ValidationInfo) -> str | None:
        known = (str(info.data.get(name, "")) for name in ("email", "name"))
        problem = None if value is None else weakness(value, known)
        if problem is not None:
            raise ValueError(problem)
        return value


class User(Person):
    """A person who signs in, and which part that person has in which tenant. Without a password
    nobody can log in as the user yet; a reset token lets the person choose one."""

    memberships: Annotated[tuple[Membership, ...], Field(max_length=200)] = ()
    """What the user may do where."""

    @model_validator(mode="after")
    def _once(self) -> User:
        if len(set(self.memberships)) != len(self.memberships):
            raise ValueError("a membership stands twice")
        return self

    def tenant_ids(self) -> Iterator[UUID]:
        """The tenants of the memberships."""
        for it in self.memberships:
            if it.tenant_id is not None:
                yield it.tenant_id


RESOURCE = Resource(
    name="user",
    path="users",
    body=User,
    scope="platform",
    columns=(Column("email"), Column("name"), Column("enabled", "boolean")),
    unique=(Unique(("email",), everywhere=True),),
    secrets=(Secret("password", one_way=True),),
    search=("email", "name"),
    routed=False,
    example={
        "email": "ada@example.com",
        "name": "Ada Lovelace",
        "password": "a long walk to the analytical engine",
        "memberships": [{"role": "platform_admin"}],
    },
)
