"""Publishing call flows, and the versions that were published."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from nizam.errors import FieldError, ValidationFailed
from nizam.model.call_flow import RESOURCE, CallFlow
from nizam.model.events import timestamp
from nizam.model.identifiers import new_id
from nizam.store.listing import Field, Listing, Page
from nizam.store.pages import tenant_page
from nizam.store.pool import Pool
from nizam.store.stored import Stored
from nizam.store.tables.call_flows import CALL_FLOW_VERSIONS
from nizam.store.unit_of_work import UnitOfWork

_COLUMNS = ("id", "number", "content", "published_by", "published_at")
VERSION_FIELDS: Mapping[str, Field] = {
    "number": Field(CALL_FLOW_VERSIONS.c.number, "integer"),
    "published_at": Field(CALL_FLOW_VERSIONS.c.published_at, "time"),
}
_LAST = "select coalesce(max(number), 0) from call_flow_versions where call_flow_id = %s"
_CONTENT = "select content from call_flow_versions where call_flow_id = %s and number = %s"
_INSERT = """
insert into call_flow_versions
    (id, tenant_id, call_flow_id, number, content, published_by, published_at)
values (%s, %s, %s, %s, %s, %s, %s)
"""


async def publish(unit: UnitOfWork, identifier: UUID) -> Stored:
    """Make the draft what calls follow, as a new version, unless they follow it already.

    Raises NotFound, and ValidationFailed when calls would go round.
    """
    draft = await _locked(unit, identifier)
    if draft.body["status"] == "published":
        return draft
    return await _publish(unit, draft, {name: draft.body[name] for name in ("start", "nodes")})


async def roll_back(unit: UnitOfWork, identifier: UUID, number: int) -> Stored:
    """Make the content of an earlier version the draft, and publish it as a new version.

    Raises NotFound, and ValidationFailed when there is no such version, or when what it refers to
    is no longer there.
    """
    present = await _locked(unit, identifier)
    rows = await unit.transaction.query(_CONTENT, (identifier, number))
    if not rows:
        raise ValidationFailed(
            f"there is no version {number}",
            errors=[FieldError("/version", "not_found", f"there is no version {number}")],
        )
    return await _publish(unit, present, rows[0][0])


async def _locked(unit: UnitOfWork, identifier: UUID) -> Stored:
    """The call flow, of which nobody else makes a version until the transaction ends."""

    def same(present: Stored) -> CallFlow:
        kept = {name: it for name, it in present.body.items() if name not in RESOURCE.read_only}
        return CallFlow.model_validate(kept)

    return await unit.update(RESOURCE, identifier, same)


async def _publish(unit: UnitOfWork, present: Stored, content: Mapping[str, Any]) -> Stored:
    ((last,),) = await unit.transaction.query(_LAST, (present.id,))
    number = int(last) + 1
    unit.transaction.add(
        _INSERT,
        (
            new_id(),
            present.tenant_id,
            present.id,
            number,
            dict(content),
            unit.context.actor_name,
            unit.now,
        ),
    )
    published = {"version": number, "published_at": timestamp(unit.now), **content}
    return await unit.set_fields(RESOURCE, present.id, {**content, "published": published})


async def list_versions(pool: Pool, tenant_id: UUID, identifier: UUID, listing: Listing) -> Page:
    """The published versions of a call flow, each with its `start` and `nodes`."""
    table = CALL_FLOW_VERSIONS
    page = await tenant_page(
        pool,
        tenant_id,
        [table.c[name] for name in _COLUMNS],
        VERSION_FIELDS,
        table.c.id,
        listing,
        table.c.tenant_id == tenant_id,
        table.c.call_flow_id == identifier,
    )
    return Page([_shown(row) for row in page.rows], page.next_cursor)


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": row["id"],
        "number": row["number"],
        "published_at": row["published_at"],
        "published_by": row["published_by"],
        **row["content"],
    }
