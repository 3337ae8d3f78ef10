"""The revisions of a tenant's configuration: the list, one of them, and going back to it."""

from __future__ import annotations

from typing import Annotated, Any

import attrs
from pydantic import Field

from nizam.errors import NotFound
from nizam.http.body import validate
from nizam.http.changes import change_context
from nizam.http.document_schemas import APPLIED, PROPOSAL, REVISION, REVISION_WITH_CHANGES
from nizam.http.documents import (
    CHANGE_ERRORS,
    CHANGING_COST,
    IF_MATCH,
    PLAN_ERRORS,
    PLANNING_COST,
    done,
    permit,
    proposed,
)
from nizam.http.etag import if_match
from nizam.http.listing import list_parameters, list_reply
from nizam.http.openapi import model_schema
from nizam.http.reply import Reply
from nizam.http.route import TENANT, Call, Parameter, Route
from nizam.http.schema_parts import list_of
from nizam.model.base import Value
from nizam.store.documents import LARGE_SECONDS, Documents
from nizam.store.listing import parse_listing
from nizam.store.revisions import REVISION_FIELDS, get_revision, list_revisions
from nizam.store.store import Store

_SORT = "-revision"
_PATH = f"{TENANT}/revisions"
_MOST_DIGITS = 18
_NUMBER = Parameter(
    name="revision",
    about="The number of the revision.",
    schema={"type": "integer", "minimum": 0, "examples": [12]},
    where="path",
)


class ConfigurationRollback(Value):
    """What goes back: every object of the tenant, and with `tenant_settings` its own settings."""

    tenant_settings: Annotated[bool, Field(description="The tenant's own settings too.")] = False


@attrs.frozen
class Revisions:
    """The handlers."""

    store: Store
    documents: Documents
    reactor: Any

    async def list_page(self, call: Call) -> Reply:
        """Revisions, the newest first."""
        listing = parse_listing(call.query, REVISION_FIELDS, _SORT, id_kind="integer")
        tenant = call.tenant
        return list_reply(await self.store.read(lambda pool: list_revisions(pool, tenant, listing)))

    async def get(self, call: Call) -> Reply:
        """One revision with what it changed."""
        return Reply(await get_revision(self.store.primary, call.tenant, _revision(call)))

    async def plan(self, call: Call) -> Reply:
        """What going back would do."""
        revision, wanted = _revision(call), _wanted(call)
        async with self.documents.turn():
            found = await self.documents.plan_back(
                call.tenant, revision, with_tenant=wanted.tenant_settings
            )
            return await proposed(call, found, self.reactor)

    async def roll_back(self, call: Call) -> Reply:
        """Make all objects what they were at a revision."""
        revision, wanted = _revision(call), _wanted(call)
        versions = if_match(call.header("if-match"))
        async with self.documents.turn():
            return await self.documents.roll_back(
                call.tenant,
                revision,
                change_context(call),
                done,
                permit=permit(call),
                with_tenant=wanted.tenant_settings,
                versions=versions,
            )

    def routes(self) -> list[Route]:
        """The routes of this file."""
        return [
            Route(
                method="GET",
                path=_PATH,
                handler=self.list_page,
                summary="Who changed the configuration of a tenant and when, the newest first.",
                operation="list_revisions",
                tag="revisions",
                permission="revisions:read",
                parameters=list_parameters(REVISION_FIELDS, _SORT),
                response=list_of(REVISION),
            ),
            Route(
                method="GET",
                path=f"{_PATH}/{{revision}}",
                handler=self.get,
                summary="One revision with what it changed, field by field.",
                operation="get_revision",
                tag="revisions",
                permission="revisions:read",
                parameters=(_NUMBER,),
                response=REVISION_WITH_CHANGES,
            ),
            Route(
                method="POST",
                path=f"{_PATH}/{{revision}}/plan",
                handler=self.plan,
                summary="What rolling back to a revision would do; nothing is changed.",
                operation="plan_rollback",
                tag="revisions",
                permission="document:plan",
                parameters=(_NUMBER,),
                request=model_schema(ConfigurationRollback),
                request_example={},
                request_required=False,
                response=PROPOSAL,
                headers=("ETag",),
                errors=PLAN_ERRORS,
                cost=PLANNING_COST,
                seconds=LARGE_SECONDS,
            ),
            Route(
                method="POST",
                path=f"{_PATH}/{{revision}}/rollback",
                handler=self.roll_back,
                summary="Make all objects of a tenant what they were at a revision, as a new one.",
                operation="roll_back_revision",
                tag="revisions",
                permission="revisions:rollback",
                parameters=(_NUMBER, IF_MATCH),
                request=model_schema(ConfigurationRollback),
                request_example={},
                request_required=False,
                response=APPLIED,
                headers=("ETag",),
                errors=CHANGE_ERRORS,
                cost=CHANGING_COST,
                seconds=LARGE_SECONDS,
            ),
        ]


def _revision(call: Call) -> int:
    """The revision in the path; what is no number is not found."""
    text = call.path["revision"]
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
        raise NotFound
    return int(text)


def _wanted(call: Call) -> ConfigurationRollback:
    return validate(ConfigurationRollback, call.json() if call.raw_body.strip() else {})
