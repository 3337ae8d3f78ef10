"""vm::maintenance: messages left in a mailbox."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from nizam.esl.event import SwitchEvent
from nizam.events.fields import identifier, integer


def message(
    event: SwitchEvent, tenant_of_domain: Callable[[str], UUID | None]
) -> tuple[str, UUID | None, dict[str, Any]] | None:
    """The type, tenant and data of our event; None for what mod_voicemail says besides.

    Source: deliver_vm in FreeSWITCH's mod_voicemail.c.
    """
    get = event.get
    if get("VM-Action") != "leave-message":
        return None
    domain = get("VM-Domain")
    tenant_id = identifier(get("variable_nizam_tenant_id"))
    if tenant_id is None and domain:
        tenant_id = tenant_of_domain(domain)
    return (
        "voicemail.received",
        tenant_id,
        {
            "mailbox": get("VM-User"),
            "domain": domain,
            "message_id": get("VM-UUID"),
            "from": get("VM-Caller-ID-Number"),
            "from_name": get("VM-Caller-ID-Name"),
            "path": get("VM-File-Path"),
            "duration_ms": 1000 * (integer(get("VM-Message-Len")) or 0),
            "urgent": (get("VM-Flags") or "").upper() in {"A_URGENT", "URGENT"},
        },
    )
