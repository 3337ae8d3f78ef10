"""The way in: one NIZAM, asked with one key."""

from __future__ import annotations

from functools import cache
from types import TracebackType
from typing import Any, Self
from uuid import UUID

from nizam.client.actions import ApiKeys, Document, Tenants, Users, WithSecrets, document
from nizam.client.collection import Collection
from nizam.client.errors import NotFound, ScopeMissing
from nizam.client.history import Documents
from nizam.client.objects import Object
from nizam.client.sign_in import SignIn
from nizam.client.tenant import TenantClient
from nizam.client.transport import (
    ATTEMPT_SECONDS,
    RETRIES,
    TOTAL_SECONDS,
    Transport,
)
from nizam.model import acl, sip_profile, switch_node, tenant, user
from nizam.model import api_key as keys
from nizam.model.tenant import Tenant

BASE = "/api/v1"


class Client:
    """NIZAM's API. Connections are kept; close it, or use it in a `with` statement.

    Arguments: the URL of the server without /api/v1, an API key or a bearer token, the longest
    wait within one attempt and for a request in all (seconds), the number of attempts after the
    first, and `verify` as a file of certificates to trust instead of the system's. It can be used
    by several threads at once.

        client = Client("https://nizam.example.com", "nzm_live_...")
        acme = client.tenant("acme")
        ada = acme.extensions.create(number="1001", display_name="Ada Lovelace")
        print(ada.secrets["sip_password"])
        for it in acme.extensions.list(enabled=True):
            print(it.body.number, it.body.display_name)
    """

    def __init__(
        self,
        url: str,
        api_key: str | None = None,
        *,
        timeout: float = ATTEMPT_SECONDS,
        total_timeout: float = TOTAL_SECONDS,
        retries: int = RETRIES,
        verify: bool | str = True,
    ) -> None:
        self.url = url.rstrip("/")
        transport = Transport.to(
            self.url,
            api_key,
            verify=verify,
            attempt_seconds=timeout,
            total_seconds=total_timeout,
            retries=retries,
        )
        self._transport = transport
        self.tenants = Tenants(transport, tenant.RESOURCE, Tenant, _base)
        self.users = Users(transport, user.RESOURCE, user.User, _base)
        self.api_keys = ApiKeys(transport, keys.RESOURCE, keys.ApiKey, _base, shown_once=("key",))
        self.sip_profiles = Collection(
            transport, sip_profile.RESOURCE, sip_profile.SipProfile, _base
        )
        self.acls = Collection(transport, acl.RESOURCE, acl.Acl, _base)
        self.audit_logs = Documents(transport, _base, "audit-logs")
        self.purge_receipts = Documents(transport, _base, "purge-receipts")
        self.sign_in = SignIn(transport, _base)
        self.switch_nodes = WithSecrets(
            transport, switch_node.RESOURCE, switch_node.SwitchNode, _base
        )

    @classmethod
    def log_in(cls, url: str, email: str, password: str, **options: Any) -> Self:
        """A client with a bearer token of the user; `options` are those of the constructor.

        `sign_in.log_out()` ends the token before its time.
        """
        with cls(url, None, **options) as stranger:
            body = {"email": email, "password": password, "token": True}
            answer = stranger._transport.request(
                "POST", f"{BASE}/auth/login", body=body, repeatable=False
            )
        return cls(url, str(answer.json()["token"]), **options)

    def __repr__(self) -> str:
        return f"Client({self.url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def tenant(self, name: UUID | str | None = None) -> TenantClient:
        """The tenant of this id or slug; without one, that of the API key.

        A slug is looked up at the first use: NotFound is raised then.
        """

        @cache
        def path() -> str:
            return f"{BASE}/tenants/{self.tenant_id(name)}"

        return TenantClient(self._transport, path)

    def tenant_id(self, name: UUID | str | None) -> UUID:
        """The id of the tenant of this id or slug; without one, that of the API key."""
        if isinstance(name, UUID):
            return name
        if name is None:
            own: Any = self.me().get("tenant_id")
            if own is None:
                raise ValueError("this key belongs to no tenant: name one")
            return UUID(own)
        try:
            return UUID(name)
        except ValueError:
            return self._tenant_of_slug(name)

    def me(self) -> Document:
        """Who asks: the credentials of this client, as the server knows them."""
        return self._get("/me")

    def permissions(self) -> list[str]:
        """Every scope that a key can have."""
        return list(self._get("/permissions")["data"])

    def queue(self) -> Document:
        """How much waits to be delivered to webhooks, over all tenants."""
        return self._get("/queue")

    def openapi(self) -> Document:
        """The OpenAPI document of the server."""
        return self._get("/openapi.json")

    def event_schemas(self) -> list[Document]:
        """Every type of event: `type`, `about`, and the path of its `schema`."""
        return list(self._get("/event-schemas")["data"])

    def event_schema(self, kind: str) -> Document:
        """The JSON Schema of one type of event."""
        return self._get(f"/event-schemas/{kind}")

    def _get(self, path: str) -> Document:
        return document(self._transport.request("GET", f"{BASE}{path}").json())

    def _tenant_of_slug(self, slug: str) -> UUID:
        try:
            found = self.tenants.list(slug=slug).first()
        except ScopeMissing:
            found = self._own_tenant(slug)
        if found is None:
            detail = f"there is no tenant {slug}"
            raise NotFound(404, {"code": "not_found", "title": "Not found", "detail": detail})
        return found.id

    def _own_tenant(self, slug: str) -> Object[Tenant] | None:
        """Among the tenants of whoever asks, which cannot list others."""
        for it in self.me()["memberships"]:
            if it["tenant_id"] is not None:
                found = self.tenants.get(it["tenant_id"])
                if found.body.slug == slug:
                    return found
        return None


def _base() -> str:
    return BASE
