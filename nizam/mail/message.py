"""What the email about an emergency call says."""

from __future__ import annotations

from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Any, Final

from nizam.store.system.mails import Mail

# Twisted's client makes CRLF of the LF that it is given.
POLICY: Final = SMTP.clone(linesep="\n")


def emergency_message(mail: Mail, sender: str, sent_at: datetime) -> bytes:
    """The message (RFC 5322), the same for every attempt but for its date.

    Its Message-ID is made of the mail's id: whoever gets it twice can tell.
    """
    data = mail.data
    message = EmailMessage(policy=POLICY)
    who = _who(data)
    subject = f"Emergency call to {data.get('number')} by {who} ({mail.tenant})"
    message["Subject"] = one_line(subject)
    message["From"] = sender
    message["To"] = Address(addr_spec=mail.recipient)
    message["Date"] = format_datetime(sent_at)
    message["Message-ID"] = f"<{mail.id}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message["X-Priority"] = "1"
    message.set_content("\n".join(_lines(mail, who)) + "\n")
    return bytes(message)


def _lines(mail: Mail, who: str) -> list[str]:
    data = mail.data
    pairs = (
        ("Called", data.get("number")),
        ("By", who),
        ("Tenant", mail.tenant),
        ("At", f"{mail.occurred_at:%Y-%m-%d %H:%M:%S} UTC"),
        ("Location", data.get("location") or "not known"),
        ("Number shown", data.get("caller_id_number") or "none"),
        ("Emergency plan", data.get("emergency_plan")),
        ("Call", mail.call_id),
    )
    return [f"{name}: {one_line(str(value))}" for name, value in pairs if value is not None]


def _who(data: Any) -> str:
    extension, name = data.get("extension"), data.get("extension_name")
    if extension is None:
        return "a phone without an extension"
    return f"{extension} {name}" if name else f"extension {extension}"


def one_line(text: str) -> str:
    """The text without what would begin another line, or is not seen."""
    return "".join(it if it.isprintable() else " " for it in text)
