"""Phones that sign in and out, as sofia_reg.c of FreeSWITCH 1.11 tells of them."""

from __future__ import annotations

from uuid import UUID

from nizam.esl.event import SwitchEvent
from nizam.events.registrations import registration
from nizam.switch.phones import registration_key

TENANT = UUID(int=1)


def told(subclass: str, **headers: str) -> dict[str, object]:
    event = SwitchEvent(
        "CUSTOM",
        {
            "Event-Subclass": subclass,
            "call-id": "c3f396db",
            "contact": "sip:1001@192.0.2.9",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        },
    )
    found = registration(event, {"acme.example.test": TENANT}.get)
    assert found is not None
    kind, tenant_id, data = found
    return {"type": kind, "tenant_id": tenant_id, "key": registration_key(data)}


def test_a_registration_that_expires_is_the_one_that_was_made() -> None:
    made = told("sofia::register", from_user="1001", from_host="acme.example.test")
    # Its user and host, and no from-user and from-host.
    expired = told("sofia::expire", user="1001", host="acme.example.test", expires="1795")
    assert (made["type"], expired["type"]) == (
        "registration.registered",
        "registration.expired",
    )
    assert (expired["tenant_id"], expired["key"]) == (TENANT, made["key"])
