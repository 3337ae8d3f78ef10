"""Recordings: listing, listening, links for others, legal hold, deleting."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import attrs
from pydantic import Field, StringConstraints

from nizam.errors import (
    Conflict,
    LegalHold,
    LinkInvalid,
    MediaUnavailable,
    RangeNotSatisfiable,
    StorageUnavailable,
)
from nizam.http.body import validate
from nizam.http.changes import change_context
from nizam.http.files import BINARY, RANGE_HEADERS, RANGES, StoredFile, file_reply
from nizam.http.listing import list_parameters, list_reply
from nizam.http.openapi import model_schema
from nizam.http.reply import Reply
from nizam.http.route import TENANT, Call, Parameter, Route
from nizam.http.schemas import list_of, ref
from nizam.http.stream import Stream
from nizam.model.base import Value
from nizam.recordings.erasing import erase
from nizam.recordings.files import Place, RecordingFiles
from nizam.recordings.links import LONGEST_SECONDS, RecordingLinks
from nizam.store import recordings as stored
from nizam.store.audit import AuditEntry
from nizam.store.listing import parse_listing
from nizam.store.store import Store
from nizam.store.unit_of_work import UnitOfWork

_ITEM = f"{TENANT}/recordings/{{id}}"
_WAV = "audio/wav"
_SORT = "-started_at"
_RECEIPTS_SORT = "-deleted_at"
_LINK = (
    Parameter(name="expires", about="Until when it holds, in seconds since 1970."),
    Parameter(name="disposition", about="attachment, or inline to be played in place."),
    Parameter(name="signature", about="That of the link."),
)
Reason = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f]+$")]


class LinkWanted(Value):
    """How long a link is to hold, and what it is for."""

    expires_in_seconds: Annotated[int, Field(ge=10, le=LONGEST_SECONDS)] = 3600
    """For how long."""
    disposition: Literal["attachment", "inline"] = "attachment"
    """Whether a browser saves the file or plays it in place."""


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
    links: RecordingLinks
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

    # -- listening -----------------------------------------------------------------------------

    async def download(self, call: Call) -> Reply:
        """The file, or a range of it. Whoever is given any of it stands in the audit log."""
        row = await self._row(call)
        reply = await self._file(call, row, inline=False)
        if isinstance(reply.body, Stream) and not call.is_head:
            part = dict(reply.headers).get("Content-Range")
            after = {"call_id": row["call_id"]} | ({} if part is None else {"range": part})
            try:
                await self._audit(call, "downloaded", after)
            except BaseException:
                reply.body.close()
                raise
        return reply

    async def link(self, call: Call) -> Reply:
        """A link to the file that holds for a while, for whoever has it: no key is needed. Who has
        made it stands in the audit log."""
        wanted = validate(LinkWanted, call.json() if call.raw_body.strip() else {})
        row = await self._row(call)
        _check_has_file(row)
        expires = int(self._now()) + wanted.expires_in_seconds
        query = self.links.query(
            call.tenant, row["id"], expires, inline=wanted.disposition == "inline"
        )
        expires_at = datetime.fromtimestamp(expires, UTC)
        path = f"/api/v1/tenants/{call.tenant}/recordings/{row['id']}/file"

        async def work(unit: UnitOfWork) -> Reply:
            unit.note("linked", "recording", row["id"], after={"expires_at": str(expires_at)})
            url = f"{self.app_url}{path}?{query}"
            return Reply({"url": url, "expires_at": expires_at})

        return await self.store.write(call.tenant, change_context(call), work)

    async def open_link(self, call: Call) -> Reply:
        """The file that a link is for, or a range of it."""
        inline = self.links.check(call.tenant, call.id(), call.query, self._now())
        return await self._file(call, await self._row(call), inline=inline)

    async def _file(self, call: Call, row: Mapping[str, Any], *, inline: bool) -> Reply:
        _check_has_file(row)
        name = f"{row['started_at'].astimezone(UTC):%Y-%m-%dT%H%M%SZ}"
        parties = "-".join(it for it in (row["from_number"], row["to_number"]) if it)
        file = StoredFile(
            sha256=row["sha256"],
            size=row["bytes"],
            name=f"{name}-{parties}-{row['id'].hex[-6:]}.wav" if parties else f"{name}.wav",
            media_type=_WAV,
            inline=inline,
        )
        return await file_reply(call, file, lambda: self.files.open(_place(row)))

    # -- keeping and deleting ------------------------------------------------------------------

    async def hold(self, call: Call) -> Reply:
        """Put it under legal hold: neither retention nor anybody deletes it until the hold is
        released."""
        reason, who = validate(HoldWanted, call.json()).reason, _who(call)

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
            marked.append(await stored.mark_for_deletion(unit, call.id(), _who(call), "asked for"))

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
        who = _who(call)

        async def work(unit: UnitOfWork) -> Reply:
            days = wanted.older_than_days
            if days is None:
                days = await stored.retention_days(unit)
                if days == 0:
                    raise Conflict("the tenant keeps its recordings for ever: say older_than_days")
            found = await stored.prune(unit, days, who, dry_run=wanted.dry_run)
            return Reply({**found, "dry_run": wanted.dry_run})

        return await self.store.write(call.tenant, change_context(call), work)

    async def _row(self, call: Call) -> dict[str, Any]:
        tenant, identifier = call.tenant, call.id()
        return await self.store.read(lambda pool: stored.get_recording(pool, tenant, identifier))

    async def _audit(self, call: Call, action: str, after: Mapping[str, Any]) -> None:
        entry = AuditEntry(
            action=action,
            resource_type="recording",
            resource_id=call.id(),
            tenant_id=call.tenant,
            after=after,
        )
        await self.store.record(change_context(call), entry)

    def _now(self) -> float:
        now: float = self.store.primary.reactor.seconds()
        return now

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
            Route(
                method="GET",
                path=f"{_ITEM}/audio",
                handler=self.download,
                summary="The sound, as WAV with one channel for each side.",
                operation="download_recording",
                tag="recordings",
                permission="recordings:download",
                response=BINARY,
                media_type=_WAV,
                headers=RANGE_HEADERS,
                parameters=RANGES,
                errors=(*not_there, RangeNotSatisfiable),
            ),
            Route(
                method="POST",
                path=f"{_ITEM}/link",
                handler=self.link,
                summary="A link to the sound that anybody can use until it expires.",
                operation="link_recording",
                tag="recordings",
                permission="recordings:download",
                request=model_schema(LinkWanted),
                request_required=False,
                response=ref("RecordingLink"),
                errors=(MediaUnavailable,),
            ),
            Route(
                method="GET",
                path=f"{_ITEM}/file",
                handler=self.open_link,
                summary="The sound that a link is for.",
                operation="open_recording_link",
                tag="recordings",
                access="public",
                response=BINARY,
                media_type=_WAV,
                headers=RANGE_HEADERS,
                parameters=(*_LINK, *RANGES),
                errors=(*not_there, RangeNotSatisfiable, LinkInvalid),
            ),
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


def _who(call: Call) -> str:
    return call.principal.email or call.principal.name or str(call.principal.id)


def _place(row: Mapping[str, Any]) -> Place:
    return Place(
        path=row["path"],
        storage=row["storage"],
        is_local=row["is_local"],
        object_key=row["object_key"],
    )


def _check_has_file(row: Mapping[str, Any]) -> None:
    """Raise MediaUnavailable unless the file of the recording was found."""
    if row["sha256"] is None or row["state"] not in ("available", "damaged"):
        words = row["problem"] or f"the recording is {row['state']}"
        raise MediaUnavailable(words)
