"""Recordings: listing, listening, links for others, legal hold, deleting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import attrs
from pydantic import Field, StringConstraints

from nizam.errors import (
    Conflict,
    LegalHold,
    MediaUnavailable,
    StorageUnavailable,
)
from nizam.http.body import validate
from nizam.http.changes import asked_by, change_context
from nizam.http.listening import Listening
from nizam.http.listing import list_parameters, list_reply
from nizam.http.openapi import model_schema
from nizam.http.reply import Reply
from nizam.http.route import TENANT, Call, Route
from nizam.http.schemas import list_of, ref
from nizam.media.links import FileLinks
from nizam.model.base import Value
from nizam.recordings.erasing import erase
from nizam.recordings.files import Place, RecordingFiles
from nizam.store import recordings as stored
from nizam.store.listing import parse_listing
from nizam.store.store import Store
from nizam.store.unit_of_work import UnitOfWork

_ITEM = f"{TENANT}/recordings/{{id}}"
_SORT = "-started_at"
_RECEIPTS_SORT = "-deleted_at"
Reason = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f]+$")]


class Pruning(Value):
    """Which recordings to delete at once instead of on schedule."""

    older_than_days: Annotated[int, Field(ge=0, le=36500)] | None = None
    """Those that began so many days ago; by default as many as the tenant keeps them."""
    dry_run: bool = False
    """Whether to say only what would be deleted."""


class HoldWanted(Value):
    """Why a recording is put under legal hold."""

    reason: Reason
    """Why."""


@attrs.frozen
class Recordings:
    """The handlers. `told` gets webhook deliveries that were committed."""

    store: Store
    files: RecordingFiles
    links: FileLinks
    app_url: str

    # -- looking -------------------------------------------------------------------------------

    async def list_all(self, call: Call) -> Reply:
        """Recordings, the newest first."""
        listing = parse_listing(call.query, stored.RECORDING_FIELDS, _SORT)
        tenant = call.tenant
        return list_reply(
            await self.store.read(lambda pool: stored.list_recordings(pool, tenant, listing))
        )

    async def get(self, call: Call) -> Reply:
        """One recording."""
        return Reply(stored.shown(await self._row(call)))

    async def receipts(self, call: Call) -> Reply:
        """Receipts, the newest first."""
        listing = parse_listing(call.query, stored.RECEIPT_FIELDS, _RECEIPTS_SORT)
        tenant = call.tenant
        return list_reply(
            await self.store.read(
                lambda pool: stored.list_recording_receipts(pool, tenant, listing)
            )
        )

    # -- keeping and deleting ------------------------------------------------------------------

    async def hold(self, call: Call) -> Reply:
        """Put it under legal hold: neither retention nor anybody deletes it until the hold is
        released."""
        reason, who = validate(HoldWanted, call.json()).reason, asked_by(call)

        async def work(unit: UnitOfWork) -> Reply:
            return Reply(await stored.hold(unit, call.id(), reason, who))

        return await self.store.write(call.tenant, change_context(call), work)

    async def release(self, call: Call) -> Reply:
        """End the legal hold."""
        call.no_body()

        async def work(unit: UnitOfWork) -> Reply:
            return Reply(await stored.release(unit, call.id()))

        return await self.store.write(call.tenant, change_context(call), work)

    async def delete(self, call: Call) -> Reply:
        """Delete it: the file, then the recording; the receipt says what is gone. When the file
        cannot be removed now, the recording stays as `deleting` and goes as soon as it can."""
        marked: list[dict[str, Any]] = []

        async def work(unit: UnitOfWork) -> None:
            marked.append(
                await stored.mark_for_deletion(unit, call.id(), asked_by(call), "asked for")
            )

        await self.store.write(call.tenant, change_context(call), work)
        pool = self.store.primary
        receipt = await erase(
            pool, self.files, call.id(), _place(marked[0]), self.store.tell_deliveries
        )
        if receipt is None:
            raise Conflict("another request, or the schedule, has deleted it")
        return Reply(stored.receipt_shown(receipt))

    async def prune(self, call: Call) -> Reply:
        """Have the complete recordings deleted that are older than the tenant keeps them, or than
        is said. Those under legal hold stay. The files go within seconds, each with a receipt."""
        wanted = validate(Pruning, call.json() if call.raw_body.strip() else {})
        who = asked_by(call)

        async def work(unit: UnitOfWork) -> Reply:
            days = wanted.older_than_days
            if days is None:
                days = await stored.retention_days(unit)
                if days == 0:
                    raise Conflict("the tenant keeps its recordings for ever: say older_than_days")
            found = await stored.prune(unit, days, who, dry_run=wanted.dry_run)
            return Reply({**found, "dry_run": wanted.dry_run})

        return await self.store.write(call.tenant, change_context(call), work)

    # -- listening -----------------------------------------------------------------------------

    def listening(self) -> Listening:
        """The handlers of the sound."""
        return Listening(
            store=self.store,
            links=self.links,
            app_url=self.app_url,
            what="recording",
            segment="recordings",
            tag="recordings",
            permission="recordings:download",
            begun="started_at",
            find=self._row,
            open=lambda row: self.files.open(_place(row)),
        )

    async def _row(self, call: Call) -> dict[str, Any]:
        tenant, identifier = call.tenant, call.id()
        return await stored.get_recording(self.store.primary, tenant, identifier)

    def routes(self) -> list[Route]:
        """The routes of this file."""
        not_there = (MediaUnavailable, StorageUnavailable)
        return [
            Route(
                method="GET",
                path=f"{TENANT}/recordings",
                handler=self.list_all,
                summary="Recordings, the newest first.",
                operation="list_recordings",
                tag="recordings",
                permission="recordings:read",
                parameters=list_parameters(stored.RECORDING_FIELDS, _SORT),
                response=list_of(ref("Recording")),
            ),
            Route(
                method="GET",
                path=_ITEM,
                handler=self.get,
                summary="One recording.",
                operation="get_recording",
                tag="recordings",
                permission="recordings:read",
                response=ref("Recording"),
            ),
            *self.listening().routes("The sound, as WAV with one channel for each side."),
            Route(
                method="POST",
                path=f"{_ITEM}/hold",
                handler=self.hold,
                summary="Put a recording under legal hold.",
                operation="hold_recording",
                tag="recordings",
                permission="recordings:hold",
                request=model_schema(HoldWanted),
                request_example={"reason": "Case 4711"},
                response=ref("Recording"),
                errors=(Conflict,),
            ),
            Route(
                method="POST",
                path=f"{_ITEM}/release",
                handler=self.release,
                summary="End the legal hold of a recording.",
                operation="release_recording",
                tag="recordings",
                permission="recordings:hold",
                response=ref("Recording"),
            ),
            Route(
                method="DELETE",
                path=_ITEM,
                handler=self.delete,
                summary="Delete a recording; the receipt of it.",
                operation="delete_recording",
                tag="recordings",
                permission="recordings:delete",
                response=ref("RecordingReceipt"),
                errors=(LegalHold, Conflict, *not_there),
            ),
            Route(
                method="POST",
                path=f"{TENANT}/recordings/prune",
                handler=self.prune,
                summary="Delete recordings that are older than they are to be kept.",
                operation="prune_recordings",
                tag="recordings",
                permission="recordings:delete",
                request=model_schema(Pruning),
                request_example={"older_than_days": 90, "dry_run": True},
                request_required=False,
                response=ref("RecordingsPruned"),
                errors=(Conflict,),
            ),
            Route(
                method="GET",
                path=f"{TENANT}/recording-receipts",
                handler=self.receipts,
                summary="Receipts of recordings that were deleted, the newest first.",
                operation="list_recording_receipts",
                tag="recordings",
                permission="recordings:read",
                parameters=list_parameters(stored.RECEIPT_FIELDS, _RECEIPTS_SORT),
                response=list_of(ref("RecordingReceipt")),
            ),
        ]


def _place(row: Mapping[str, Any]) -> Place:
    return Place(
        path=row["path"],
        storage=row["storage"],
        is_local=row["is_local"],
        object_key=row["object_key"],
    )
