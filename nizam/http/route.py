"""One endpoint, declared: from it come the Klein route, the checks before the handler, OpenAPI."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, BinaryIO, Literal
from uuid import UUID

import attrs

from nizam.errors import NizamError, NotFound, ValidationFailed
from nizam.http.body import parse_object
from nizam.http.principal import Principal
from nizam.http.reply import Reply

REQUEST_SECONDS = 30.0
BASE = "/api/v1"
TENANT = f"{BASE}/tenants/{{tenant_id}}"

Access = Literal["public", "any", "user", "tenant", "platform", "own_tenant", "members"]
"""Who may ask: everybody; every key and user; users who have signed in; members (keys and users)
of the tenant in the path and of the platform; of the platform; of the platform and of the tenant
that the path names itself; whoever has the permission somewhere, and is shown only what belongs
there."""

MERGE_PATCH = "application/merge-patch+json"
Schema = Mapping[str, Any]
_PARAMETER = re.compile(r"\{(\w+)\}")


@attrs.frozen(kw_only=True)
class Call:
    """One request, past the checks that its route declares."""

    route: Route
    request_id: str
    principal: Principal
    path: Mapping[str, str]
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    raw_body: bytes
    remote: str
    tenant_id: UUID | None = None
    upload: BinaryIO | None = None
    is_head: bool = False

    @property
    def tenant(self) -> UUID:
        """The tenant that the path names."""
        if self.tenant_id is None:
            raise NotFound
        return self.tenant_id

    def id(self, name: str = "id") -> UUID:
        """The UUID in the path; what is no UUID is not found."""
        return as_uuid(self.path[name])

    def header(self, name: str) -> str | None:
        """The value of a request header; `name` in lower case."""
        return self.headers.get(name)

    def json(self) -> dict[str, Any]:
        """The body, which must be a JSON object."""
        return parse_object(self.raw_body)

    def no_body(self) -> None:
        """Raise ValidationFailed if there is a body with anything in it."""
        if self.raw_body.strip() and self.json():
            raise ValidationFailed("this request takes no fields")

    @property
    def idempotency_key(self) -> str | None:
        """What the client calls this request, so that it is carried out once."""
        return self.header("idempotency-key")


Handler = Callable[[Call], Awaitable[Reply]]


@attrs.frozen(kw_only=True)
class Parameter:
    """A parameter, for OpenAPI. One of the path is declared only where it is no UUID."""

    name: str
    about: str
    schema: Schema = attrs.field(factory=lambda: {"type": "string"})
    where: Literal["query", "header", "path"] = "query"


@attrs.frozen(kw_only=True)
class Route:
    """An endpoint.

    `path` has its parameters in braces. `about` says more than `summary`, which is one line; the
    handler's docstring stands in for it. `permission` is checked after `access`; None needs no
    permission. `request` and `response` are JSON Schemas; `response` None means no body; their
    media types are JSON unless told. Examples are made of the schemas where there are none.
    `headers` are the fields that the answer has beside those of every answer. `body_limit` is the
    largest body in bytes, 1 MiB by default. `also_takes` has further media types of the body with
    their schemas, `also_gives` those of the answer. With `takes_file` the handler reads the body
    from `Call.upload`, and `raw_body` is empty. `cost` is how many requests one of these counts for
    in the rate limits; with `own_limit`, so many a minute of each key or user (or as many as the
    key may make of all others), these count apart from all others. The answer is given within
    `seconds`. With `takes_ticket` a stream's ticket in the query signs the request too.
    """

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    handler: Handler
    summary: str
    operation: str
    tag: str
    about: str | None = None
    access: Access = "tenant"
    permission: str | None = None
    status: int = 200
    request: Schema | None = None
    request_example: Any = None
    request_required: bool = True
    response: Schema | None = None
    response_example: Any = None
    headers: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    errors: tuple[type[NizamError], ...] = ()
    media_type: str = "application/json"
    request_media_type: str = "application/json"
    also_takes: Mapping[str, Schema] = attrs.field(factory=dict)
    also_gives: Mapping[str, Schema] = attrs.field(factory=dict)
    takes_file: bool = False
    body_limit: int | None = None
    cost: int = 1
    own_limit: int | None = None
    takes_ticket: bool = False
    seconds: float = REQUEST_SECONDS

    @property
    def media_types(self) -> frozenset[str]:
        """What the body may be."""
        merge_patch = {MERGE_PATCH} if self.method == "PATCH" else set()
        return frozenset({self.request_media_type, *self.also_takes} | merge_patch)

    @property
    def path_parameters(self) -> tuple[str, ...]:
        """The names of the parameters in the path."""
        return tuple(_PARAMETER.findall(self.path))


def as_uuid(text: str) -> UUID:
    """The UUID in its usual form; NotFound for everything else."""
    try:
        value = UUID(text)
    except ValueError:
        raise NotFound from None
    if str(value) != text.lower():
        raise NotFound
    return value
