"""registration.*, gateway.* and node.*: phones, carriers and switches."""

from __future__ import annotations

from typing import Final

from nizam.http.event_schemas.parts import Told, Types, data, maybe, maybe_id, whole
from nizam.http.schema_parts import Schema, or_null, text, time, words

_REGISTRATION: Final[dict[str, Schema]] = {
    "user": maybe("The user of the address of record.", "1001"),
    "domain": maybe("Its domain.", "acme.example.com"),
    "extension_id": maybe_id("The extension."),
    "contact": maybe("The SIP URI of the phone.", "sip:1001@192.0.2.7:5060"),
    "call_id": maybe("The SIP Call-ID of its REGISTERs: what makes it the same registration."),
    "expires_seconds": whole("How long it is good for.", null=True),
    "user_agent": maybe("What the phone says it is."),
    "network_ip": maybe("The address that it came from.", "192.0.2.7"),
    "network_port": whole("The port that it came from.", null=True),
    "profile": maybe("The SIP profile.", "internal"),
}

_REASON: Final[dict[str, Schema]] = {
    "reason": words(
        "Why it is gone: see docs/live.md.",
        "unregistered",
        "expired",
        "replaced",
        "node_lost",
        "unknown",
    )
}

_GATEWAY: Final[dict[str, Schema]] = {
    "gateway": text("Its name on the switch: that of our gateways is their id."),
    "gateway_id": maybe_id("The gateway; null for one that NIZAM does not know."),
    "state": maybe("FreeSWITCH's state of the registration.", "REGED"),
    "ping_status": maybe("What its OPTIONS pings say.", "UP"),
    "status": whole("The SIP status that came last.", null=True),
    "phrase": maybe("The words of that status."),
}

SWITCHES: Final[Types] = {
    "registration.registered": Told("A phone has registered.", data(_REGISTRATION)),
    "registration.unregistered": Told(
        "A phone has signed off, or was lost otherwise.", data(_REGISTRATION, _REASON)
    ),
    "registration.expired": Told(
        "A phone did not register again in time.", data(_REGISTRATION, _REASON)
    ),
    "registration.failed": Told("A phone was refused.", data(_REGISTRATION)),
    "gateway.up": Told("A gateway can take calls.", data(_GATEWAY)),
    "gateway.down": Told("A gateway cannot take calls.", data(_GATEWAY)),
    "node.up": Told("Events of a switch come in.", data({})),
    "node.down": Told(
        "Events of a switch do not come in any more.",
        data({"reason": text("Why, in words.", "the connection was lost")}),
    ),
    "node.gap": Told(
        "Events of a switch may be missing: those that it fired in this window, by its clock.",
        data(
            {
                "from": or_null(time("The beginning; null where it is not known.")),
                "to": time("The end."),
                "reason": words(
                    "`link`: nobody listened; `buffer full`: nothing had room for them.",
                    "link",
                    "buffer full",
                ),
            },
            {"dropped": whole("How many events and legs had to be dropped.")},
        ),
    ),
}
