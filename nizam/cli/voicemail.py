"""`nizam voicemail`: the messages in mailboxes."""

from __future__ import annotations

import click

from nizam.cli.access import Access, api_options
from nizam.cli.lists import add_list
from nizam.cli.output import json_option, print_json, print_object
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


@voicemail.command()
@_ID
@api_options(tenant=True)
@json_option
def get(access: Access, as_json: bool, message_id: str) -> None:
    """Show one message."""
    with access.in_tenant() as tenant:
        print_object(tenant.voicemail_messages.get(message_id), as_json=as_json)


@voicemail.command()
@_ID
@click.argument("target", metavar="FILE")
@api_options(tenant=True)
def audio(access: Access, message_id: str, target: str) -> None:
    """Write the sound of one message, which is WAV, to a file (- is standard output)."""
    with access.in_tenant() as tenant, written(target) as file:
        tenant.voicemail_messages.download(message_id, file)


@voicemail.command()
@_ID
@click.option(
    "--expires-in",
    type=click.IntRange(10, 604800),
    default=3600,
    show_default=True,
    help="For how many seconds it holds.",
)
@click.option("--inline", is_flag=True, help="For a browser to play in place.")
@api_options(tenant=True)
@json_option
def link(access: Access, as_json: bool, message_id: str, expires_in: int, inline: bool) -> None:
    """Print a link that anybody can download the sound with, until it expires."""
    with access.in_tenant() as tenant:
        found = tenant.voicemail_messages.link(
            message_id, expires_in_seconds=expires_in, inline=inline
        )
    if as_json:
        print_json(found)
    else:
        click.echo(found["url"])


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


@voicemail.command()
@_ID
@api_options(tenant=True)
@json_option
def delete(access: Access, as_json: bool, message_id: str) -> None:
    """Delete one message, in the phone's mailbox too, and show the receipt."""
    with access.in_tenant() as tenant:
        print_object(tenant.voicemail_messages.delete(message_id), as_json=as_json)
