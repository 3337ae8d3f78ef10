"""Mailboxes: listing messages, listening, links for others, marking, deleting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from nizam.errors import (
    Conflict,
    MediaUnavailable,
    SwitchError,
    SwitchUnavailable,
    TimeoutExceeded,
)
from nizam.http.body import validate
from nizam.http.changes import asked_by, change_context
from nizam.http.listening import Listening
from nizam.http.listing import list_parameters, list_reply
from nizam.http.openapi import model_schema
from nizam.http.reply import Reply
from nizam.http.route import TENANT, Call, Route
from nizam.http.schemas import list_of, ref
from nizam.media.library import MediaLibrary
from nizam.media.links import FileLinks
from nizam.media.readable import LocalFile
from nizam.model.base import Value
from nizam.store import voicemail as stored
from nizam.store.audit import AuditEntry
from nizam.store.listing import parse_listing
from nizam.store.store import Store
from nizam.store.system.voicemail import Message
from nizam.store.unit_of_work import UnitOfWork
from nizam.switch.control import CallControl
from nizam.voicemail.changes import erase, marked
from nizam.voicemail.switch import Box, SwitchMailboxes

_SEGMENT = "voicemail-messages"
_ITEM = f"{TENANT}/{_SEGMENT}/{{id}}"
_TAG = "voicemail"
_SORT = "-received_at"
_RECEIPTS_SORT = "-deleted_at"
_AT_SWITCH = (SwitchError, SwitchUnavailable, TimeoutExceeded)


class Marking(Value):
    """What is changed of a message."""

    read: bool
    """Whether somebody has listened to it."""


@attrs.frozen(kw_only=True)
class Voicemail:
    """The handlers."""

    store: Store
    library: MediaLibrary
    links: FileLinks
    control: CallControl
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

    # -- marking and deleting ------------------------------------------------------------------

    async def change(self, call: Call) -> Reply:
        """Mark it as listened to, or as new. The mailbox at the switch is told first, so that the
        phone's lamp and its menu agree; 503 when it cannot be."""
        wanted = validate(Marking, call.json())
        row = await self.row(call)
        if row["state"] == "deleting":
            raise Conflict("it is being deleted")
        if row["is_read"] != wanted.read:
            switch = SwitchMailboxes(self.control.links)
            await switch.mark(_box(row), row["switch_id"], read=wanted.read)
            tell = self.store.tell_deliveries
            await marked(self.store.primary, row["id"], tell, read=wanted.read, by=asked_by(call))
            entry = AuditEntry(
                action="marked",
                resource_type="voicemail_message",
                resource_id=row["id"],
                tenant_id=call.tenant,
                before={"read": row["is_read"]},
                after={"read": wanted.read},
            )
            await self.store.record(change_context(call), entry)
        found = await stored.get_message(self.store.primary, call.tenant, row["id"])
        return Reply(stored.shown(found))

    async def delete(self, call: Call) -> Reply:
        """Delete it, in the mailbox at the switch with its file, then here; the receipt says what
        is gone. When the switch cannot be told now, the message stays as `deleting` and goes as
        soon as it can be."""
        held: list[Message] = []

        async def work(unit: UnitOfWork) -> None:
            held.append(await stored.mark_for_deletion(unit, call.id(), asked_by(call)))

        await self.store.write(call.tenant, change_context(call), work)
        switch = SwitchMailboxes(self.control.links)
        receipt = await erase(self.store.primary, switch, held[0], self.store.tell_deliveries)
        if receipt is None:
            raise Conflict("another request, or somebody at the phone, has deleted it")
        return Reply(stored.receipt_shown(receipt))

    async def row(self, call: Call) -> dict[str, Any]:
        """The message that a call is about; NotFound."""
        tenant, identifier = call.tenant, call.id()
        row = await stored.get_message(self.store.primary, tenant, identifier)
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
            Route(
                method="PATCH",
                path=_ITEM,
                handler=self.change,
                summary="Mark a message as listened to, or as new.",
                operation="mark_voicemail_message",
                tag=_TAG,
                permission="voicemail_messages:write",
                request=model_schema(Marking),
                request_example={"read": True},
                response=ref("VoicemailMessage"),
                errors=(Conflict, *_AT_SWITCH),
            ),
            Route(
                method="DELETE",
                path=_ITEM,
                handler=self.delete,
                summary="Delete a message; the receipt of it.",
                operation="delete_voicemail_message",
                tag=_TAG,
                permission="voicemail_messages:write",
                response=ref("VoicemailReceipt"),
                errors=(Conflict, *_AT_SWITCH),
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


def _box(row: Mapping[str, Any]) -> Box:
    return Box(node=row["node"], mailbox=row["mailbox"], domain=row["domain"])
