"""sofia::register and its kin: phones that sign in and out."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

from nizam.esl.event import SwitchEvent
from nizam.events.fields import identifier, integer

_TYPES: Final = {
    "sofia::register": "registration.registered",
    "sofia::unregister": "registration.unregistered",
    "sofia::expire": "registration.expired",
    "sofia::register_failure": "registration.failed",
}


_CONTACT: Final = re.compile(r"<(?P<bracketed>[^<>]*)>|sofia/[^/]+/(?P<dialled>.*)", re.DOTALL)


def contact_uri(text: str | None) -> str | None:
    """The SIP URI of a contact, as sofia::register has it (`"" <sip:...>;q=1`) or as `show
    registrations` has it (`sofia/internal/sip:...`)."""
    found = _CONTACT.search(text) if text else None
    return (found["bracketed"] or found["dialled"] or text) if found else text


def registration(
    event: SwitchEvent, tenant_of_domain: Callable[[str], UUID | None]
) -> tuple[str, UUID | None, dict[str, Any]] | None:
    """The type, tenant and data of our event; None for what is no (attempt at a) registration."""
    kind = _TYPES.get(event.subclass or "")
    get = event.get
    if kind is None:
        return None
    if kind == "registration.failed" and get("registration-type") not in (None, "REGISTER"):
        return None  # an INVITE with wrong credentials
    # sofia::expire alone has neither from-user nor from-host (sofia_reg_del_callback in
    # sofia_reg.c).
    failed = kind == "registration.failed"
    user = get("to-user") if failed else get("from-user") or get("user")
    domain = get("to-host") if failed else get("from-host") or get("domain") or get("host")
    realm = domain or get("realm")
    tenant_id = identifier(get("nizam_tenant_id"))
    if tenant_id is None and realm:
        tenant_id = tenant_of_domain(realm)
    return (
        kind,
        tenant_id,
        {
            "user": user,
            "domain": domain,
            "extension_id": get("nizam_extension_id"),
            "contact": contact_uri(get("contact")),
            "call_id": get("call-id"),
            "expires_seconds": integer(get("expires")),
            "user_agent": get("user-agent"),
            "network_ip": get("network-ip"),
            "network_port": integer(get("network-port")),
            "profile": get("profile-name"),
        },
    )
