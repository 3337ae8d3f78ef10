"""The email about a message in a mailbox, with its sound if that is wanted."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

import attrs

from nizam.errors import MediaUnavailable
from nizam.mail.interface import MailNotSentError
from nizam.mail.message import POLICY, one_line
from nizam.media.library import MediaLibrary
from nizam.store.pool import Pool
from nizam.store.system.mails import Mail, MailKind
from nizam.store.system.voicemail import sound_of
from nizam.store.system.voicemail_changes import mark_deleted

MOST_BYTES: Final = 16 * 1024 * 1024
"""What is larger is not attached: mail servers take no more."""
_NOT_IN_NAMES: Final = re.compile(r"[^0-9A-Za-z+]")


@attrs.frozen
class VoicemailLetters:
    """Those that tell of messages; sent where the media root is."""

    pool: Pool
    library: MediaLibrary
    kind: MailKind = "voicemail"
    about: str = "a message in a mailbox"

    async def write(self, mail: Mail, sender: str, sent_at: datetime) -> bytes | None:
        """See nizam.mail.letters.Letters."""
        found = await sound_of(self.pool, UUID(mail.data["message_id"]))
        if found is None:
            return None
        sound = await self._sound(found.file, found.size) if mail.data["attach"] else None
        return voicemail_message(mail, sender, sent_at, sound)

    async def sent(self, transaction: Any, mail: Mail) -> None:
        """Delete the message where that is wanted once it was sent."""
        if mail.data["delete"]:
            await mark_deleted(
                transaction,
                UUID(mail.data["message_id"]),
                by="system",
                reason="emailed",
                wait_seconds=0.0,
            )

    async def _sound(self, file: str | None, size: int | None) -> bytes | None:
        if file is None or size is None or size > MOST_BYTES:
            return None
        try:
            opened = await self.library.open(file)
        except MediaUnavailable as error:
            raise MailNotSentError(error.detail) from None
        try:
            return await self.library.read(opened, size)
        finally:
            opened.close()


def voicemail_message(mail: Mail, sender: str, sent_at: datetime, sound: bytes | None) -> bytes:
    """The message (RFC 5322), the same for every attempt but for its date.

    Its Message-ID is made of the mail's id: whoever gets it twice can tell.
    """
    data = mail.data
    zone = ZoneInfo(data["time_zone"])
    left_at = mail.occurred_at.astimezone(zone)
    message = EmailMessage(policy=POLICY)
    message["Subject"] = one_line(f"New voicemail from {_who(data)} for {data['mailbox']}")
    message["From"] = sender
    message["To"] = Address(addr_spec=mail.recipient)
    message["Date"] = format_datetime(sent_at)
    message["Message-ID"] = f"<{mail.id}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    if data["urgent"]:
        message["X-Priority"] = "1"
    message.set_content("\n".join(_lines(mail, left_at)) + "\n")
    if sound is not None:
        number = _NOT_IN_NAMES.sub("", data.get("from") or "") or "unknown"
        name = f"voicemail-{mail.occurred_at.astimezone(UTC):%Y-%m-%dT%H%M%SZ}-{number}.wav"
        message.add_attachment(sound, maintype="audio", subtype="wav", filename=name)
    return bytes(message)


def _lines(mail: Mail, left_at: datetime) -> list[str]:
    data = mail.data
    seconds = round((data.get("duration_ms") or 0) / 1000)
    name = data.get("name")
    pairs = (
        ("From", _who(data)),
        ("For", f"{data['mailbox']} {name}" if name else data["mailbox"]),
        ("Tenant", mail.tenant),
        ("At", f"{left_at:%Y-%m-%d %H:%M:%S} {data['time_zone']}"),
        ("Length", f"{seconds // 60}:{seconds % 60:02}"),
        ("Urgent", "yes" if data["urgent"] else None),
    )
    lines = [f"{name}: {one_line(str(value))}" for name, value in pairs if value is not None]
    if data["delete"]:
        lines += ["", "The message is deleted from the mailbox."]
    return lines


def _who(data: Any) -> str:
    number, name = data.get("from"), data.get("from_name")
    if not number:
        return name or "an unknown number"
    return f"{name} ({number})" if name and name != number else str(number)
