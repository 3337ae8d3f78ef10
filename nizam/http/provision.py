"""`POST /tenants/provision`: a tenant that works, with all that it begins with, in one request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import attrs
from twisted.logger import Logger

from nizam.document.keys import natural_key
from nizam.document.provision import Wanted, provisioned, read_provision
from nizam.errors import (
    Conflict,
    FieldError,
    IdempotencyMismatch,
    KeyValueUnavailable,
    QuotaExceeded,
    ValidationFailed,
)
from nizam.fsxml.registrar import registrars
from nizam.http.api_keys import ApiKeys
from nizam.http.changes import change_context
from nizam.http.etag import etag
from nizam.http.openapi import model_schema, plural, schema_name
from nizam.http.principal import require
from nizam.http.reply import Reply
from nizam.http.resets import Reset
from nizam.http.route import BASE, Call, Route, Schema
from nizam.http.schema_parts import (
    array,
    count,
    identifier,
    object_of,
    ref,
    text,
    time,
    words,
)
from nizam.http.users import Users
from nizam.model.api_key import ApiKey, KeyTerms
from nizam.model.base import Value
from nizam.model.identifiers import new_id
from nizam.model.provision import MOST_OBJECTS, Administrator, ExtensionRange, Provision
from nizam.model.resource import Resource, with_fields
from nizam.model.user import Membership, User
from nizam.routing.snapshot import Snapshot
from nizam.settings.values import SipSettings
from nizam.slices import in_slices
from nizam.store.document_checks import refuse
from nizam.store.provision import NewTenant, Provisioned, provision, taken
from nizam.store.secrets import generate
from nizam.store.store import Store
from nizam.store.stored import Stored

PATH = f"{BASE}/tenants/provision"
_COST = 10
_ADMIN_ROLE: Final = "tenant_admin"


@attrs.frozen(kw_only=True)
class Provisioning:
    """The handler. `held` waits until this instance answers the phones of a tenant: until then
    nobody is told that it is there."""

    store: Store
    users: Users
    keys: ApiKeys
    snapshot: Snapshot
    sip: SipSettings
    held: Callable[[UUID], Awaitable[bool]]

    _log = Logger()

    async def provision(self, call: Call) -> Reply:
        """Check everything, make everything, show every secret this once."""
        wanted = await in_slices(
            self.store.primary.reactor, read_provision(call.json(), new_id, self.sip.domain_suffix)
        )
        self._require(call, wanted)
        asked = wanted.provision
        identifier = new_id()
        errors = list(wanted.errors)
        key = None if asked is None else self._key(call, identifier, asked.api_key, errors)
        user = None if asked is None else self._user(call, identifier, asked.admin, errors)
        if asked is None or errors:
            errors += await self._taken(identifier, wanted)
            refuse(errors)
            raise ValidationFailed
        generated = generate("password") if asked.admin and asked.admin.generate_password else None
        new = NewTenant(
            id=identifier,
            tenant=asked.tenant,
            status=asked.status,
            changes=wanted.changes,
            user=user,
            key=key,
        )
        password = generated or (user.password if user is not None else None)
        if user is not None and password is not None:
            hashed = await self.users.passwords.hash(password)
            new = attrs.evolve(new, user=user.model_copy(update={"password": hashed}))
        reply = await provision(
            self.store, new, change_context(call), lambda it: self._reply(it, generated)
        )
        location = dict(reply.headers)["Location"]
        if not await self.held(UUID(location.rpartition("/")[2])):
            self._log.warn("{tenant} is there, and not yet routed by here", tenant=location)
        return reply

    async def _taken(self, tenant_id: UUID, wanted: Wanted) -> list[FieldError]:
        """What belongs to others, so that a request with other faults is told of that, too."""
        return await self.store.primary.transaction(
            lambda it: taken(it, tenant_id, wanted.tenant, wanted.admin, wanted.changes)
        )

    def _require(self, call: Call, wanted: Wanted) -> None:
        """Whoever provisions may make each of the things apart, too."""
        tables = {it.resource.table for it in wanted.changes}
        if wanted.provision is not None and wanted.provision.admin is not None:
            tables.add("users")
        if wanted.provision is not None and wanted.provision.api_key is not None:
            tables.add("api_keys")
        for table in sorted(tables):
            require(call.principal, f"{table}:write")

    def _key(
        self, call: Call, tenant_id: UUID, terms: KeyTerms | None, errors: list[FieldError]
    ) -> ApiKey | None:
        if terms is None:
            return None
        wanted = ApiKey(**{**vars(terms), "tenant_id": tenant_id})
        try:
            admitted = self.keys.admitted(call, None, wanted)
        except ValidationFailed as error:
            errors += [attrs.evolve(it, path=f"/api_key{it.path}") for it in error.errors]
            return None
        assert isinstance(admitted, ApiKey)  # noqa: S101 - what was given
        return admitted

    def _user(
        self, call: Call, tenant_id: UUID, admin: Administrator | None, errors: list[FieldError]
    ) -> User | None:
        if admin is None:
            return None
        own = {name: value for name, value in vars(admin).items() if name != "generate_password"}
        membership = Membership(tenant_id=tenant_id, role=_ADMIN_ROLE)
        user = User(**own, memberships=(membership,))
        self.users.admitted(call, None, user)
        return user

    async def _reply(self, made: Provisioned, password: str | None) -> Reply:
        tenant = made.tenant
        domain = tenant.body["domain"]
        document: dict[str, Any] = {
            "tenant": tenant.shown(),
            "sip": {
                "domain": domain,
                "registrars": [attrs.asdict(it) for it in registrars(self.snapshot, self.sip)],
            },
            "extensions": [],
        }
        for it in made.objects:
            shown = _phone(it, domain) if it.resource.name == "extension" else _whole(it)
            document.setdefault(it.resource.table, []).append(shown)
        if made.user is not None:
            document["admin"] = await self._admin(made.user, password)
        if made.key is not None:
            document["api_key"] = _whole(made.key)
        location = f"{BASE}/tenants/{tenant.id}"
        return Reply(document, 201, (("Location", location), ("ETag", etag(tenant.version))))

    async def _admin(self, user: Stored, password: str | None) -> dict[str, Any]:
        """The user with what lets them in, unless they have a password that was given."""
        shown = user.shown()
        if password is not None:
            return {**shown, "password": password}
        if "password" in user.secrets:
            return shown
        text, expires_at = await self.users.resets.issue(
            Reset(user.id, self.store.credential_of(user))
        )
        return {**shown, "reset_token": text, "reset_token_expires_at": expires_at}

    def routes(self) -> list[Route]:
        """The route of this file."""
        return [
            Route(
                method="POST",
                path=PATH,
                handler=self.provision,
                summary="A tenant with its first objects, its administrator and a key, at once.",
                operation="provision_tenant",
                tag="tenants",
                access="platform",
                permission="tenants:write",
                status=201,
                request=_request(),
                request_example=EXAMPLE,
                headers=("ETag", "Location"),
                response=_answer(),
                errors=(Conflict, QuotaExceeded, IdempotencyMismatch, KeyValueUnavailable),
                cost=_COST,
            )
        ]


def _phone(it: Stored, domain: str) -> dict[str, Any]:
    """An extension, with what its phone signs in with."""
    number = it.body["number"]
    return {
        "id": it.id,
        "number": number,
        "display_name": it.body["display_name"],
        "sip": {"user": number, "domain": domain, "password": it.revealed["sip_password"]},
    }


def _whole(it: Stored) -> dict[str, Any]:
    return with_fields(it.shown(), it.revealed)


EXAMPLE: Mapping[str, Any] = {
    "tenant": {
        "name": "Globex",
        "slug": "globex",
        "domain": "globex.example.test",
        "time_zone": "Europe/Berlin",
        "country": "DE",
        "quotas": {"max_extensions": 50},
    },
    "extensions": [{"number": "1000", "display_name": "Reception"}],
    "extension_range": {"first": "1001", "count": 3, "fields": {"ring_seconds": 20}},
    "dids": [
        {"number": "+4930555010", "destination": {"type": "extension", "id": "1000"}},
    ],
    "admin": {"email": "hank@globex.example.test", "name": "Hank Scorpio"},
    "api_key": {"name": "Their CRM", "scopes": ["extensions:*", "calls:read", "cdrs:read"]},
}


def _answer() -> Schema:
    account = object_of(
        "What the phone registers with.",
        user=text("The SIP user.", "1001"),
        domain=text("The SIP domain.", "globex.example.test"),
        password=text("The SIP password; it is shown this once.", "..."),
    )
    always = object_of(
        "Every object that was made, with the secrets that were given or generated. A list is "
        "there for whatever was asked for.",
        tenant={**ref("Tenant"), "description": "The tenant."},
        sip=object_of(
            "What phones need to know.",
            domain=text("The SIP domain.", "globex.example.test"),
            registrars=array(
                object_of(
                    host=text("The host.", "sip.example.com"),
                    port=count("The port.", 5060),
                    transport=words("How SIP is carried.", "udp", "tcp", "tls"),
                ),
                "Where phones can register; empty if the domain's DNS has to say.",
            ),
        ),
        extensions=array(
            object_of(
                id=identifier("Its id."),
                number=text("Its number.", "1001"),
                display_name=text("Its name.", "Extension 1001"),
                sip=account,
            ),
            "The extensions.",
        ),
    )
    lists = {
        it.table: array(_with_secrets(it), f"The {plural(it)}.")
        for it in provisioned()
        if it.name != "extension"
    }
    admin = {
        "description": "The administrator, with what lets them in.",
        "allOf": [ref("User")],
        "properties": {
            "reset_token": text("With what the person chooses a password."),
            "reset_token_expires_at": time("Until when the token holds."),
            "password": text("The password that was generated."),
        },
    }
    key = {**ref("ApiKey"), "description": "The key, with its text as `key`."}
    properties = {**always["properties"], **lists, "admin": admin, "api_key": key}
    return {"title": "Provisioned", **always, "properties": properties}


def _with_secrets(it: Resource) -> dict[str, Any]:
    """The object with the secrets that were given, which no other answer has."""
    fields = [secret.field for secret in it.secrets if secret.generate is None]
    if not fields:
        return ref(schema_name(it))
    secrets = {name: text("The secret that was given.") for name in fields}
    return {"allOf": [ref(schema_name(it))], "properties": secrets}


def _request() -> Schema:
    tenant = {
        **ref("TenantInput"),
        "description": "As it is made by POST /tenants. Without a domain it has its slug's below "
        "NIZAM_SIP_DOMAIN_SUFFIX.",
    }
    own = model_schema(Provision)["properties"]
    return {
        "type": "object",
        "required": ["tenant"],
        "additionalProperties": False,
        "properties": {
            "tenant": tenant,
            "status": own["status"],
            **{it.table: _list(it) for it in provisioned()},
            "extension_range": _or_null(ExtensionRange, "Extensions with numbers in a row."),
            "admin": _or_null(Administrator, "Its first user, a tenant_admin."),
            "api_key": _or_null(KeyTerms, "Its first key."),
        },
    }


def _list(it: Resource) -> Schema:
    words = it.table.replace("_", " ")
    return {
        "type": "array",
        "maxItems": MOST_OBJECTS,
        "description": f"The first {words}, as POST {it.path} takes them; other objects of this "
        "request are named by number or name where an id is asked for.",
        "items": {
            "type": "object",
            "required": list(_required(it)),
            "additionalProperties": True,
        },
    }


def _required(it: Resource) -> Sequence[str]:
    return [name for name in natural_key(it) if it.body.model_fields[name].is_required()]


def _or_null(model: type[Value], about: str) -> Schema:
    return {"description": about, "anyOf": [model_schema(model), {"type": "null"}]}
