"""What can be done with every kind of resource."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic
from uuid import UUID

import attrs

from nizam.client.errors import NotFound
from nizam.client.listing import Listing
from nizam.client.objects import B, Object, object_from
from nizam.client.parameters import query_of
from nizam.client.transport import Answer, Transport
from nizam.model.resource import Resource

_KEYS = ("number", "slug", "email", "name", "code", "pattern")

Fields = Mapping[str, Any]


class AmbiguousName(LookupError):
    """Several objects have this name; one of them is meant by its id."""


@attrs.frozen(eq=False)
class Collection(Generic[B]):
    """The objects of one resource: of a tenant, or of the platform.

    Where an object is given instead of an id, the request carries its ETag, so that it is refused
    with VersionMismatch when the object has changed since. Every method raises ApiError and
    CannotReach.
    """

    transport: Transport
    resource: Resource
    body: type[B]
    parent: Callable[[], str]
    shown_once: tuple[str, ...] = ()

    def _path(self, it: Object[B] | UUID | str | None = None, *more: str) -> str:
        """The path of the list, of one object, or of something below it."""
        steps = [self.parent(), self.resource.path]
        if it is not None:
            steps.append(str(identifier(it)))
        return "/".join([*steps, *more])

    def list(
        self,
        *,
        q: str | None = None,
        sort: str | None = None,
        page_size: int | None = None,
        **filters: Any,
    ) -> Listing[Object[B]]:
        """The objects that fit: `list(enabled=True, created_at__gte=then, sort="-number")`.

        Operators are `__gte`, `__lte`, `__gt`, `__lt`, `__in` and `__prefix`; `q` searches.
        """
        query = query_of({"q": q, "sort": sort, "limit": page_size, **filters})
        return Listing(self.transport, self._path, query, self._row)

    def create(
        self, body: B | Fields | None = None, *, idempotency_key: str | None = None, **fields: Any
    ) -> Object[B]:
        """Make one, from a body, from fields, or from both; generated secrets are in `secrets`."""
        answer = self.transport.request(
            "POST", self._path(), body=self._written(body, fields), idempotency_key=idempotency_key
        )
        return self._read(answer)

    def get(self, it: Object[B] | UUID | str) -> Object[B]:
        """The object of this id as it is now."""
        return self._read(self.transport.request("GET", self._path(it)))

    def replace(
        self,
        it: Object[B] | UUID | str,
        body: B | Fields | None = None,
        *,
        if_match: str | None = None,
        **fields: Any,
    ) -> Object[B]:
        """Put a whole body in the place of the present one; secrets that it lacks stay."""
        answer = self.transport.request(
            "PUT",
            self._path(it),
            body=self._written(body, fields),
            if_match=if_match or etag_of(it),
        )
        return self._read(answer)

    def update(
        self,
        it: Object[B] | UUID | str,
        patch: Fields | None = None,
        *,
        if_match: str | None = None,
        **fields: Any,
    ) -> Object[B]:
        """Change single fields (JSON Merge Patch): None restores the default."""
        answer = self.transport.request(
            "PATCH",
            self._path(it),
            body=self._written(patch, fields),
            if_match=if_match or etag_of(it),
        )
        return self._read(answer)

    def delete(self, it: Object[B] | UUID | str, *, if_match: str | None = None) -> None:
        """Delete one; InUse lists who refers to it."""
        self.transport.request("DELETE", self._path(it), if_match=if_match or etag_of(it))

    def find(self, name: str) -> Object[B]:
        """The object of this id, number, slug or name; NotFound, AmbiguousName."""
        try:
            return self.get(UUID(name))
        except ValueError:
            pass
        keys = self.keys
        for key in keys:
            found = next(self.list(page_size=2, **{key: name}).pages())
            if len(found) > 1:
                ids = ", ".join(str(it.id) for it in found)
                raise AmbiguousName(f"{key} {name} is not the only one: {ids}")
            if found:
                return found[0]
        words = self.resource.name.replace("_", " ")
        detail = f"there is no {words} with {' or '.join(('id', *keys))} {name}"
        raise NotFound(404, {"code": "not_found", "title": "Not found", "detail": detail})

    @property
    def keys(self) -> tuple[str, ...]:
        """The fields that people call these objects by."""
        return keys_of(self.resource)

    def _written(self, body: B | Fields | None, fields: Fields) -> dict[str, Any]:
        """What is sent of a body and of single fields: what was set of it, and can be written."""
        if body is None or isinstance(body, Mapping):
            return {**(body or {}), **fields}
        document = body.model_dump(
            mode="json", by_alias=True, exclude_unset=True, exclude=set(self.resource.read_only)
        )
        return {**document, **fields}

    def _read(self, answer: Answer) -> Object[B]:
        """The object that an answer holds."""
        return object_from(
            self.resource,
            self.body,
            answer.json(),
            etag=answer.headers.get("etag"),
            shown_once=self.shown_once,
        )

    def _post(self, it: Object[B] | UUID | str, action: str, body: Any = None) -> Answer:
        """Carry out what is named below an object."""
        return self.transport.request("POST", self._path(it, action), body=body)

    def _row(self, document: Mapping[str, Any]) -> Object[B]:
        return object_from(self.resource, self.body, document, shown_once=self.shown_once)


def keys_of(resource: Resource) -> tuple[str, ...]:
    """The fields that people call objects of this resource by."""
    columns = {it.name for it in resource.columns}
    return tuple(it for it in _KEYS if it in columns)


def identifier(it: Object[B] | UUID | str) -> UUID:
    """The id of an object; ValueError for text that is none."""
    if isinstance(it, Object):
        return it.id
    return it if isinstance(it, UUID) else UUID(it)


def etag_of(it: Object[B] | UUID | str) -> str | None:
    """The ETag of an object; None for a mere id."""
    return it.etag if isinstance(it, Object) else None
