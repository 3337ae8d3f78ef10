"""The tenant document over HTTP: export, plan, apply."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import attrs

from nizam.document.describe import proposal
from nizam.document.plan import Plan, Treatment
from nizam.document.read import MAX_OBJECTS
from nizam.errors import (
    Conflict,
    IdempotencyMismatch,
    InvalidTransition,
    QuotaExceeded,
    ValidationFailed,
    VersionMismatch,
)
from nizam.http.changes import change_context
from nizam.http.document_schemas import APPLIED, DOCUMENT, DOCUMENT_EXAMPLE, PROPOSAL
from nizam.http.etag import etag, if_match, if_none_match
from nizam.http.principal import Principal, lacking, require_covers
from nizam.http.query import Query, YesOrNo, read_query
from nizam.http.reply import Reply
from nizam.http.route import TENANT, Call, Parameter, Route
from nizam.slices import in_slices
from nizam.store.document_results import Applied, Planned
from nizam.store.documents import LARGE_SECONDS, Documents
from nizam.store.stored import redacted

MAX_BYTES = 8 * 1024 * 1024
"""The largest document. It is on the disk until its turn comes, and then in memory once."""

READING_COST, PLANNING_COST, CHANGING_COST = 5, 10, 20
PLAN_ERRORS = (Conflict, QuotaExceeded)
CHANGE_ERRORS = (*PLAN_ERRORS, InvalidTransition, VersionMismatch, IdempotencyMismatch)
PATH = f"{TENANT}/document"
IF_MATCH = Parameter(
    name="If-Match", about="Only if the tenant is still at this revision.", where="header"
)
_IF_NONE_MATCH = Parameter(
    name="If-None-Match", about="304 if the tenant is still at this revision.", where="header"
)
_TREATMENTS: tuple[str, ...] = get_args(Treatment)
_OPTIONS = (
    Parameter(
        name="prune",
        about="Of the types that the document lists, delete what it does not list.",
        schema={"type": "boolean", "default": False},
    ),
    Parameter(
        name="existing",
        about="What becomes of objects that are there: all of it as the document says, single "
        "fields as it says, nothing, or they are an error.",
        schema={"type": "string", "enum": list(_TREATMENTS), "default": "replace"},
    ),
)


@attrs.frozen
class Options:
    """How a document is meant."""

    prune: bool = False
    treatment: Treatment = "replace"


@attrs.frozen
class TenantDocuments:
    """The handlers."""

    documents: Documents
    reactor: Any

    async def export(self, call: Call) -> Reply:
        """The whole configuration; secrets are only marked."""
        read_query(call, Query)
        tag = call.header("if-none-match")
        if tag is not None:
            revision = await self.documents.revision(call.tenant)
            if if_none_match(tag, revision):
                return Reply(None, 304, (("ETag", etag(revision)),))
        return await self._exported(call, reveal=False)

    async def reveal(self, call: Call) -> Reply:
        """The whole configuration with every secret in clear."""
        read_query(call, Query)
        call.no_body()
        return await self._exported(call, reveal=True)

    async def _exported(self, call: Call, *, reveal: bool) -> Reply:
        # Kept for an Idempotency-Key would be every secret of the tenant at once.
        context = attrs.evolve(change_context(call), idempotency=None)
        async with self.documents.turn():
            found = await self.documents.export(call.tenant, context, reveal=reveal)
        return Reply(found.content, 200, (("ETag", etag(found.revision)),))

    async def plan(self, call: Call) -> Reply:
        """What applying the document would do."""
        options = read_options(call)
        async with self.documents.turn():
            document = await self.documents.read(_body(call))
            found = await self.documents.plan(
                call.tenant, document, prune=options.prune, treatment=options.treatment
            )
            return await proposed(call, found, self.reactor)

    async def apply(self, call: Call) -> Reply:
        """Make the tenant what the document says."""
        options, versions = read_options(call), if_match(call.header("if-match"))
        async with self.documents.turn():
            call = attrs.evolve(call, raw_body=_body(call))
            document = await self.documents.read(call.raw_body)
            return await self.documents.apply(
                call.tenant,
                document,
                change_context(call),
                done,
                permit=permit(call),
                prune=options.prune,
                treatment=options.treatment,
                versions=versions,
            )

    def routes(self) -> list[Route]:
        """The routes of this file."""
        return [
            Route(
                method="GET",
                path=PATH,
                handler=self.export,
                summary="The whole configuration of a tenant as one document, secrets marked.",
                operation="get_document",
                tag="document",
                permission="document:read",
                parameters=(_IF_NONE_MATCH,),
                response=DOCUMENT,
                headers=("ETag",),
                response_example=DOCUMENT_EXAMPLE,
                errors=(ValidationFailed,),
                cost=READING_COST,
                seconds=LARGE_SECONDS,
            ),
            Route(
                method="POST",
                path=f"{PATH}/reveal",
                handler=self.reveal,
                summary="The whole configuration with every secret in clear; audited.",
                operation="reveal_document",
                tag="document",
                permission="document:reveal",
                response=DOCUMENT,
                headers=("ETag",),
                cost=READING_COST,
                seconds=LARGE_SECONDS,
            ),
            Route(
                method="POST",
                path=f"{PATH}/plan",
                handler=self.plan,
                summary="What applying a document would do; nothing is changed.",
                operation="plan_document",
                tag="document",
                permission="document:plan",
                parameters=_OPTIONS,
                request=DOCUMENT,
                request_example=DOCUMENT_EXAMPLE,
                response=PROPOSAL,
                headers=("ETag",),
                errors=PLAN_ERRORS,
                takes_file=True,
                body_limit=MAX_BYTES,
                cost=PLANNING_COST,
                seconds=LARGE_SECONDS,
            ),
            Route(
                method="POST",
                path=f"{PATH}/apply",
                handler=self.apply,
                summary=f"Make a tenant what a document of up to {MAX_OBJECTS:,} objects says: all "
                "of it in one transaction, or nothing.",
                operation="apply_document",
                tag="document",
                permission="document:apply",
                parameters=(IF_MATCH, *_OPTIONS),
                request=DOCUMENT,
                request_example=DOCUMENT_EXAMPLE,
                response=APPLIED,
                headers=("ETag",),
                errors=CHANGE_ERRORS,
                takes_file=True,
                body_limit=MAX_BYTES,
                cost=CHANGING_COST,
                seconds=LARGE_SECONDS,
            ),
        ]


class Asked(Query):
    """What the query says of how a document is taken."""

    prune: YesOrNo = False
    existing: Treatment = "replace"


def read_options(call: Call) -> Options:
    """The query's `prune` and `existing`; ValidationFailed naming every parameter that is wrong."""
    asked = read_query(call, Asked)
    return Options(asked.prune, asked.existing)


def needed(plan: Plan) -> set[str]:
    """The permissions that making these changes one by one would take."""
    return {f"{it.resource.table}:write" for it in plan.changes}


def permit(call: Call) -> Callable[[Plan], None]:
    """Raises ScopeMissing for a plan with changes that whoever asks may not make one by one."""
    principal: Principal = call.principal

    def check(plan: Plan) -> None:
        require_covers(principal, call.tenant, needed(plan), "the document")

    return check


async def proposed(call: Call, found: Planned, reactor: Any) -> Reply:
    """The answer that shows a plan."""
    missing = lacking(call.principal, needed(found.plan), call.tenant)
    content = await in_slices(reactor, proposal(found.plan, found.revision, missing, redacted))
    return Reply(content, 200, (("ETag", etag(found.revision)),))


def done(applied: Applied) -> Reply:
    """The answer that shows what was done."""
    return Reply(applied.report, 200, (("ETag", etag(applied.revision)),))


def _body(call: Call) -> bytes:
    return b"" if call.upload is None else call.upload.read()
