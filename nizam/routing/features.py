"""Feature codes: what a dialled star code does."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from nizam.routing.context import Routing
from nizam.routing.plan import Answer, Echo, Hangup, Plan, Sleep, VoicemailCheck


def _own_voicemail(routing: Routing) -> Plan:
    extension = routing.rights.extension
    if extension is None:
        routing.note("feature_code", "denied", "only an extension has a voicemail of its own")
        routing.outcome = "denied"
        return (Hangup("CALL_REJECTED"),)
    if not extension.body.voicemail.enabled:
        routing.note("feature_code", "failed", "the extension has no voicemail", extension)
        return routing.unreachable()
    # The phone has signed in; a PIN is asked for only where one was set.
    authorized = "voicemail.pin" not in extension.secrets
    check = VoicemailCheck(routing.tenant.domain, extension.body.number, authorized)
    return (Answer(), Sleep(500), check)


def _any_voicemail(routing: Routing) -> Plan:
    return (Answer(), Sleep(500), VoicemailCheck(routing.tenant.domain))


def _echo(routing: Routing) -> Plan:
    return (Answer(), Echo())


CODES: Mapping[str, tuple[str, Callable[[Routing], Plan]]] = {
    "*97": ("own voicemail", _own_voicemail),
    "*98": ("voicemail", _any_voicemail),
    "*9196": ("echo test", _echo),
}


def feature(routing: Routing, dialled: str) -> Plan | None:
    """The plan of a feature code; None if `dialled` is none."""
    found = CODES.get(dialled)
    if found is None:
        return None
    words, act = found
    routing.note("feature_code", "matched", f"{dialled} is {words}")
    routing.route.append(f"feature {dialled}")
    return act(routing)
