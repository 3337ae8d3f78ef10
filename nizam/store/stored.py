"""One object as it is stored, and how much of it is shown where."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

import attrs

from nizam.model.events import timestamp
from nizam.model.resource import Resource

REDACTED = "***"
_SENSITIVE = re.compile(
    r"(^|_|-)(password|pin|secret|token|authorization|cookie|api[-_]?key)s?$", re.IGNORECASE
)


@attrs.frozen(kw_only=True)
class Stored:
    """One object. `secrets` are encrypted; `revealed` holds new secrets, shown this once;
    `extra` what the system keeps beside the body and shows."""

    resource: Resource
    id: UUID
    tenant_id: UUID | None
    version: int
    created_at: datetime
    updated_at: datetime
    body: Mapping[str, Any]
    secrets: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    revealed: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    extra: Mapping[str, Any] = attrs.field(factory=dict)

    def shown(self) -> dict[str, Any]:
        """What the API shows of it; never a secret."""
        owner = {"tenant_id": self.tenant_id} if self.resource.scope == "tenant" else {}
        return {
            "id": self.id,
            **owner,
            **self.body,
            **self.extra,
            "version": self.version,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        }

    def recorded(self) -> dict[str, Any]:
        """What audit log and events keep of it, as JSON values, sensitive fields blanked out."""
        return {
            name: _plain(value)
            for name, value in redacted(self.shown()).items()
            if name not in self.extra
        }


def columns(resource: Resource) -> tuple[str, ...]:
    """The columns that `from_row` reads, in its order."""
    owner = ("tenant_id",) if resource.scope == "tenant" else ()
    return (
        "id",
        "version",
        "created_at",
        "updated_at",
        "body",
        "secrets",
        *owner,
        *EXTRA_COLUMNS.get(resource.name, ()),
    )


EXTRA_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "api_key": ("key_start", "last_used_at", "last_used_from", "previous_key_expires_at"),
    "user": ("last_login_at", "last_login_from"),
    "tenant": ("terminated_at", "terminated_by", "purge_at"),
}
"""What is kept beside the body and shown."""


def from_row(resource: Resource, row: Sequence[Any]) -> Stored:
    """The object of a row with `columns`."""
    values = dict(zip(columns(resource), row, strict=True))
    return Stored(
        resource=resource,
        id=values["id"],
        tenant_id=values.get("tenant_id"),
        version=values["version"],
        created_at=values["created_at"],
        updated_at=values["updated_at"],
        body=values["body"],
        secrets=values["secrets"],
        extra={name: values[name] for name in EXTRA_COLUMNS.get(resource.name, ())},
    )


def redacted(value: Any) -> Any:
    """`value` without what passwords, PINs and headers, which can be credentials, say."""
    if isinstance(value, Mapping):
        return {name: _redacted_member(str(name), item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [redacted(item) for item in value]
    return value


def _redacted_member(name: str, value: Any) -> Any:
    if name == "headers" and isinstance(value, Mapping):
        return dict.fromkeys(value, REDACTED)
    return REDACTED if value is not None and is_sensitive(name) else redacted(value)


@lru_cache(maxsize=1000)
def is_sensitive(name: str) -> bool:
    """Whether a member of this name is blanked out."""
    return _SENSITIVE.search(name) is not None


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return timestamp(value)
    return str(value) if isinstance(value, UUID) else value
