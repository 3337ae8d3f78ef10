"""Mailboxes: listing messages, listening, links for others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from nizam.errors import MediaUnavailable
from nizam.http.listening import Listening
from nizam.http.listing import list_parameters, list_reply
from nizam.http.reply import Reply
from nizam.http.route import TENANT, Call, Route
from nizam.http.schemas import list_of, ref
from nizam.media.library import MediaLibrary
from nizam.media.links import FileLinks
from nizam.media.readable import LocalFile
from nizam.store import voicemail as stored
from nizam.store.listing import parse_listing
from nizam.store.store import Store

_SEGMENT = "voicemail-messages"
_ITEM = f"{TENANT}/{_SEGMENT}/{{id}}"
_TAG = "voicemail"
_SORT = "-received_at"
_RECEIPTS_SORT = "-deleted_at"


@attrs.frozen
class Voicemail:
    """The handlers."""

    store: Store
    library: MediaLibrary
    links: FileLinks
    app_url: str

    async def list_all(self, call: Call) -> Reply:
        """Messages, the newest first."""
        listing = parse_listing(call.query, stored.MESSAGE_FIELDS, _SORT)
        tenant = call.tenant
        return list_reply(
            await self.store.read(lambda pool: stored.list_messages(pool, tenant, listing))
        )

    async def get(self, call: Call) -> Reply:
        """One message."""
        return Reply(stored.shown(await self.row(call)))

    async def receipts(self, call: Call) -> Reply:
        """Receipts, the newest first."""
        listing = parse_listing(call.query, stored.RECEIPT_FIELDS, _RECEIPTS_SORT)
        tenant = call.tenant
        return list_reply(
            await self.store.read(lambda pool: stored.list_receipts(pool, tenant, listing))
        )

    def listening(self) -> Listening:
        """The handlers of the sound."""
        return Listening(
            store=self.store,
            links=self.links,
            app_url=self.app_url,
            what="voicemail_message",
            segment=_SEGMENT,
            tag=_TAG,
            permission="voicemail_messages:download",
            begun="received_at",
            find=self.row,
            open=self._open,
        )

    async def row(self, call: Call) -> dict[str, Any]:
        """The message that a call is about; NotFound."""
        tenant, identifier = call.tenant, call.id()
        row = await self.store.read(lambda pool: stored.get_message(pool, tenant, identifier))
        return row | {"to_number": row["mailbox"]}

    async def _open(self, row: Mapping[str, Any]) -> LocalFile:
        if row["file"] is None:
            raise MediaUnavailable("the switch keeps it outside of the media root")
        return await LocalFile.open(self.library, row["file"])

    def routes(self) -> list[Route]:
        """The routes of this file."""
        return [
            Route(
                method="GET",
                path=f"{TENANT}/{_SEGMENT}",
                handler=self.list_all,
                summary="Messages in mailboxes, the newest first.",
                operation="list_voicemail_messages",
                tag=_TAG,
                permission="voicemail_messages:read",
                parameters=list_parameters(stored.MESSAGE_FIELDS, _SORT),
                response=list_of(ref("VoicemailMessage")),
            ),
            Route(
                method="GET",
                path=_ITEM,
                handler=self.get,
                summary="One message.",
                operation="get_voicemail_message",
                tag=_TAG,
                permission="voicemail_messages:read",
                response=ref("VoicemailMessage"),
            ),
            *self.listening().routes("The sound of a message, as WAV."),
            Route(
                method="GET",
                path=f"{TENANT}/voicemail-receipts",
                handler=self.receipts,
                summary="Receipts of messages that were deleted, the newest first.",
                operation="list_voicemail_receipts",
                tag=_TAG,
                permission="voicemail_messages:read",
                parameters=list_parameters(stored.RECEIPT_FIELDS, _RECEIPTS_SORT),
                response=list_of(ref("VoicemailReceipt")),
            ),
        ]
