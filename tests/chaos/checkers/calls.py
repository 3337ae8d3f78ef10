"""What is stored of calls against what the switch did: one right summary, all legs, no event twice.

No acknowledged CDR is lost, and nothing is told of calls that did not happen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from typing import Any

from nizam.sim.truth import CallTruth
from tests.chaos.history import History, Posted
from tests.chaos.stored import Stored

MAILBOX = ("voicemail ", "no mailbox ")
"""The application that leaves messages was run, whether the switch found the mailbox or not."""
KEY = "5"
"""What people press while they talk, where a workload wants that; menus are answered otherwise."""
ONCE = ("call.started", "call.answered", "call.ended", "call.missed")
_BUSY = ("USER_BUSY",)
_NO_ANSWER = ("NO_ANSWER", "NO_USER_RESPONSE", "USER_NOT_REGISTERED", "SUBSCRIBER_ABSENT")


def check(history: History) -> list[str]:
    """Everything that is wrong."""
    stored = history.stored
    found = call_problems(history.calls, stored, whole=False)
    return found + lost_cdrs({it.leg_id for it in history.of(Posted)}, stored)


def lost_cdrs(posted: Collection[str], stored: Stored) -> list[str]:
    """CDRs that were acknowledged although they are not stored."""
    kept = {it["leg_id"] for legs in stored.legs.values() for it in legs if it["from_cdr"]}
    return [f"the CDR of {it} was acknowledged and is lost" for it in sorted(set(posted) - kept)]


def call_problems(truth: Iterable[CallTruth], stored: Stored, *, whole: bool = True) -> list[str]:
    """Where summaries, legs and events differ from what happened; nothing if all is right.

    With `whole` nothing was missed: each call has exactly the events that it should have. Without,
    as after a crash, events may be missing.
    """
    found: list[str] = []
    calls = {call.call_id: call for call in truth}
    for call in calls.values():
        summaries = stored.summaries.get(call.call_id, [])
        if len(summaries) != 1:
            found.append(f"{name(call)}: {len(summaries)} summaries")
        for summary in summaries:
            found += _summary_problems(call, summary)
        ours = {leg["leg_id"] for leg in stored.legs.get(call.call_id, [])}
        theirs = {leg.uuid for leg in call.legs}
        if ours != theirs:
            found.append(f"{name(call)}: legs missing {theirs - ours}, too many {ours - theirs}")
        found += _event_problems(call, stored.events.get(call.call_id, []), whole)
    for unknown in stored.summaries.keys() - calls.keys():
        found.append(f"call {unknown} has a summary but did not happen")
    for unknown in stored.events.keys() - calls.keys():
        found.append(f"call {unknown} has events but did not happen")
    return found


def expected_result(call: CallTruth) -> str:
    """How the call's summary should put what became of it."""
    spoke = any(leg.answered for leg in call.legs if leg.uuid != call.call_id)
    if call.answered:
        left = any(proof.startswith(MAILBOX) for proof in call.proofs)
        return "voicemail" if left and not spoke else "answered"
    if call.cause == "ORIGINATOR_CANCEL":
        return "cancelled"
    tried = [leg.cause for leg in call.legs if leg.uuid != call.call_id]
    for cause in [*tried[-1:], call.cause]:
        if cause in _BUSY:
            return "busy"
        if cause in _NO_ANSWER:
            return "no_answer"
        if cause == "CALL_REJECTED":
            return "rejected"
    return "failed"


def expected_events(call: CallTruth) -> Counter[str]:
    """How many events of each type the call should have."""
    proofs = Counter(proof.partition(" ")[0] for proof in call.proofs)
    missed = expected_result(call) in ("no_answer", "cancelled", "voicemail")
    counts = Counter({"call.started": 1, "call.ended": 1})
    counts["call.answered"] = int(call.answered > 0)
    counts["call.missed"] = int(missed and call.direction != "outbound")
    counts["call.bridged"] = proofs["bridged"]
    counts["call.ringing"] = proofs["rang"]
    counts["call.dtmf"] = proofs["menu"] + sum(leg.pressed.count(KEY) for leg in call.legs)
    return +counts


def _summary_problems(call: CallTruth, summary: dict[str, Any]) -> list[str]:
    wanted = {
        "from_number": call.caller,
        "to_number": call.dialled,
        "result": expected_result(call),
        "hangup_cause": call.cause,
        "direction": call.direction,
    }
    wrong = {
        name: (summary[name], value) for name, value in wanted.items() if summary[name] != value
    }
    return [f"{name(call)}: summary has (is, should be) {wrong}"] if wrong else []


def _event_problems(call: CallTruth, events: list[dict[str, Any]], whole: bool) -> list[str]:
    counts = Counter(event["type"] for event in events)
    twice = [kind for kind in ONCE if counts[kind] > 1]
    if twice:
        return [f"{name(call)}: more than one {', '.join(twice)}"]
    counts.pop("voicemail.received", None)
    wanted = expected_events(call)
    if whole and counts != wanted:
        return [f"{name(call)}: events {dict(counts)}, should be {dict(wanted)}"]
    return []


def name(call: CallTruth) -> str:
    return f"call {call.call_id} ({call.scenario}, {call.cause}, {' > '.join(call.proofs)})"
