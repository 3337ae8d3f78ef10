"""POST .../import: a CSV file of objects, all of it or nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import attrs

from nizam.document.plan import Plan, Treatment
from nizam.errors import (
    Conflict,
    IdempotencyMismatch,
    MalformedTable,
    QuotaExceeded,
    UnsupportedMediaType,
    ValidationFailed,
)
from nizam.http.changes import change_context
from nizam.http.crud import Crud
from nizam.http.exports import CSV
from nizam.http.query import Query, YesOrNo, read_query
from nizam.http.reply import Reply
from nizam.http.route import Call, Parameter, Route
from nizam.http.schema_parts import (
    Schema,
    array,
    count,
    identifier,
    object_of,
    text,
    yes_or_no,
)
from nizam.model.resource import Resource
from nizam.slices import in_slices
from nizam.store.document_results import Applied
from nizam.store.documents import LARGE_SECONDS, Documents
from nizam.store.stored import Stored
from nizam.tables.faults import CellError, Places
from nizam.tables.read import MAX_BYTES, MAX_ROWS, Table, read_table

COST = 20
OnExisting = Literal["refuse", "update", "skip"]
_TREATMENTS: Mapping[OnExisting, Treatment] = {
    "refuse": "refuse",
    "update": "merge",
    "skip": "skip",
}
_ANSWER: Schema = {
    "title": "Import",
    **object_of(
        "What an import has done, or would do.",
        dry_run=yes_or_no("Whether nothing was changed."),
        revision=count("The tenant's, afterwards."),
        rows=count("Rows that said something, without the header."),
        created=count("Objects that were made."),
        updated=count("Objects that were changed."),
        unchanged=count("Rows that said what was so already."),
        skipped=count("Rows of objects that were there already."),
        generated=array(
            {
                **object_of(
                    "The secrets of one object, each under the name of its field.",
                    row=count("Where it stood in the file."),
                    number=text("Its number.", "1001"),
                    id=identifier("Its id."),
                ),
                "additionalProperties": {"type": "string"},
            },
            "The secrets that were made for new objects. They are shown by this answer alone.",
        ),
    ),
}
_PARAMETERS = (
    Parameter(
        name="dry_run",
        about="Check everything, and change nothing.",
        schema={"type": "boolean", "default": False},
    ),
    Parameter(
        name="on_existing",
        about="What becomes of an object with a number that the file has, too: it is an error, "
        "the columns of the file are changed, or the row is passed over.",
        schema={"type": "string", "enum": list(get_args(OnExisting)), "default": "refuse"},
    ),
)


class Asked(Query):
    """What the query of an import says."""

    dry_run: YesOrNo = False
    on_existing: OnExisting = "refuse"


@attrs.frozen
class Import:
    """The import of one resource; `crud` has its routes, `reactor` the time between slices."""

    crud: Crud
    documents: Documents
    reactor: Any

    @property
    def resource(self) -> Resource:
        """What is imported."""
        return self.crud.resource

    async def load(self, call: Call) -> Reply:
        """Make and change what the rows say, or say everything that is wrong."""
        asked = read_query(call, Asked)
        _check_media_type(call.header("content-type"))
        async with self.documents.turn():
            return await self._load(call, asked)

    async def _load(self, call: Call, asked: Asked) -> Reply:
        treatment = _TREATMENTS[asked.on_existing]
        table = await in_slices(self.reactor, read_table(call.raw_body, self.resource))
        document = {self.resource.table: table.objects}

        def answer(applied: Applied) -> Reply:
            generated = _generated(table.places, applied.plan, applied.objects)
            return _answer(asked, table, applied.plan, applied.revision, generated)

        try:
            if asked.dry_run:
                planned = await self.documents.plan(
                    call.tenant, document, treatment=treatment, faults=table.faults
                )
                return _answer(asked, table, planned.plan, planned.revision, ())
            return await self.documents.apply(
                call.tenant,
                document,
                change_context(call),
                answer,
                permit=lambda plan: None,
                treatment=treatment,
                kind="import",
                faults=table.faults,
            )
        except (ValidationFailed, Conflict) as error:
            raise _in_table(error, table.places) from None

    def routes(self) -> list[Route]:
        """The one route."""
        it = self.resource
        return [
            Route(
                method="POST",
                path=f"{self.crud.collection}/import",
                handler=self.load,
                summary=f"Make and change {it.table} from a CSV file, all of it or nothing.",
                operation=f"import_{it.table}",
                tag=it.path,
                permission=f"{it.table}:write",
                parameters=_PARAMETERS,
                request_media_type=CSV,
                request={
                    "type": "string",
                    "description": f"The first row names the fields. At most {MAX_ROWS} rows.",
                },
                request_example=EXAMPLES[it.name],
                response=_ANSWER,
                response_example=_EXAMPLE,
                errors=(
                    MalformedTable,
                    Conflict,
                    QuotaExceeded,
                    IdempotencyMismatch,
                ),
                body_limit=MAX_BYTES,
                cost=COST,
                seconds=LARGE_SECONDS,
            )
        ]


EXAMPLES: Mapping[str, str] = {
    "extension": "number,display_name,caller_id.external_number,voicemail.email\r\n"
    "1001,Ada Lovelace,+12025550101,ada@example.com\r\n"
    "1002,Grace Hopper,,grace@example.com\r\n",
    "did": "number,label,destination\r\n"
    "+12025550101,Main line,ring_group:2000\r\n"
    "+12025550102,Ada,extension:1001\r\n",
}
"""A file of each resource that can be imported."""

_EXAMPLE: dict[str, Any] = {
    "dry_run": False,
    "revision": 7,
    "rows": 2,
    "created": 1,
    "updated": 0,
    "unchanged": 0,
    "skipped": 1,
    "generated": [
        {
            "row": 2,
            "number": "1001",
            "id": "01937a5e-0000-7000-8000-000000000001",
            "sip_password": "an-example-of-a-password",
        }
    ],
}


def _check_media_type(header: str | None) -> None:
    kind, _, parameters = (header or CSV).partition(";")
    charset = parameters.lower().replace(" ", "").replace('"', "").partition("charset=")[2]
    if kind.strip().lower() != CSV or charset.partition(";")[0] not in ("", "utf-8", "us-ascii"):
        raise UnsupportedMediaType(f"the body is {CSV}, in UTF-8")


def _in_table(error: ValidationFailed | Conflict, places: Places) -> ValidationFailed | Conflict:
    """The same error with the rows and columns where it had pointers into the document."""
    found = sorted(map(places.in_table, error.errors), key=lambda it: it.row or 0)
    if not found:
        return error
    total = error.extra.get("error_count", len(found))
    first = found[0]
    return type(error)(
        f"{total} things are wrong, the first: {_where(first)}{first.message}",
        errors=found,
        error_count=total,
    )


def _where(it: CellError) -> str:
    row = "" if it.row is None else f"row {it.row} "
    return f"{row}{it.column} " if it.column is not None else row


def _generated(
    places: Places, plan: Plan, objects: Sequence[Stored]
) -> Sequence[Mapping[str, Any]]:
    return [
        {
            "row": places.row(change.path),
            "number": made.body["number"],
            "id": made.id,
            **made.revealed,
        }
        for change, made in zip(plan.changes, objects, strict=True)
        if made.revealed
    ]


def _answer(
    asked: Asked,
    table: Table,
    plan: Plan,
    revision: int,
    generated: Sequence[Mapping[str, Any]],
) -> Reply:
    made = sum(1 for it in plan.changes if it.operation == "create")
    changed = len(plan.changes) - made
    rows = len(table.objects)
    return Reply(
        {
            "dry_run": asked.dry_run,
            "revision": revision,
            "rows": rows,
            "created": made,
            "updated": changed,
            "unchanged": plan.unchanged,
            "skipped": rows - made - changed - plan.unchanged,
            "generated": generated,
        }
    )
