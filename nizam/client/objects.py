"""What the client gives back: objects with typed bodies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

import attrs
from pydantic import ValidationError

from nizam.client.errors import UnexpectedAnswer
from nizam.model.base import Body
from nizam.model.resource import Resource

B = TypeVar("B", bound=Body)


class Secrets(Mapping[str, str]):
    """Secrets that an answer showed, by field: `sip_password`, `voicemail.pin`.

    They are in no text that is made of this.
    """

    def __init__(self, fields: Mapping[str, str] | None = None) -> None:
        self._fields = dict(fields or {})

    def __getitem__(self, name: str) -> str:
        return self._fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __repr__(self) -> str:
        return f"<secrets: {', '.join(self) or 'none'}>"


@attrs.frozen
class Object(Generic[B]):
    """One object as it was when it was answered.

    `body` holds what can be written, without secrets; `secrets` those that were shown this once;
    `extra` what is shown beside the body, such as the state of a gateway.
    """

    id: UUID
    tenant_id: UUID | None
    version: int
    created_at: datetime
    updated_at: datetime
    etag: str
    body: B
    secrets: Secrets = attrs.field(factory=Secrets)
    extra: Mapping[str, Any] = attrs.field(factory=dict)

    def document(self) -> dict[str, Any]:
        """Everything but the secrets, as JSON holds it."""
        body = self.body.model_dump(mode="json", by_alias=True, exclude_unset=True)
        own: dict[str, Any] = {"id": str(self.id)}
        if self.tenant_id is not None:
            own["tenant_id"] = str(self.tenant_id)
        times = {
            "version": self.version,
            "created_at": _text(self.created_at),
            "updated_at": _text(self.updated_at),
        }
        return {**own, **body, **self.extra, **times}


def object_from(
    resource: Resource,
    body: type[B],
    document: object,
    *,
    etag: str | None = None,
    shown_once: tuple[str, ...] = (),
) -> Object[B]:
    """The object that `document` holds; fields that a newer server may have added are extra.

    `shown_once` names secrets beside those of the declaration. Raises UnexpectedAnswer.
    """
    if not isinstance(document, Mapping):
        raise UnexpectedAnswer(f"the answer is no object of type {resource.name}")
    names = {it.alias or name for name, it in body.model_fields.items()}
    public, secrets = without_secrets(document, resource, shown_once)
    own = {"id", "version", "created_at", "updated_at", *(() if "tenant_id" in names else _TENANT)}
    fields = {it: public[it] for it in public.keys() & names}
    try:
        version = int(document["version"])
        return Object(
            id=UUID(str(document["id"])),
            tenant_id=None
            if document.get("tenant_id") is None
            else UUID(str(document["tenant_id"])),
            version=version,
            created_at=datetime.fromisoformat(document["created_at"]),
            updated_at=datetime.fromisoformat(document["updated_at"]),
            etag=etag or f'"{version}"',
            body=body.model_validate(fields, extra="ignore"),
            secrets=secrets,
            extra={it: public[it] for it in public if it not in names | own},
        )
    except (KeyError, TypeError, ValueError, ValidationError) as error:
        raise UnexpectedAnswer(
            f"no object of type {resource.name} is understood: {error}"
        ) from None


def without_secrets(
    document: Mapping[str, Any], resource: Resource, shown_once: tuple[str, ...] = ()
) -> tuple[dict[str, Any], Secrets]:
    """The document without the secrets of its resource, and those that were in it."""
    public = {
        it: dict(value) if isinstance(value, dict) else value for it, value in document.items()
    }
    found = {}
    for field in (*(it.field for it in resource.secrets), *shown_once):
        *outer, last = field.split(".")
        place: Any = public
        for name in outer:
            place = place.get(name) or {}
        value = place.pop(last, None)
        if value is not None:
            found[field] = str(value)
    return public, Secrets(found)


_TENANT = ("tenant_id",)


def _text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
