"""`nizam voicemail`: the messages in mailboxes."""

from __future__ import annotations

import click

from nizam.cli.access import Access, api_options
from nizam.cli.lists import add_list
from nizam.cli.output import json_option, print_object
from nizam.cli.recorded import add_recorded

COLUMNS = ("received_at", "mailbox", "from", "from_name", "duration_ms", "read", "urgent", "id")
RECEIPTS = ("deleted_at", "deleted_by", "reason", "mailbox", "size_bytes", "message_id", "id")
_ID = click.argument("message_id", metavar="ID")


@click.group()
def voicemail() -> None:
    """Messages in mailboxes."""


add_list(voicemail, "voicemail_messages", COLUMNS, "List messages, the newest first.")
add_list(
    voicemail,
    "voicemail_receipts",
    RECEIPTS,
    "List the receipts of messages that were deleted, the newest first.",
    name="receipts",
)
add_recorded(
    voicemail,
    "voicemail_messages",
    "message",
    download="audio",
    delete="Delete one message, in the phone's mailbox too, and show the receipt.",
)


@voicemail.command()
@_ID
@click.option("--unread", is_flag=True, help="Mark it as new instead.")
@api_options(tenant=True)
@json_option
def read(access: Access, as_json: bool, message_id: str, unread: bool) -> None:
    """Mark one message as listened to, at the phone too."""
    with access.in_tenant() as tenant:
        found = tenant.voicemail_messages.mark(message_id, read=not unread)
    print_object(found, as_json=as_json)
