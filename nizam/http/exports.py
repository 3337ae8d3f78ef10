"""Lists as files: GET .../export, as CSV or as one JSON document a line.

Pages are read from a replica one after the other, each when the client has taken the one before:
a list of any length needs the memory of a page. Whoever was cut off goes on after the last row that
has come.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal, Protocol
from uuid import UUID

import attrs
import orjson
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from nizam.document.links import Slot
from nizam.errors import BadRequest, FieldError, NotAcceptable, ValidationFailed
from nizam.http.changes import change_context
from nizam.http.listing import list_parameters
from nizam.http.openapi.examples import answered, sample
from nizam.http.reply import Reply, to_json
from nizam.http.route import Call, Parameter, Route
from nizam.http.schema_parts import text
from nizam.http.stream import Stream
from nizam.model.resource import Resource
from nizam.slices import Sliced, in_slices
from nizam.store import queries
from nizam.store.audit import AuditEntry
from nizam.store.listing import Field, Listing, Page, after_row, parse_listing
from nizam.store.names import names_of_ids
from nizam.store.pool import Pool
from nizam.store.store import Store
from nizam.tables.write import (
    Paths,
    lines,
    object_header,
    object_row,
    plain_header,
    plain_paths,
    plain_row,
    references_of,
)

Format = Literal["csv", "ndjson"]
CSV = "text/csv"
NDJSON = "application/x-ndjson"
COST = 10
PAGE_ROWS = 500
"""Rows of one page: enough that what a page costs beside its rows matters little."""

_MEDIA_TYPES: Mapping[str, Format] = {CSV: "csv", NDJSON: "ndjson", "application/ndjson": "ndjson"}
_CONTENT_TYPES: Mapping[Format, str] = {"csv": f"{CSV}; charset=utf-8", "ndjson": NDJSON}
_OWN = frozenset({"format", "after_row"})
_AFTER = Parameter(
    name="after_row",
    about="Go on after this row: the value that it is sorted by, a comma, and its id, as they "
    "stand in the last whole row of a file that was cut off. No header is written then.",
)
_FORMAT = Parameter(
    name="format",
    about="What the file is; without it, what Accept says, and CSV in doubt.",
    schema={"type": "string", "enum": ["csv", "ndjson"]},
)


class Sheet(Protocol):
    """What a list is as a file."""

    def header(self) -> list[str]:
        """The names of the columns."""

    def example(self) -> tuple[list[str], Mapping[str, Any]]:
        """An object of the list in cells, and as it is."""

    async def page(self, pool: Pool, tenant_id: UUID, listing: Listing) -> Page:
        """One page of the list."""

    async def csv(self, pool: Pool, tenant_id: UUID, page: Page) -> bytes:
        """Its rows as lines of CSV."""


@attrs.frozen
class ObjectSheet:
    """The objects of a resource, as they can be imported again."""

    resource: Resource

    def header(self) -> list[str]:
        """The fields that can be written and are no secrets."""
        return object_header(self.resource)

    def example(self) -> tuple[list[str], Mapping[str, Any]]:
        """The declared one."""
        document = answered(self.resource)
        named = answered(self.resource)
        for slot in references_of(self.resource, named):
            slot.put("1001")
        return object_row(self.resource, named), document

    async def page(self, pool: Pool, tenant_id: UUID, listing: Listing) -> Page:
        """Objects as JSON text."""
        return await queries.page(pool, self.resource, tenant_id, listing)

    async def csv(self, pool: Pool, tenant_id: UUID, page: Page) -> bytes:
        """With the numbers and names of what the objects refer to."""
        found = await in_slices(pool.reactor, self._parsed(page))
        wanted = {(slot.type, slot.value) for _, links in found for slot in links}
        names = await names_of_ids(pool, tenant_id, wanted)
        return lines(await in_slices(pool.reactor, self._rows(found, names)))

    def _parsed(self, page: Page) -> Sliced[list[tuple[dict[str, Any], list[Slot]]]]:
        found = []
        for row in page.rows:
            document = orjson.loads(row)
            found.append((document, references_of(self.resource, document)))
            yield
        return found

    def _rows(
        self,
        found: Sequence[tuple[dict[str, Any], list[Slot]]],
        names: Mapping[tuple[str, str], str],
    ) -> Sliced[list[list[str]]]:
        rows = []
        for document, links in found:
            for slot in links:
                slot.put(names.get((slot.type, slot.value), slot.value))
            rows.append(object_row(self.resource, document))
            yield
        return rows


@attrs.frozen
class PlainSheet:
    """Documents that are read and never written back; `schema` is the JSON Schema of one."""

    schema: Mapping[str, Any]
    read: Callable[[Pool, UUID, Listing], Awaitable[Page]]
    _paths: Paths = attrs.field(init=False)

    @_paths.default
    def _all_fields(self) -> Paths:
        return plain_paths(self.schema)

    def header(self) -> list[str]:
        """Every field."""
        return plain_header(self._paths)

    def example(self) -> tuple[list[str], Mapping[str, Any]]:
        """What fits the schema."""
        document = sample(self.schema, {})
        return plain_row(self._paths, document), document

    async def page(self, pool: Pool, tenant_id: UUID, listing: Listing) -> Page:
        """Documents."""
        return await self.read(pool, tenant_id, listing)

    async def csv(self, pool: Pool, tenant_id: UUID, page: Page) -> bytes:
        """As they are."""
        return lines(await in_slices(pool.reactor, self._rows(page)))

    def _rows(self, page: Page) -> Sliced[list[list[str]]]:
        rows = []
        for document in page.rows:
            rows.append(plain_row(self._paths, document))
            yield
        return rows


@attrs.frozen(kw_only=True)
class Export:
    """The export of one list of a tenant: `list_route` is that of the list, `resource_type` what
    the audit log calls its objects."""

    store: Store
    sheet: Sheet
    list_route: Route
    resource_type: str
    fields: Mapping[str, Field]
    sort: str
    id_kind: Literal["uuid", "text"] = "uuid"
    searchable: bool = False

    async def export(self, call: Call) -> Reply:
        """Everything that fits, page by page."""
        given = [(name, value) for name, value in call.query if name not in _OWN]
        start = self._start(call, given)
        form = chosen_format(call)
        tenant = call.tenant
        begun = [it for it in given if it[0] != "cursor"]

        async def piece(cursor: str | None) -> tuple[bytes, str | None]:
            asked = start if cursor is None else self._listing([*begun, ("cursor", cursor)])
            return await self.store.read(lambda pool: self._piece(pool, tenant, asked, form))

        first = await piece(None)
        query = [f"{name}={value}" for name, value in call.query if name != "format"]
        asked = {"format": form, "query": query}
        await self.store.record(
            change_context(call),
            AuditEntry(
                action="exported", resource_type=self.resource_type, tenant_id=tenant, after=asked
            ),
        )
        name = self.list_route.path.rpartition("/")[2]
        return Reply(
            Stream(self._pieces(form, first, piece, start.after is None)),
            200,
            (("Content-Disposition", f'attachment; filename="{name}.{form}"'), ("Vary", "Accept")),
            _CONTENT_TYPES[form],
        )

    def _start(self, call: Call, given: Sequence[tuple[str, str]]) -> Listing:
        """What is asked for, from the first row or from where an earlier file ends."""
        if any(name == "limit" for name, _ in given):
            message = "an export has all rows; filter them"
            wrong = [FieldError("limit", "unknown_parameter", message)]
            raise ValidationFailed("wrong parameters: limit", errors=wrong)
        start = self._listing(given)
        places = [value for name, value in call.query if name == "after_row"]
        if not places:
            return start
        if len(places) > 1 or start.after is not None:
            message = "stands once, and without a cursor"
            wrong = [FieldError("after_row", "duplicate", message)]
            raise ValidationFailed("wrong parameters: after_row", errors=wrong)
        return after_row(start, places[0], self.fields, self.id_kind)

    def _listing(self, query: Sequence[tuple[str, str]]) -> Listing:
        parsed = parse_listing(
            query, self.fields, self.sort, id_kind=self.id_kind, searchable=self.searchable
        )
        return attrs.evolve(parsed, limit=PAGE_ROWS)

    async def _piece(
        self, pool: Pool, tenant_id: UUID, listing: Listing, form: Format
    ) -> tuple[bytes, str | None]:
        page = await self.sheet.page(pool, tenant_id, listing)
        if form == "csv":
            return await self.sheet.csv(pool, tenant_id, page), page.next_cursor
        return await in_slices(pool.reactor, _json_lines(page)), page.next_cursor

    async def _pieces(
        self,
        form: Format,
        first: tuple[bytes, str | None],
        piece: Callable[[str | None], Awaitable[tuple[bytes, str | None]]],
        whole: bool,
    ) -> AsyncIterator[bytes]:
        if form == "csv" and whole:
            yield lines([self.sheet.header()])
        content, cursor = first
        yield content
        while cursor is not None:
            content, cursor = await piece(cursor)
            yield content

    def routes(self) -> list[Route]:
        """The one route."""
        its = self.list_route
        listed = list_parameters(self.fields, self.sort, searchable=self.searchable)
        row, document = self.sheet.example()
        return [
            Route(
                method="GET",
                path=f"{its.path}/export",
                handler=self.export,
                summary=f"{its.summary.removesuffix('.')}, all of it as a file.",
                operation=its.operation.replace("list_", "export_"),
                tag=its.tag,
                permission=its.permission,
                parameters=(_FORMAT, _AFTER, *(it for it in listed if it.name != "limit")),
                media_type=CSV,
                response=text("A header, and a row for each object."),
                response_example=lines([self.sheet.header(), row]).decode(),
                also_gives={
                    NDJSON: text(
                        "An object of the list on each line.", f"{to_json(document).decode()}\n"
                    )
                },
                headers=("Content-Disposition",),
                errors=(NotAcceptable,),
                cost=COST,
            )
        ]


def _json_lines(page: Page) -> Sliced[bytes]:
    found = []
    for it in page.rows:
        found.append(it.encode() if isinstance(it, str) else to_json(it))
        yield
    found.append(b"")
    return b"\n".join(found)


def chosen_format(call: Call) -> Format:
    """What the client wants: by the parameter `format`, else by Accept (RFC 9110, 12.5.1).

    Raises BadRequest for an unknown format, NotAcceptable for a client that accepts neither.
    """
    wanted = {value for name, value in call.query if name == "format"}
    for form in _CONTENT_TYPES:
        if wanted == {form}:
            return form
    if wanted:
        raise BadRequest("format is csv or ndjson")
    accepted = call.header("accept")
    if accepted is None:
        return "csv"
    best = parse_accept_header(accepted, MIMEAccept).best_match(_MEDIA_TYPES)
    if best is None:
        raise NotAcceptable(f"there are {CSV} and {NDJSON}")
    return _MEDIA_TYPES[best]
