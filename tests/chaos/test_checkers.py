"""Each checker notices the violation that it is there for, and nothing in a history without one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import pytest

from nizam.sim.truth import CallTruth, LegTruth
from tests.chaos.checkers import CHECKERS, check
from tests.chaos.checkers.calls import call_problems
from tests.chaos.checkers.deliveries import delivery_problems
from tests.chaos.history import (
    Arrival,
    Backlog,
    Fault,
    History,
    Operation,
    Posted,
    Probe,
    Refusal,
    Sample,
    Setting,
    Trouble,
    read_history,
)

ACME, GLOBEX = "tenant-acme", "tenant-globex"
FIRST, SECOND = "11111111-0000-0000-0000-000000000001", "11111111-0000-0000-0000-000000000002"
STRANGER = "22222222-0000-0000-0000-000000000001"
BEGIN = 1_000.0
TYPES = ("call.started", "call.ringing", "call.answered", "call.bridged", "call.ended")
MOMENTS = (10.0, 11.0, 14.0, 14.1, 30.0)


def micro(seconds: float) -> int:
    return round((BEGIN + seconds) * 1_000_000)


def leg(uuid: str, direction: str) -> LegTruth:
    return LegTruth(
        uuid, direction, "internal", "1001", "1002", micro(10), micro(14), micro(30), "X"
    )


CALL = CallTruth(
    call_id=FIRST,
    scenario="answered",
    direction="internal",
    domain="acme.example.test",
    caller="1001",
    dialled="1002",
    created=micro(10),
    answered=micro(14),
    ended=micro(30),
    cause="NORMAL_CLEARING",
    legs=(leg(FIRST, "inbound"), leg(SECOND, "outbound")),
    proofs=("user accepted", "rang 1002", "bridged 1002"),
)


def event(kind: str, moment: float, **changes: Any) -> dict[str, Any]:
    row = {
        "id": f"evt_{kind}",
        "type": kind,
        "call_id": FIRST,
        "tenant_id": ACME,
        "occurred_at": micro(moment),
        "sequence": 1,
        "data": {},
    }
    return row | changes


def gap(begin: float, end: float) -> dict[str, Any]:
    begin_text, end_text = (
        datetime.fromtimestamp(BEGIN + it, UTC).isoformat() for it in (begin, end)
    )
    data = {"from": begin_text, "to": end_text}
    return event("node.gap", end, call_id=None, tenant_id=None, data=data)


def delivery(event_id: str, where: str, moment: float) -> dict[str, Any]:
    return {
        "event_id": event_id,
        "webhook_id": where,
        "tenant_id": ACME,
        "status": "succeeded",
        "attempt_count": 1,
        "last_error": None,
        "created_at": micro(moment),
        "url": f"http://127.0.0.1:1/{where}",
    }


def operation(action: Any, value: str | None, outcome: Any = "done", **changes: Any) -> Operation:
    made = Operation("c1", ACME, "3001", action, value, outcome, 200, BEGIN, BEGIN + 0.1)
    return attrs.evolve(made, **changes)


def tables() -> dict[str, list[dict[str, Any]]]:
    summary = {
        "call_id": FIRST,
        "tenant_id": ACME,
        "from_number": "1001",
        "to_number": "1002",
        "result": "answered",
        "hangup_cause": "NORMAL_CLEARING",
        "direction": "internal",
        "created_at": micro(30.1),
    }
    leg_row = {"call_id": FIRST, "tenant_id": ACME, "from_cdr": True}
    return {
        "events": [event(kind, it) for kind, it in zip(TYPES, MOMENTS, strict=True)],
        "summaries": [summary],
        "legs": [leg_row | {"leg_id": FIRST}, leg_row | {"leg_id": SECOND}],
        "deliveries": [
            delivery(f"evt_{kind}", where, it + 0.01)
            for kind, it in zip(TYPES, MOMENTS, strict=True)
            for where in ("a", "b")
        ],
    }


def good(*more: Any) -> History:
    """A history in which all is well, with `more` records in it."""
    history = History()
    history.add(
        Setting(
            seed=1,
            started=BEGIN,
            tenants={"acme.example.test": ACME, "globex.example.test": GLOBEX},
            endpoints={"a": (ACME, False), "b": (ACME, True), "c": (GLOBEX, False)},
        )
    )
    history.add(Fault("flush-redis", BEGIN + 50, BEGIN + 50, BEGIN + 50.1))
    for it in (
        operation("create", f"{ACME} one"),
        operation("read", f"{ACME} one"),
        operation("change", f"{ACME} two", "unknown"),
        operation("read", f"{ACME} one"),
        operation("final", f"{ACME} two"),
    ):
        history.add(it)
    for kind, moment in zip(TYPES, MOMENTS, strict=True):
        for where in ("a", "b"):
            history.add(arrival(kind, where, moment + 0.05))
    history.add(Sample(ACME, (FIRST,), BEGIN + 20, BEGIN + 20.1))
    history.add(Sample(ACME, (), BEGIN + 40, BEGIN + 40.1))
    history.add(Probe("xml", 200, BEGIN + 20, 0.01))
    history.add(Probe("api", 200, BEGIN + 20, 0.01))
    history.add(Posted(FIRST))
    history.add(CALL)
    history.add_tables(tables())
    for it in more:
        history.add(it)
    return history


def arrival(kind: str, where: str, moment: float, **changes: Any) -> Arrival:
    made = Arrival(where, f"evt_{kind}", ACME, kind, FIRST, "digest", BEGIN + moment)
    return attrs.evolve(made, **changes)


def without(kind: type[Any], condition: Callable[[Any], bool] = lambda _: True) -> History:
    history = good()
    history.records = [it for it in history.records if not (isinstance(it, kind) and condition(it))]
    return history


def with_row(table: str, index: int | None, **changes: Any) -> History:
    """A good history with one row changed, or without it if nothing is to be changed."""
    history = good()
    rows = history.tables[table]
    if index is None:
        rows.append(rows[0] | changes)
    elif changes:
        rows[index] = rows[index] | changes
    else:
        del rows[index]
    return history


def test_a_history_without_violations_passes_also_read_back_from_its_file(tmp_path: Path) -> None:
    history = good()
    assert check(history) == {}
    file = tmp_path / "history.jsonl"
    written = History(file)
    for record in history.records:
        written.add(record)
    written.add_tables(history.tables)
    written.close()
    with file.open("rb") as lines:
        again = read_history(lines)
    assert again.records == history.records
    assert again.tables == history.tables
    assert check(again) == {}


def with_late_summary(moment: float, *more: Any) -> History:
    history = good(*more)
    history.tables["summaries"][0]["created_at"] = micro(moment)
    return history


ENDED = TYPES.index("call.ended")

PLANTED: dict[str, tuple[str, Callable[[], History], str]] = {
    "a call without a summary": ("calls", lambda: with_row("summaries", 0), "0 summaries"),
    "two summaries": ("calls", lambda: with_row("summaries", None), "2 summaries"),
    "a wrong cause": (
        "calls",
        lambda: with_row("summaries", 0, hangup_cause="USER_BUSY"),
        "hangup_cause",
    ),
    "a wrong number": ("calls", lambda: with_row("summaries", 0, to_number="1003"), "to_number"),
    "a wrong result": ("calls", lambda: with_row("summaries", 0, result="failed"), "result"),
    "a leg too few": ("calls", lambda: with_row("legs", 1), "legs missing"),
    "a leg too many": ("calls", lambda: with_row("legs", None, leg_id="x"), "too many {'x'}"),
    "an acknowledged CDR that is lost": (
        "calls",
        lambda: with_row("legs", 0, from_cdr=False),
        f"the CDR of {FIRST} was acknowledged and is lost",
    ),
    "a summary of no call": (
        "calls",
        lambda: with_row("summaries", None, call_id=STRANGER),
        "has a summary but did not happen",
    ),
    "events of no call": (
        "calls",
        lambda: with_row("events", None, call_id=STRANGER, id="evt_x"),
        "has events but did not happen",
    ),
    "an event twice": (
        "calls",
        lambda: with_row("events", None, id="evt_x"),
        "more than one call.started",
    ),
    "a missing event outside every gap": (
        "gaps",
        lambda: with_row("events", 1),
        "lacks {'call.ringing': 1} outside every gap",
    ),
    "an event too many outside every gap": (
        "gaps",
        lambda: with_row("events", None, id="evt_x", type="call.bridged"),
        "has {'call.bridged': 1} too many",
    ),
    "a gap without a reason": (
        "gaps",
        lambda: with_row("events", None, **gap(12, 13)),
        "without a reason",
    ),
    "a webhook that did not come": (
        "deliveries",
        lambda: without(Arrival, lambda it: it.type == "call.ended" and it.endpoint == "a"),
        "evt_call.ended never came",
    ),
    "a webhook that waits": (
        "deliveries",
        lambda: with_row("deliveries", 0, status="pending"),
        "is pending",
    ),
    "an event that was promised to nobody": (
        "deliveries",
        lambda: with_row("deliveries", 0),
        "was not promised to a",
    ),
    "a webhook of an event that is not stored": (
        "deliveries",
        lambda: good(arrival("call.held", "a", 20)),
        "evt_call.held came but is stored nowhere",
    ),
    "a webhook that came more often than faults explain": (
        "deliveries",
        lambda: good(*(arrival("call.ended", "a", it) for it in (51, 52))),
        "came 3 times with 1 faults",
    ),
    "another content under the same id": (
        "deliveries",
        lambda: good(arrival("call.ended", "a", 51, digest="other")),
        "came with 2 contents",
    ),
    "a wrong signature": ("deliveries", lambda: good(Refusal("a", BEGIN)), "signed wrongly"),
    "an end before the beginning": (
        "order",
        lambda: with_row("events", 0, occurred_at=micro(31)),
        "call.ended before call.started",
    ),
    "something after the end": (
        "order",
        lambda: with_row("events", 3, occurred_at=micro(31)),
        "call.bridged after call.ended",
    ),
    "an ordered webhook overtaken by a later one": (
        "order",
        lambda: good_but_late("call.answered", "b", 31),
        "call.ended came 0.950 s before call.answered",
    ),
    "a summary that comes late": (
        "records",
        lambda: with_row("summaries", 0, created_at=micro(36)),
        "came 6.0 s after its end, 1.0 s late",
    ),
    "a summary that comes late after recovery": (
        "records",
        lambda: with_late_summary(46, Fault("cut-esl", BEGIN + 32, BEGIN + 39, BEGIN + 40)),
        "1.0 s late",
    ),
    "a summary that comes late although other events wait": (
        "records",
        lambda: with_late_summary(36, *(Backlog(400, BEGIN + it) for it in (29, 31, 33))),
        "1.0 s late",
    ),
    "a summary that comes long after a backlog": (
        "records",
        lambda: with_late_summary(41, *(Backlog(it, BEGIN + 35) for it in (501, 0))),
        "1.0 s late",
    ),
    "a ghost call": (
        "live",
        lambda: good(Sample(ACME, (FIRST,), BEGIN + 33, BEGIN + 33.1)),
        "is shown 3.0 s after its end",
    ),
    "a call that never was": (
        "live",
        lambda: good(Sample(ACME, (FIRST, STRANGER), BEGIN + 25, BEGIN + 25.1)),
        "is shown and never was",
    ),
    "a call that is not shown": (
        "live",
        lambda: good(Sample(ACME, (), BEGIN + 25, BEGIN + 25.1)),
        "is under way and not shown",
    ),
    "a call that does not route": (
        "probes",
        lambda: good(Probe("xml", 503, BEGIN + 50, 0.1)),
        "got 503",
    ),
    "a call that waits": ("probes", lambda: good(Probe("xml", 200, BEGIN + 50, 3.0)), "waited 3"),
    "a refusal without a reason": (
        "probes",
        lambda: good(Probe("api", 503, BEGIN + 20, 0.1)),
        "answered 503",
    ),
    "a refusal that comes late": (
        "probes",
        lambda: good(
            Fault("freeze-postgres", BEGIN + 60, BEGIN + 70, BEGIN + 71),
            Probe("api", 503, BEGIN + 62, 3.0),
        ),
        "took 3.00 s",
    ),
    "an API that is not well again": (
        "probes",
        lambda: good(
            Fault("freeze-postgres", BEGIN + 60, BEGIN + 70, BEGIN + 71),
            Probe("api", 503, BEGIN + 73.5, 0.1),
        ),
        "answered 503",
    ),
    "a webhook told to another tenant": (
        "tenants",
        lambda: good(arrival("call.ended", "c", 31)),
        f"c was told evt_call.ended of {ACME}",
    ),
    "a call shown to another tenant": (
        "tenants",
        lambda: good(Sample(GLOBEX, (FIRST,), BEGIN + 20, BEGIN + 20.1)),
        f"{GLOBEX} was shown call {FIRST}",
    ),
    "an object shown to another tenant": (
        "tenants",
        lambda: good(operation("read", f"{ACME} one", tenant_id=GLOBEX)),
        f"{GLOBEX} was shown '{ACME} one'",
    ),
    "a summary of another tenant": (
        "tenants",
        lambda: with_row("summaries", 0, tenant_id=GLOBEX),
        f"belongs to {GLOBEX}",
    ),
    "an event of another tenant": (
        "tenants",
        lambda: with_row("events", 0, tenant_id=GLOBEX),
        f"call.started of call {FIRST} belongs to {GLOBEX}",
    ),
    "an acknowledged write that is lost": (
        "writes",
        lambda: good(
            operation("create", f"{ACME} x", object="3002"),
            operation("change", f"{ACME} y", object="3002"),
            operation("final", f"{ACME} x", object="3002"),
        ),
        f"ends as '{ACME} x', should be '{ACME} y'",
    ),
    "an acknowledged object that is gone": (
        "writes",
        lambda: good(
            operation("create", f"{ACME} x", object="3002"),
            operation("final", None, object="3002"),
        ),
        "ends as None",
    ),
    "an object that was deleted and is there": (
        "writes",
        lambda: good(
            operation("create", f"{ACME} x", object="3002"),
            operation("delete", None, object="3002"),
            operation("final", f"{ACME} x", object="3002"),
        ),
        "should be nothing",
    ),
    "a read that is older than the own write": (
        "writes",
        lambda: good(
            operation("create", f"{ACME} x", object="3002"),
            operation("change", f"{ACME} y", object="3002"),
            operation("read", f"{ACME} x", object="3002"),
        ),
        f"reads '{ACME} x'",
    ),
    "a repeated create that made two": (
        "writes",
        lambda: good(
            operation("create", f"{ACME} x", "unknown", object="3002"),
            operation("create", f"{ACME} x", object="3002"),
            operation("final", f"{ACME} x", object="3002"),
            operation("final", f"{ACME} x", object="3002"),
        ),
        "is there 2 times",
    ),
    "a repeated create that was refused": (
        "writes",
        lambda: good(
            operation("create", f"{ACME} x", "unknown", object="3002"),
            operation("create", f"{ACME} x", "refused", object="3002", status=409),
        ),
        "was answered 409",
    ),
    "a program that ended": ("trouble", lambda: good(Trouble("it ended", BEGIN)), "it ended"),
}


def good_but_late(kind: str, where: str, moment: float) -> History:
    history = without(Arrival, lambda it: it.type == kind and it.endpoint == where)
    history.add(arrival(kind, where, moment))
    return history


@pytest.mark.parametrize("violation", PLANTED)
def test_each_planted_violation_is_noticed(violation: str) -> None:
    checker, plant, words = PLANTED[violation]
    found = CHECKERS[checker](plant())
    assert words in "\n".join(found), found


def test_every_checker_has_a_planted_violation() -> None:
    assert {checker for checker, _, _ in PLANTED.values()} == CHECKERS.keys()


def _stored_late() -> History:
    history = good_but_late("call.answered", "b", 31)
    for row in history.tables["deliveries"]:
        if row["event_id"] == "evt_call.answered":
            row["created_at"] = micro(30.9)
    return history


def _missing_in_gap() -> History:
    history = good(Fault("cut-esl", BEGIN + 10.5, BEGIN + 12, BEGIN + 13))
    ringing = history.tables["events"].pop(1)
    history.tables["deliveries"] = [
        it for it in history.tables["deliveries"] if it["event_id"] != ringing["id"]
    ]
    history.records = [
        it
        for it in history.records
        if not (isinstance(it, Arrival) and it.event_id == ringing["id"])
    ]
    history.tables["events"].append(gap(10.4, 12.5))
    return history


EXCUSED: dict[str, Callable[[], History]] = {
    "a webhook again after a fault": lambda: good(arrival("call.ended", "a", 51)),
    "an event that was stored late cannot be overtaken": _stored_late,
    "ghosts within five seconds of a fault": lambda: good(
        Fault("cut-esl", BEGIN + 31, BEGIN + 32, BEGIN + 33),
        Sample(ACME, (FIRST,), BEGIN + 37, BEGIN + 37.1),
    ),
    "a summary that waits for a backlog": lambda: with_late_summary(
        44, *(Backlog(count, BEGIN + it) for it, count in ((29, 0), (35, 501), (40, 0)))
    ),
    "events missing within a gap that a fault explains": _missing_in_gap,
    "no answer from an instance that is killed": lambda: good(
        Fault("kill-daemon", BEGIN + 60, BEGIN + 61, BEGIN + 62),
        Probe("xml", 0, BEGIN + 60.5, 0.1),
        Probe("api", 0, BEGIN + 60.5, 0.1),
    ),
    "the API refuses while PostgreSQL is away": lambda: good(
        Fault("freeze-postgres", BEGIN + 60, BEGIN + 70, BEGIN + 71),
        Probe("api", 503, BEGIN + 65, 1.2),
        Probe("xml", 200, BEGIN + 65, 0.01),
    ),
    "a write without an answer that was not done": lambda: good(
        operation("create", f"{ACME} x", "unknown", object="3002"),
        operation("final", None, object="3002"),
    ),
}


@pytest.mark.parametrize("excuse", EXCUSED)
def test_what_faults_may_cause_is_no_violation(excuse: str) -> None:
    assert check(EXCUSED[excuse]()) == {}


def test_where_nothing_was_missed_no_event_and_no_repetition_is_excused() -> None:
    history = good(arrival("call.ended", "a", 51))
    assert call_problems([CALL], history.stored, whole=True) == []
    assert call_problems([CALL], with_row("events", 1).stored, whole=True)
    (again,) = delivery_problems(history.stored, history.of(Arrival))
    assert again == "evt_call.ended came 2 times"
