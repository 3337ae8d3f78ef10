"""Publishing a call flow, its versions, and going back to one."""

from __future__ import annotations

from typing import Annotated

import attrs
from pydantic import Field

from nizam.errors import FieldError, IdempotencyMismatch, ValidationFailed
from nizam.http.body import validate
from nizam.http.changes import change_context
from nizam.http.crud import shown
from nizam.http.listing import list_parameters, list_reply
from nizam.http.openapi import model_schema
from nizam.http.reply import Reply
from nizam.http.route import TENANT, Call, Route
from nizam.http.schema_parts import (
    Schema,
    array,
    identifier,
    list_of,
    object_of,
    ref,
    text,
    time,
)
from nizam.model.base import Value
from nizam.model.call_flow import RESOURCE
from nizam.model.flow_nodes import needs_speech
from nizam.store.call_flows import VERSION_FIELDS, list_versions, publish, roll_back
from nizam.store.listing import parse_listing
from nizam.store.store import Store
from nizam.store.stored import Stored
from nizam.store.unit_of_work import UnitOfWork

_SORT = "-number"
_PATH = f"{TENANT}/call-flows/{{id}}"
_VERSION: Schema = {
    "title": "CallFlowVersion",
    **object_of(
        "A version of a call flow that was published.",
        id=identifier("Its id."),
        number={"type": "integer", "minimum": 1, "description": "Counts the versions."},
        published_at=time("When."),
        published_by=text("By whom.", "ada@example.com"),
        start=text("The id of the node where calls begin.", "bye"),
        nodes=array(ref("FlowNode"), "The nodes."),
    ),
}


class Rollback(Value):
    """Which version to go back to."""

    version: Annotated[int, Field(ge=1, le=1_000_000)]
    """The number of the version."""


@attrs.frozen
class CallFlows:
    """The handlers. `speaks` says whether the switches can speak texts."""

    store: Store
    speaks: bool

    async def publish(self, call: Call) -> Reply:
        """Make the draft what calls follow."""
        call.no_body()
        identifier = call.id()

        async def work(unit: UnitOfWork) -> Reply:
            return shown(self._can_be_heard(await publish(unit, identifier)))

        return await self.store.write(call.tenant, change_context(call), work)

    async def roll_back(self, call: Call) -> Reply:
        """Publish an earlier version again."""
        identifier, number = call.id(), validate(Rollback, call.json()).version

        async def work(unit: UnitOfWork) -> Reply:
            return shown(self._can_be_heard(await roll_back(unit, identifier, number)))

        return await self.store.write(call.tenant, change_context(call), work)

    async def versions(self, call: Call) -> Reply:
        """The published versions, the newest first."""
        tenant, identifier = call.tenant, call.id()
        await self.store.get(RESOURCE, tenant, identifier)
        listing = parse_listing(call.query, VERSION_FIELDS, _SORT)
        return list_reply(
            await self.store.read(lambda pool: list_versions(pool, tenant, identifier, listing))
        )

    def _can_be_heard(self, published: Stored) -> Stored:
        """The flow; ValidationFailed when it speaks, and the switches cannot."""
        errors = [
            FieldError(f"/nodes/{index}/text", "no_speech", "no text-to-speech engine is set up")
            for index, node in enumerate(published.body["nodes"])
            if node["type"] == "say" and not self.speaks and needs_speech(node["text"])
        ]
        if errors:
            raise ValidationFailed("texts cannot be spoken here (NIZAM_SPEECH)", errors=errors)
        return published

    def routes(self) -> list[Route]:
        """The routes of this file."""
        return [
            Route(
                method="POST",
                path=f"{_PATH}/publish",
                handler=self.publish,
                summary="Make the draft what calls follow, as a new version.",
                operation="publish_call_flow",
                tag="call-flows",
                permission="call_flows:write",
                response=ref("CallFlow"),
                errors=(IdempotencyMismatch,),
            ),
            Route(
                method="POST",
                path=f"{_PATH}/rollback",
                handler=self.roll_back,
                summary="Publish the content of an earlier version again, as a new version.",
                operation="roll_back_call_flow",
                tag="call-flows",
                permission="call_flows:write",
                request=model_schema(Rollback),
                request_example={"version": 1},
                response=ref("CallFlow"),
                errors=(IdempotencyMismatch,),
            ),
            Route(
                method="GET",
                path=f"{_PATH}/versions",
                handler=self.versions,
                summary="The published versions, the newest first.",
                operation="list_call_flow_versions",
                tag="call-flows",
                permission="call_flows:read",
                parameters=list_parameters(VERSION_FIELDS, _SORT),
                response=list_of(_VERSION),
            ),
        ]
