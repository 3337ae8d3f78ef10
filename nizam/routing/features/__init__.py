"""Feature codes: what a dialled star code of the tenant does."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from nizam.model.feature_code import ARGUMENT, Feature, FeatureCode
from nizam.model.parking_lot import ParkingLot
from nizam.routing.context import Routing, destination_to
from nizam.routing.destinations import parking
from nizam.routing.features import paging, pickup, settings
from nizam.routing.features.results import failed
from nizam.routing.plan import Answer, Echo, Hangup, Plan, Sleep, VoicemailCheck
from nizam.routing.rows import Entry

Act = Callable[[Routing, Entry[FeatureCode], str], Plan]


def feature(routing: Routing, dialled: str) -> Plan | None:
    """The plan of a feature code; None if `dialled` is none."""
    if not dialled.startswith(("*", "#")):
        return None
    found = find_code(routing, dialled)
    if found is None:
        return None
    entry, argument = found
    name = entry.body.feature
    routing.note("feature_code", "matched", f"{dialled} is {name.replace('_', ' ')}", entry)
    routing.route.append(f"feature {dialled}")
    act = _ACTS.get(name)
    if act is None:
        routing.note("feature_code", "failed", "cannot be done by dialling", entry)
        routing.outcome = "unreachable"
        return (Hangup("SERVICE_NOT_IMPLEMENTED"),)
    return act(routing, entry, argument)


def find_code(routing: Routing, dialled: str) -> tuple[Entry[FeatureCode], str] | None:
    """The code itself, or the longest that `dialled` begins with, and the digits after it."""
    best: tuple[Entry[FeatureCode], str] | None = None
    for entry in routing.view.all(FeatureCode):
        code = entry.body.code
        if not entry.body.enabled or not dialled.startswith(code):
            continue
        argument = dialled[len(code) :]
        if argument and (entry.body.feature not in ARGUMENT or not _is_number(argument)):
            continue
        if best is None or len(argument) < len(best[1]):
            best = entry, argument
    return best


def _is_number(argument: str) -> bool:
    return argument.removeprefix("+").isdigit()


def _own_voicemail(routing: Routing, entry: Entry[FeatureCode], argument: str) -> Plan:
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


def _any_voicemail(routing: Routing, entry: Entry[FeatureCode], argument: str) -> Plan:
    return (Answer(), Sleep(500), VoicemailCheck(routing.tenant.domain))


def _leave_message(routing: Routing, entry: Entry[FeatureCode], argument: str) -> Plan:
    found = routing.view.by_number(argument)
    if found is None or found.resource != "extension":
        routing.note("feature_code", "failed", f"{argument or 'nothing'} is no extension", entry)
        return routing.unreachable()
    return routing.follow(destination_to("voicemail", found.id))


def _park(routing: Routing, entry: Entry[FeatureCode], argument: str) -> Plan:
    lots = sorted(routing.view.all(ParkingLot), key=lambda it: it.body.number)
    wanted = entry.body.parking_lot_id or next((it.id for it in lots if it.body.enabled), None)
    if wanted is None:
        routing.note("feature_code", "failed", "the tenant has no parking lot", entry)
        return routing.unreachable()
    return routing.follow(destination_to("parking", wanted))


def _retrieve(routing: Routing, entry: Entry[FeatureCode], argument: str) -> Plan:
    lot = routing.view.by_number(argument)
    if lot is None or lot.resource != "parking_lot" or lot.body.number == argument:
        routing.note("feature_code", "failed", f"{argument or 'nothing'} is no slot", entry)
        return routing.unreachable()
    return parking.slot(routing, lot, argument)


def _record(routing: Routing, entry: Entry[FeatureCode], argument: str) -> Plan:
    return failed(routing, "it records a call that is up, there is none", outcome="unreachable")


def _echo(routing: Routing, entry: Entry[FeatureCode], argument: str) -> Plan:
    return (Answer(), Echo())


def _speed_dial(routing: Routing, entry: Entry[FeatureCode], argument: str) -> Plan:
    if entry.body.destination is None:
        return routing.unreachable()
    return routing.follow(entry.body.destination)


_ACTS: Mapping[Feature, Act] = {
    "voicemail": _own_voicemail,
    "voicemail_any": _any_voicemail,
    "voicemail_direct": _leave_message,
    "park": _park,
    "retrieve": _retrieve,
    "echo": _echo,
    "record": _record,
    "speed_dial": _speed_dial,
    "intercom": paging.intercom,
    "page": paging.page,
    "pickup": pickup.directed,
    "group_pickup": pickup.of_group,
    "dnd": settings.do_not_disturb,
    "forward_always": settings.forward_always,
    "forward_busy": settings.forward_busy,
    "forward_no_answer": settings.forward_no_answer,
    "forward_off": settings.forward_off,
    "night_mode": settings.night_mode,
}
