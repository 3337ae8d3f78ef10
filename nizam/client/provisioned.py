"""A tenant as it was provisioned, with everything that it began with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import attrs

from nizam.client.errors import UnexpectedAnswer
from nizam.client.objects import Object, object_from
from nizam.model import api_key, tenant, user
from nizam.model.api_key import ApiKey
from nizam.model.tenant import Tenant
from nizam.model.user import User


@attrs.frozen(kw_only=True)
class Phone:
    """What a phone signs in with."""

    extension_id: UUID
    number: str
    display_name: str
    user: str
    domain: str
    password: str = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class Registrar:
    """Where phones register: `transport` is udp, tcp or tls."""

    host: str
    port: int
    transport: str


@attrs.frozen(kw_only=True)
class Provisioned:
    """What was made. `admin.secrets` has the `reset_token` or the `password` that was generated,
    `api_key.secrets` the `key`; `document` is the whole answer."""

    tenant: Object[Tenant]
    phones: tuple[Phone, ...]
    registrars: tuple[Registrar, ...]
    admin: Object[User] | None
    api_key: Object[ApiKey] | None
    document: Mapping[str, Any] = attrs.field(repr=False)


def provisioned_from(document: Any) -> Provisioned:
    """What the answer says; UnexpectedAnswer if that is not understood."""
    try:
        admin, key = document.get("admin"), document.get("api_key")
        return Provisioned(
            tenant=object_from(tenant.RESOURCE, Tenant, document["tenant"]),
            phones=tuple(map(_phone, document["extensions"])),
            registrars=tuple(
                Registrar(host=it["host"], port=int(it["port"]), transport=it["transport"])
                for it in document["sip"]["registrars"]
            ),
            admin=admin and object_from(user.RESOURCE, User, admin, shown_once=("reset_token",)),
            api_key=key and object_from(api_key.RESOURCE, ApiKey, key, shown_once=("key",)),
            document=document,
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UnexpectedAnswer(f"no provisioned tenant is understood: {error}") from None


def _phone(it: Mapping[str, Any]) -> Phone:
    return Phone(
        extension_id=UUID(it["id"]),
        number=it["number"],
        display_name=it["display_name"],
        **it["sip"],
    )
