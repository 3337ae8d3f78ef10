"""vm::maintenance: messages left in a mailbox, and how many it holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from nizam.esl.event import SwitchEvent
from nizam.events.fields import identifier, integer
from nizam.model.voicemail_files import message_id, voicemail_below

Found = tuple[str, UUID | None, dict[str, Any]]


def mailbox(event: SwitchEvent, tenant_of_domain: Callable[[str], UUID | None]) -> Found | None:
    """The type, tenant and data of our event; None for what mod_voicemail says besides."""
    domain = event.get("VM-Domain")
    # Whose the mailbox is; the variables are those of the caller.
    tenant_id = tenant_of_domain(domain) if domain else None
    tenant_id = tenant_id or identifier(event.get("variable_nizam_tenant_id"))
    what = {"mailbox": event.get("VM-User"), "domain": domain}
    match event.get("VM-Action"):
        case "leave-message":
            return "voicemail.received", tenant_id, what | _message(event)
        case "mwi-update":
            return "voicemail.waiting", tenant_id, what | _counts(event)
    return None


def _message(event: SwitchEvent) -> dict[str, Any]:
    """Source: deliver_vm in FreeSWITCH's mod_voicemail.c."""
    get, path = event.get, event.get("VM-File-Path") or ""
    below = voicemail_below(path)
    return {
        "message_id": str(message_id(path)),
        "extension_id": None if below is None else str(below[1]),
        "from": get("VM-Caller-ID-Number"),
        "from_name": get("VM-Caller-ID-Name"),
        "path": path or None,
        "duration_ms": 1000 * (integer(get("VM-Message-Len")) or 0),
        "urgent": (get("VM-Flags") or "").upper() in {"A_URGENT", "URGENT"},
        "folder": get("VM-Folder") or "inbox",
        "switch_id": get("VM-UUID"),
    }


def _counts(event: SwitchEvent) -> dict[str, Any]:
    """Source: update_mwi in mod_voicemail.c; the urgent ones are among the others."""
    names = {"new": "New", "saved": "Saved", "new_urgent": "New-Urgent"}
    names |= {"saved_urgent": "Saved-Urgent"}
    return {ours: integer(event.get(f"VM-Total-{theirs}")) or 0 for ours, theirs in names.items()}
