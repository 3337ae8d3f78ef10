"""`nizam voicemail`: the messages in mailboxes."""

from __future__ import annotations

from typing import BinaryIO

import click

from nizam.cli.access import Access, api_options
from nizam.cli.lists import add_list
from nizam.cli.output import json_option, print_object, print_rows
from nizam.cli.recorded import add_recorded
from nizam.cli.sounds import written

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


@voicemail.group()
def greeting() -> None:
    """Greetings of mailboxes, by number, 1 to 9."""


_WHAT = click.argument("what", metavar="ID|NUMBER")
_NUMBER = click.argument("number", metavar="GREETING", type=click.IntRange(1, 9))
GREETINGS = ("number", "chosen", "duration_ms", "size_bytes", "problem")


@greeting.command("list")
@_WHAT
@api_options(tenant=True)
@json_option
def list_greetings(access: Access, as_json: bool, what: str) -> None:
    """List the greetings of the mailbox of one extension."""
    with access.in_tenant() as tenant:
        rows = tenant.voicemail_greetings.list(tenant.extensions.find(what).id)
    print_rows(rows, GREETINGS, as_json=as_json)


@greeting.command()
@_WHAT
@_NUMBER
@click.argument("source", metavar="FILE", type=click.File("rb"))
@api_options(tenant=True)
@json_option
def upload(access: Access, as_json: bool, what: str, number: int, source: BinaryIO) -> None:
    """Put a WAV or MP3 file (- is standard input) in the place of one greeting."""
    with access.in_tenant() as tenant:
        extension = tenant.extensions.find(what).id
        found = tenant.voicemail_greetings.upload(extension, number, source)
    print_object(found, as_json=as_json)


@greeting.command()
@_WHAT
@_NUMBER
@click.argument("target", metavar="FILE")
@api_options(tenant=True)
def download(access: Access, what: str, number: int, target: str) -> None:
    """Write the sound of one greeting, which is WAV, to a file (- is standard output)."""
    with access.in_tenant() as tenant, written(target) as file:
        tenant.voicemail_greetings.download(tenant.extensions.find(what).id, number, file)


@greeting.command()
@_WHAT
@_NUMBER
@api_options(tenant=True)
@json_option
def choose(access: Access, as_json: bool, what: str, number: int) -> None:
    """Have callers hear this greeting."""
    with access.in_tenant() as tenant:
        found = tenant.voicemail_greetings.choose(tenant.extensions.find(what).id, number)
    print_object(found, as_json=as_json)


@greeting.command("delete")
@_WHAT
@_NUMBER
@api_options(tenant=True)
def delete_greeting(access: Access, what: str, number: int) -> None:
    """Remove one greeting that is not chosen."""
    with access.in_tenant() as tenant:
        tenant.voicemail_greetings.delete(tenant.extensions.find(what).id, number)
