"""Sound that the switch has recorded, for those who may listen: by key, or by a link for others."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

import attrs
from pydantic import Field

from nizam.errors import LinkInvalid, MediaUnavailable, RangeNotSatisfiable, StorageUnavailable
from nizam.http.body import validate
from nizam.http.changes import change_context
from nizam.http.files import BINARY, RANGE_HEADERS, RANGES, StoredFile, file_reply
from nizam.http.openapi import model_schema
from nizam.http.reply import Reply
from nizam.http.route import TENANT, Call, Parameter, Route
from nizam.http.schemas import ref
from nizam.http.stream import Stream
from nizam.media.links import LONGEST_SECONDS, FileLinks
from nizam.media.readable import Readable
from nizam.model.base import Value
from nizam.store.audit import AuditEntry
from nizam.store.store import Store
from nizam.store.unit_of_work import UnitOfWork

WAV: Final = "audio/wav"
_LINK = (
    Parameter(name="expires", about="Until when it holds, in seconds since 1970."),
    Parameter(name="disposition", about="attachment, or inline to be played in place."),
    Parameter(name="signature", about="That of the link."),
)
Row = Mapping[str, Any]


class LinkWanted(Value):
    """How long a link is to hold, and what it is for."""

    expires_in_seconds: Annotated[int, Field(ge=10, le=LONGEST_SECONDS)] = 3600
    """For how long."""
    disposition: Literal["attachment", "inline"] = "attachment"
    """Whether a browser saves the file or plays it in place."""


@attrs.frozen(kw_only=True)
class Listening:
    """The handlers for the sound of one kind of thing.

    `what` is it in the audit log, `segment` in paths, `plural` and `singular` in the names of
    operations. `find` is the row that a call is about, with `sha256`, `bytes`, `state`, `problem`,
    `from_number`, `to_number` and the id; `open` opens its file; `begun` names its time.
    """

    store: Store
    links: FileLinks
    app_url: str
    what: str
    segment: str
    tag: str
    permission: str
    begun: str
    find: Callable[[Call], Awaitable[dict[str, Any]]]
    open: Callable[[Row], Awaitable[Readable]]

    async def download(self, call: Call) -> Reply:
        """The file, or a range of it. Whoever is given any of it stands in the audit log."""
        row = await self.find(call)
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
        row = await self.find(call)
        _check_has_file(row, self.what)
        expires = int(self._now()) + wanted.expires_in_seconds
        query = self.links.query(
            call.tenant, row["id"], expires, inline=wanted.disposition == "inline"
        )
        expires_at = datetime.fromtimestamp(expires, UTC)
        path = f"/api/v1/tenants/{call.tenant}/{self.segment}/{row['id']}/file"

        async def work(unit: UnitOfWork) -> Reply:
            unit.note("linked", self.what, row["id"], after={"expires_at": str(expires_at)})
            url = f"{self.app_url}{path}?{query}"
            return Reply({"url": url, "expires_at": expires_at})

        return await self.store.write(call.tenant, change_context(call), work)

    async def open_link(self, call: Call) -> Reply:
        """The file that a link is for, or a range of it."""
        inline = self.links.check(call.tenant, call.id(), call.query, self._now())
        return await self._file(call, await self.find(call), inline=inline)

    async def _file(self, call: Call, row: Row, *, inline: bool) -> Reply:
        _check_has_file(row, self.what)
        name = f"{row[self.begun].astimezone(UTC):%Y-%m-%dT%H%M%SZ}"
        parties = "-".join(it for it in (row["from_number"], row["to_number"]) if it)
        file = StoredFile(
            sha256=row["sha256"],
            size=row["bytes"],
            name=f"{name}-{parties}-{row['id'].hex[-6:]}.wav" if parties else f"{name}.wav",
            media_type=WAV,
            inline=inline,
        )
        return await file_reply(call, file, lambda: self.open(row))

    async def _audit(self, call: Call, action: str, after: Mapping[str, Any]) -> None:
        entry = AuditEntry(
            action=action,
            resource_type=self.what,
            resource_id=call.id(),
            tenant_id=call.tenant,
            after=after,
        )
        await self.store.record(change_context(call), entry)

    def _now(self) -> float:
        now: float = self.store.primary.reactor.seconds()
        return now

    def routes(self, sound: str) -> list[Route]:
        """The routes; `sound` is what their summaries say of it."""
        item = f"{TENANT}/{self.segment}/{{id}}"
        not_there = (MediaUnavailable, StorageUnavailable)
        name = self.what
        return [
            Route(
                method="GET",
                path=f"{item}/audio",
                handler=self.download,
                summary=sound,
                operation=f"download_{name}",
                tag=self.tag,
                permission=self.permission,
                response=BINARY,
                media_type=WAV,
                headers=RANGE_HEADERS,
                parameters=RANGES,
                errors=(*not_there, RangeNotSatisfiable),
            ),
            Route(
                method="POST",
                path=f"{item}/link",
                handler=self.link,
                summary="A link to the sound that anybody can use until it expires.",
                operation=f"link_{name}",
                tag=self.tag,
                permission=self.permission,
                request=model_schema(LinkWanted),
                request_required=False,
                response=ref("RecordingLink"),
                errors=(MediaUnavailable,),
            ),
            Route(
                method="GET",
                path=f"{item}/file",
                handler=self.open_link,
                summary="The sound that a link is for.",
                operation=f"open_{name}_link",
                tag=self.tag,
                access="public",
                response=BINARY,
                media_type=WAV,
                headers=RANGE_HEADERS,
                parameters=(*_LINK, *RANGES),
                errors=(*not_there, RangeNotSatisfiable, LinkInvalid),
            ),
        ]


def _check_has_file(row: Row, what: str) -> None:
    """Raise MediaUnavailable unless the file was found."""
    if row["sha256"] is None or row["state"] not in ("available", "damaged"):
        raise MediaUnavailable(row["problem"] or f"the {what.replace('_', ' ')} is {row['state']}")
