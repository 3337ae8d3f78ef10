"""Comparing what the switch did with what the daemon stored and told."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, TypeVar

import attrs
import psycopg2

from nizam.sim.truth import CallTruth
from tests.daemon.receiver import WebhookReceiver

T = TypeVar("T")

ONCE = ("call.started", "call.answered", "call.ended", "call.missed")
_BUSY = ("USER_BUSY",)
_NO_ANSWER = ("NO_ANSWER", "NO_USER_RESPONSE", "USER_NOT_REGISTERED", "SUBSCRIBER_ABSENT")


@attrs.frozen
class Stored:
    """What PostgreSQL has: rows of calls as dicts, by call id where that is what they are of."""

    events: Mapping[str, list[dict[str, Any]]]
    event_ids: frozenset[str]
    summaries: Mapping[str, list[dict[str, Any]]]
    legs: Mapping[str, list[dict[str, Any]]]
    deliveries: tuple[dict[str, Any], ...]
    node_events: tuple[dict[str, Any], ...]

    @property
    def promised(self) -> dict[str, str]:
        """The status of each delivery, by its event's id."""
        return {it["event_id"]: it["status"] for it in self.deliveries}

    def only(self, call_ids: Collection[str]) -> Stored:
        """The same without any other calls."""

        def kept(rows: Mapping[str, T]) -> dict[str, T]:
            return {call_id: row for call_id, row in rows.items() if call_id in call_ids}

        return attrs.evolve(
            self, events=kept(self.events), summaries=kept(self.summaries), legs=kept(self.legs)
        )


def read(dsn: str) -> Stored:
    """Everything about calls that is in the database."""
    connection = psycopg2.connect(dsn, connect_timeout=5)
    try:
        with connection.cursor() as cursor:

            def rows(sql: str) -> list[dict[str, Any]]:
                cursor.execute(sql)
                names = [it.name for it in cursor.description or ()]
                return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

            events = rows(
                "select id, type, call_id::text, tenant_id, occurred_at, data from call_events"
            )
            summaries = rows("select *, call_id::text from cdrs")
            legs = rows("select *, leg_id::text, call_id::text from cdr_legs")
            deliveries = rows(
                "select event_id, status, attempt_count, last_error from webhook_deliveries"
            )
    finally:
        connection.close()
    return Stored(
        _by_call(it for it in events if it["call_id"] is not None),
        frozenset(it["id"] for it in events),
        _by_call(summaries),
        _by_call(legs),
        tuple(deliveries),
        tuple(it for it in events if it["type"].startswith("node.")),
    )


def problems(
    truth: Iterable[CallTruth], stored: Stored, receiver: WebhookReceiver, *, whole: bool = True
) -> list[str]:
    """Where the daemon's account differs from what happened; nothing if it is right.

    With `whole` nothing was missed: each call has exactly the events that it should have, and
    each webhook came exactly once. Without, as after a crash, events may be missing and webhooks
    may have come again under the same id.
    """
    found = call_problems(truth, stored, whole=whole)
    return found + delivery_problems(stored, receiver, whole=whole)


def call_problems(truth: Iterable[CallTruth], stored: Stored, *, whole: bool = True) -> list[str]:
    """The same of summaries, legs and events alone."""
    found: list[str] = []
    calls = {call.call_id: call for call in truth}
    for call in calls.values():
        summaries = stored.summaries.get(call.call_id, [])
        if len(summaries) != 1:
            found.append(f"{_name(call)}: {len(summaries)} summaries")
        for summary in summaries:
            found += _summary_problems(call, summary)
        ours = {leg["leg_id"] for leg in stored.legs.get(call.call_id, [])}
        theirs = {leg.uuid for leg in call.legs}
        if ours != theirs:
            found.append(f"{_name(call)}: legs missing {theirs - ours}, too many {ours - theirs}")
        found += _event_problems(call, stored.events.get(call.call_id, []), whole)
    for unknown in stored.summaries.keys() - calls.keys():
        found.append(f"call {unknown} has a summary but did not happen")
    return found


def delivery_problems(
    stored: Stored, receiver: WebhookReceiver, *, whole: bool = True
) -> list[str]:
    """Webhooks that did not come, came twice, were not promised, or are not known to have come."""
    found = []
    if receiver.refused:
        found.append(f"{receiver.refused} webhooks were signed wrongly")
    for row in stored.deliveries:
        if row["status"] != "succeeded":
            found.append(f"delivery of {row['event_id']} is {row['status']}: {row['last_error']}")
        if row["event_id"] not in receiver.counts:
            found.append(f"{row['event_id']} never came")
    promised = stored.promised
    for call_id, events in stored.events.items():
        for event in events:
            if event["tenant_id"] is not None and event["id"] not in promised:
                found.append(f"call {call_id}: {event['type']} was promised to nobody")
    for identifier in receiver.counts.keys() - promised.keys():
        found.append(f"{identifier} came but is stored nowhere")
    if whole:
        found += [f"{it} came {count} times" for it, count in receiver.counts.items() if count > 1]
    return found


def unmarked(truth: Iterable[CallTruth], stored: Stored) -> list[str]:
    """Calls that lack events although no node.gap says that some may be missing while they ran."""
    gaps = [
        (_moment(event["data"]["from"]), _moment(event["data"]["to"]))
        for event in stored.node_events
        if event["type"] == "node.gap"
    ]
    found = []
    for call in truth:
        counts = Counter(event["type"] for event in stored.events.get(call.call_id, []))
        missing = expected_events(call) - counts
        began, ended = call.created / 1e6, max(leg.ended for leg in call.legs) / 1e6
        if missing and not any(low <= ended and began <= high for low, high in gaps):
            found.append(f"{_name(call)}: lacks {dict(missing)} outside every gap")
    return found


def expected_result(call: CallTruth) -> str:
    """How the call's summary should put what became of it."""
    spoke = any(leg.answered for leg in call.legs if leg.uuid != call.call_id)
    if call.answered:
        left = any(proof.startswith("voicemail ") for proof in call.proofs)
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
    counts["call.dtmf"] = proofs["menu"]
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
    return [f"{_name(call)}: summary has (is, should be) {wrong}"] if wrong else []


def _event_problems(call: CallTruth, events: list[dict[str, Any]], whole: bool) -> list[str]:
    counts = Counter(event["type"] for event in events)
    twice = [kind for kind in ONCE if counts[kind] > 1]
    if twice:
        return [f"{_name(call)}: more than one {', '.join(twice)}"]
    counts.pop("voicemail.received", None)
    wanted = expected_events(call)
    if whole and counts != wanted:
        return [f"{_name(call)}: events {dict(counts)}, should be {dict(wanted)}"]
    return []


def _moment(text: str | None) -> float:
    return datetime.fromisoformat(text).timestamp() if text else 0.0


def _name(call: CallTruth) -> str:
    return f"call {call.call_id} ({call.scenario}, {call.cause}, {' > '.join(call.proofs)})"


def _by_call(rows: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        found[row["call_id"]].append(row)
    return found
