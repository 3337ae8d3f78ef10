"""Lists as files: GET .../export, as CSV or as one JSON document a line.

Pages are read from a replica one after the other, each when the client has taken the one before:
a list of any length needs the memory of a page.
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
from nizam.store.listing import MAX_LIMIT, Field, Listing, Page, parse_listing
from nizam.store.names import names_of_ids
from nizam.store.pool import Pool
from nizam.store.store import Store
from nizam.tables.write import (
    lines,
    object_header,
    object_row,
    plain_header,
    plain_row,
    references_of,
)

Format = Literal["csv", "ndjson"]
CSV = "text/csv"
NDJSON = "application/x-ndjson"
COST = 10

_MEDIA_TYPES: Mapping[str, Format] = {CSV: "csv", NDJSON: "ndjson", "application/ndjson": "ndjson"}
_CONTENT_TYPES: Mapping[Format, str] = {"csv": f"{CSV}; charset=utf-8", "ndjson": NDJSON}
_NOT_HERE = frozenset({"limit", "cursor"})
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

    def header(self) -> list[str]:
        """Every field."""
        return plain_header(self.schema)

    def example(self) -> tuple[list[str], Mapping[str, Any]]:
        """What fits the schema."""
        document = sample(self.schema, {})
        return plain_row(self.header(), document), document

    async def page(self, pool: Pool, tenant_id: UUID, listing: Listing) -> Page:
        """Documents."""
        return await self.read(pool, tenant_id, listing)

    async def csv(self, pool: Pool, tenant_id: UUID, page: Page) -> bytes:
        """As they are."""
        return lines(await in_slices(pool.reactor, self._rows(page)))

    def _rows(self, page: Page) -> Sliced[list[list[str]]]:
        header = self.header()
        rows = []
        for document in page.rows:
            rows.append(plain_row(header, document))
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
        given = [(name, value) for name, value in call.query if name != "format"]
        wrong = sorted({name for name, _ in given} & _NOT_HERE)
        if wrong:
            message = "an export has all rows; filter them"
            errors = [FieldError(it, "unknown_parameter", message) for it in wrong]
            raise ValidationFailed(f"wrong parameters: {', '.join(wrong)}", errors=errors)
        form = chosen_format(call)
        tenant = call.tenant

        def listing(cursor: str | None) -> Listing:
            place = [] if cursor is None else [("cursor", cursor)]
            parsed = parse_listing(
                [*given, *place],
                self.fields,
                self.sort,
                id_kind=self.id_kind,
                searchable=self.searchable,
            )
            return attrs.evolve(parsed, limit=MAX_LIMIT)

        async def piece(cursor: str | None) -> tuple[bytes, str | None]:
            asked = listing(cursor)
            return await self.store.read(lambda pool: self._piece(pool, tenant, asked, form))

        first = await piece(None)
        asked = {"format": form, "query": [f"{name}={value}" for name, value in given]}
        await self.store.record(
            change_context(call),
            AuditEntry(
                action="exported", resource_type=self.resource_type, tenant_id=tenant, after=asked
            ),
        )
        name = self.list_route.path.rpartition("/")[2]
        return Reply(
            Stream(self._pieces(form, first, piece)),
            200,
            (("Content-Disposition", f'attachment; filename="{name}.{form}"'), ("Vary", "Accept")),
            _CONTENT_TYPES[form],
        )

    async def _piece(
        self, pool: Pool, tenant_id: UUID, listing: Listing, form: Format
    ) -> tuple[bytes, str | None]:
        page = await self.sheet.page(pool, tenant_id, listing)
        if form == "csv":
            return await self.sheet.csv(pool, tenant_id, page), page.next_cursor
        rows = (it.encode() if isinstance(it, str) else to_json(it) for it in page.rows)
        return b"".join(row + b"\n" for row in rows), page.next_cursor

    async def _pieces(
        self,
        form: Format,
        first: tuple[bytes, str | None],
        piece: Callable[[str | None], Awaitable[tuple[bytes, str | None]]],
    ) -> AsyncIterator[bytes]:
        if form == "csv":
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
                parameters=(_FORMAT, *(it for it in listed if it.name not in _NOT_HERE)),
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
