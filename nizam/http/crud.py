"""The routes that every declared resource has: list, create, get, replace, change, delete."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs
import orjson

from nizam.errors import (
    Conflict,
    FieldError,
    IdempotencyMismatch,
    InUse,
    NizamError,
    QuotaExceeded,
    UnknownField,
    VersionMismatch,
)
from nizam.http.body import merge_patch, validate
from nizam.http.changes import change_context
from nizam.http.etag import etag, if_match, if_none_match
from nizam.http.listing import list_parameters, list_reply
from nizam.http.openapi import article, plural, schema_name
from nizam.http.problems import wrong_fields
from nizam.http.reply import Reply, to_json
from nizam.http.route import BASE, TENANT, Access, Call, Parameter, Route
from nizam.http.schemas import list_of, ref
from nizam.model.base import Body
from nizam.model.pointer import pointer
from nizam.model.resource import Resource, with_fields
from nizam.store.listing import parse_listing
from nizam.store.queries import listing_fields
from nizam.store.store import Store
from nizam.store.stored import EXTRA_COLUMNS, Stored

DEFAULT_SORT = "created_at"
ADDED = ("id", "tenant_id", "version", "created_at", "updated_at")
"""What the store adds to a body; a client may send it back unchanged."""

_IF_MATCH = Parameter(
    name="If-Match", about="Only if the object still has this ETag.", where="header"
)
_LIST = "A page, in the order asked for. Filters hold all at once; see [lists](/docs#lists)."
_CREATE = "Secrets that were made for it are in this answer and in no other."
_GET = "The ETag of the answer makes a change conditional: send it as If-Match."
_REPLACE = (
    "Puts what is sent in the place of every field. What is left out gets its default; secrets "
    "that are left out stay as they are."
)
_CHANGE = "A JSON Merge Patch (RFC 7396): changes the fields that are sent, null removes one."
_DELETE = "While others refer to it, it stays: 409 with the list of them."

_IF_NONE_MATCH = Parameter(
    name="If-None-Match", about="304 if the object still has this ETag.", where="header"
)


@attrs.frozen
class Crud:
    """The handlers of one resource."""

    resource: Resource
    store: Store

    @property
    def beside(self) -> tuple[str, ...]:
        """What is shown of an object and is no part of its body."""
        return EXTRA_COLUMNS.get(self.resource.name, ())

    @property
    def collection(self) -> str:
        """The path of the list."""
        start = TENANT if self.resource.scope == "tenant" else BASE
        return f"{start}/{self.resource.path}"

    @property
    def item(self) -> str:
        """The path of one object; a tenant's own is named as in the paths below it."""
        name = "tenant_id" if self.resource.name == "tenant" else "id"
        return f"{self.collection}/{{{name}}}"

    async def list_page(self, call: Call) -> Reply:
        """One page."""
        fields = listing_fields(self.resource)
        listing = parse_listing(
            call.query, fields, DEFAULT_SORT, searchable=bool(self.resource.search)
        )
        page = await self.store.list(self.resource, call.tenant_id, listing)
        return list_reply(attrs.evolve(page, rows=self.listed(call, page.rows)))

    def listed(self, call: Call, rows: Sequence[str]) -> Sequence[Any]:
        """What a page shows of its objects, which come as JSON text."""
        return rows

    async def get(self, call: Call) -> Reply:
        """One object."""
        found = await self.store.get(self.resource, call.tenant_id, self._id(call))
        if if_none_match(call.header("if-none-match"), found.version):
            return Reply(None, 304, (("ETag", etag(found.version)),))
        return shown(found)

    async def create(self, call: Call) -> Reply:
        """Validate and make one; generated secrets are in this answer and in no other."""
        given = call.json()
        self._refuse_foreign(given, {})
        body = self._accepted(call, given)
        return await self.store.create(
            self.resource, call.tenant_id, body, change_context(call), self._created
        )

    def _created(self, made: Stored) -> Reply:
        path = self.item.replace("{tenant_id}", str(made.tenant_id or made.id))
        location = path.replace("{id}", str(made.id))
        document = with_fields(made.shown(), made.revealed)
        return Reply(document, 201, (("Location", location), ("ETag", etag(made.version))))

    async def replace(self, call: Call) -> Reply:
        """Put a new body in the place of the present one; absent secrets stay as they are."""
        given = call.json()

        def change(present: Stored) -> Body:
            fields = self._without_own(given, _document(present))
            return self._accepted(call, fields)

        return await self._update(call, given, change)

    async def patch(self, call: Call) -> Reply:
        """Change single fields (JSON Merge Patch, RFC 7396)."""
        given = call.json()

        def change(present: Stored) -> Body:
            fields = self._without_own(given, _document(present))
            self._refuse_unknown(fields)
            kept = {
                name: it for name, it in present.body.items() if name not in self.resource.read_only
            }
            return self._accepted(call, merge_patch(kept, fields))

        return await self._update(call, given, change)

    async def _update(
        self, call: Call, given: dict[str, Any], change: Callable[[Stored], Body]
    ) -> Reply:
        versions = _versions(call, given)
        cleared = frozenset(it.field for it in self.resource.secrets if it.is_cleared_by(given))

        it = await self.store.update(
            self.resource,
            call.tenant_id,
            self._id(call),
            change,
            change_context(call),
            versions=versions,
            clear=cleared,
        )
        return shown(it)

    async def delete(self, call: Call) -> Reply:
        """Delete one; InUse lists who still refers to it."""
        await self.deleted(call)
        return Reply(None, 204)

    async def deleted(self, call: Call) -> Stored:
        """The object as it was before the request deleted it."""
        versions = if_match(call.header("if-match"))
        return await self.store.delete(
            self.resource, call.tenant_id, self._id(call), change_context(call), versions=versions
        )

    def accept(self, call: Call, body: Body) -> None:
        """Raise for a body that this client may not give the object."""

    def _accepted(self, call: Call, fields: dict[str, Any]) -> Body:
        body = validate(self.resource.body, fields)
        self.accept(call, body)
        return body

    # -- fields that a client may not write -----------------------------------------------------

    def _id(self, call: Call) -> Any:
        return call.id("tenant_id" if self.resource.name == "tenant" else "id")

    def _without_own(self, given: dict[str, Any], present: dict[str, Any]) -> dict[str, Any]:
        """`given` without what only NIZAM writes, which must be as it is now.

        What is shown beside the body, such as when a key was last used, changes by itself and is
        passed over.
        """
        self._refuse_foreign(given, present)
        own = {*ADDED, *self.resource.read_only, *self.beside}
        return {name: value for name, value in given.items() if name not in own - self._writable()}

    def _refuse_foreign(self, given: dict[str, Any], present: dict[str, Any]) -> None:
        own = {*ADDED, *self.resource.read_only} - self._writable()
        errors = [
            FieldError(f"/{name}", "read_only", "is written by NIZAM alone")
            for name in sorted(own & given.keys())
            if name not in present or given[name] != present[name]
        ]
        if errors:
            raise wrong_fields(errors)

    def _refuse_unknown(self, fields: dict[str, Any]) -> None:
        """A null removes a member before validation would have seen that there is no such one."""
        known = {it.alias or name for name, it in self.resource.body.model_fields.items()}
        unknown = sorted(fields.keys() - known)
        if unknown:
            errors = [
                FieldError(pointer((it,)), "unknown_field", "there is no such field")
                for it in unknown
            ]
            raise UnknownField(f"unknown: {', '.join(it.path for it in errors)}", errors=errors)

    def _writable(self) -> set[str]:
        return {
            it.alias or name
            for name, it in self.resource.body.model_fields.items()
            if name not in self.resource.read_only
        }

    # -- routes -------------------------------------------------------------------------------

    def routes(self) -> list[Route]:
        """The six routes."""
        it = self.resource
        name, one, many = schema_name(it), article(it), plural(it)
        access: Access = "tenant" if it.scope == "tenant" else "platform"
        of_one: Access = "own_tenant" if it.name == "tenant" else access
        read, write = f"{it.table}:read", f"{it.table}:write"
        conflicts: tuple[type[NizamError], ...] = (
            (Conflict, QuotaExceeded) if it.quota else (Conflict,)
        )
        fields = listing_fields(it)
        return [
            Route(
                method="GET",
                path=self.collection,
                handler=self.list_page,
                summary=f"List {many}.",
                operation=f"list_{it.table}",
                about=_LIST,
                tag=it.path,
                access=access,
                permission=read,
                parameters=list_parameters(fields, DEFAULT_SORT, searchable=bool(it.search)),
                response=list_of(ref(name)),
            ),
            Route(
                method="POST",
                path=self.collection,
                handler=self.create,
                summary=f"Create {one}.",
                operation=f"create_{it.name}",
                about=_CREATE,
                tag=it.path,
                access=access,
                permission=write,
                status=201,
                request=ref(f"{name}Input"),
                request_example=it.example or None,
                response=ref(name),
                errors=(*conflicts, IdempotencyMismatch),
            ),
            Route(
                method="GET",
                path=self.item,
                handler=self.get,
                summary=f"Retrieve {one}.",
                operation=f"get_{it.name}",
                about=_GET,
                tag=it.path,
                access=of_one,
                permission=read,
                parameters=(_IF_NONE_MATCH,),
                response=ref(name),
            ),
            Route(
                method="PUT",
                path=self.item,
                handler=self.replace,
                summary=f"Replace {one}.",
                operation=f"replace_{it.name}",
                about=_REPLACE,
                tag=it.path,
                access=access,
                permission=write,
                parameters=(_IF_MATCH,),
                request=ref(f"{name}Input"),
                request_example=it.example or None,
                response=ref(name),
                errors=(Conflict, VersionMismatch),
            ),
            Route(
                method="PATCH",
                path=self.item,
                handler=self.patch,
                summary=f"Change {one}.",
                operation=f"change_{it.name}",
                about=_CHANGE,
                tag=it.path,
                access=access,
                permission=write,
                parameters=(_IF_MATCH,),
                request=ref(f"{name}Patch"),
                request_example={"enabled": False},
                response=ref(name),
                errors=(Conflict, VersionMismatch),
            ),
            Route(
                method="DELETE",
                path=self.item,
                handler=self.delete,
                summary=f"Delete {one}.",
                operation=f"delete_{it.name}",
                about=_DELETE,
                tag=it.path,
                access=access,
                permission=write,
                status=204,
                parameters=(_IF_MATCH,),
                errors=(InUse, VersionMismatch),
            ),
        ]


def shown(it: Stored) -> Reply:
    """The answer that shows one object, with secrets that are new."""
    return Reply(with_fields(it.shown(), it.revealed), 200, (("ETag", etag(it.version)),))


def _versions(call: Call, given: dict[str, Any]) -> frozenset[int] | None:
    """The versions that may be changed: those of If-Match, and that which the body was read at."""
    versions, read = if_match(call.header("if-match")), given.get("version")
    if type(read) is not int:
        return versions
    return frozenset({read}) & (versions or {read})


def _document(it: Stored) -> dict[str, Any]:
    """The object as a client has seen it."""
    document: dict[str, Any] = orjson.loads(to_json(it.shown()))
    return document
