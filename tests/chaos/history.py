"""What was seen during a run, one JSON object a line: all that the checkers know.

Times are seconds since the epoch. A history can be written to a file while the run goes on and
read again later, so that a checker which is new can judge runs that are old.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, ClassVar, Literal, TypeVar

import attrs
import orjson

from nizam.sim.truth import CallTruth, LegTruth
from tests.chaos.stored import Row, Stored, stored

Outcome = Literal["done", "refused", "unknown"]
"""Of an operation: acknowledged, answered with an error that says nothing was done, or neither:
no answer, or one of 500 and above."""


def _endpoints(them: Mapping[str, Sequence[Any]]) -> dict[str, tuple[str, bool]]:
    return {name: (tenant_id, is_ordered) for name, (tenant_id, is_ordered) in them.items()}


def _strings(them: Iterable[str]) -> tuple[str, ...]:
    return tuple(them)


@attrs.frozen
class Setting:
    """What the run was made of. `tenants` maps SIP domains and DIDs to tenant ids, `endpoints`
    the last segment of each webhook's address to its tenant and to whether it is ordered; they are
    told of every event but those of `untold` types."""

    kind: ClassVar[str] = "setting"
    seed: int
    started: float
    tenants: Mapping[str, str]
    endpoints: Mapping[str, tuple[str, bool]] = attrs.field(converter=_endpoints)
    instances: int = 1
    untold: tuple[str, ...] = attrs.field(default=(), converter=_strings)


@attrs.frozen
class Fault:
    """One fault: injected, taken back, and when everything was seen to be connected and ready
    again. `name` is one of `schedule.FAULTS`."""

    kind: ClassVar[str] = "fault"
    name: str
    began: float
    ended: float
    recovered: float


@attrs.frozen
class Operation:
    """One request of a client to the API about one object, which only this client changes.

    `value` is what was written, or what a read found; None is that there is no such object.
    """

    kind: ClassVar[str] = "operation"
    client: str
    tenant_id: str
    object: str
    action: Literal["create", "change", "delete", "read", "final"]
    value: str | None
    outcome: Outcome
    status: int
    began: float
    ended: float


@attrs.frozen
class Arrival:
    """One coming of a webhook whose signature was right; `digest` is of its body."""

    kind: ClassVar[str] = "arrival"
    endpoint: str
    event_id: str
    tenant_id: str | None
    type: str
    call_id: str | None
    digest: str
    at: float


@attrs.frozen
class Refusal:
    """A webhook with a wrong signature."""

    kind: ClassVar[str] = "refusal"
    endpoint: str
    at: float


@attrs.frozen
class Sample:
    """What the API showed as the calls under way of one tenant."""

    kind: ClassVar[str] = "sample"
    tenant_id: str
    shown: tuple[str, ...] = attrs.field(converter=_strings)
    began: float = 0.0
    ended: float = 0.0


@attrs.frozen
class Probe:
    """A question of FreeSWITCH's (`xml`) or a request to the API (`api`); status 0 is no answer.

    `lag` is for how long of that time whoever asked was held up itself, as by a busy machine.
    """

    kind: ClassVar[str] = "probe"
    what: str
    status: int
    began: float
    seconds: float
    lag: float = 0.0


@attrs.frozen
class Posted:
    """A CDR that was answered 200."""

    kind: ClassVar[str] = "posted"
    leg_id: str


@attrs.frozen
class Load:
    """How many processes wanted to run for each core (the load average of the last minute)."""

    kind: ClassVar[str] = "load"
    per_core: float
    at: float


@attrs.frozen
class Backlog:
    """How many events and records wait to be stored (`nizam_events_waiting`)."""

    kind: ClassVar[str] = "backlog"
    items: int
    at: float


@attrs.frozen
class Trouble:
    """Something that no fault excuses, such as a program that ended."""

    kind: ClassVar[str] = "trouble"
    text: str
    at: float


Record = (
    Setting
    | Fault
    | Operation
    | Arrival
    | Refusal
    | Sample
    | Probe
    | Posted
    | Load
    | Backlog
    | Trouble
    | CallTruth
)
R = TypeVar("R")
_KINDS: Mapping[str, type[Any]] = {
    it.kind: it
    for it in (
        Setting,
        Fault,
        Operation,
        Arrival,
        Refusal,
        Sample,
        Probe,
        Posted,
        Load,
        Backlog,
        Trouble,
    )
}


class History:
    """Takes records, in memory and in `file` if there is one."""

    def __init__(self, file: Path | None = None) -> None:
        self.records: list[Record] = []
        self.tables: dict[str, list[Row]] = {}
        self._file: IO[bytes] | None = None if file is None else file.open("wb")

    def add(self, record: Record) -> None:
        """Note one thing that was seen."""
        self.records.append(record)
        self._write(encoded(record))

    def add_tables(self, tables: Mapping[str, list[Row]]) -> None:
        """Note what the database has at the end."""
        self.tables = dict(tables)
        for name, rows in tables.items():
            for row in rows:
                self._write(orjson.dumps({"kind": "row", "table": name, "row": row}))

    def of(self, kind: type[R]) -> list[R]:
        """The records of one kind, in the order in which they were noted."""
        return [it for it in self.records if isinstance(it, kind)]

    @property
    def setting(self) -> Setting:
        """What the run was made of."""
        return self.of(Setting)[0]

    @property
    def arrivals(self) -> list[Arrival]:
        """All webhooks that came."""
        return self.of(Arrival)

    @property
    def operations(self) -> list[Operation]:
        """All that clients did, without what was looked up at the end."""
        return [it for it in self.of(Operation) if it.action != "final"]

    @property
    def patience(self) -> float:
        """How many times longer than on a machine with nothing else to do things may take."""
        return max([1.0, *(it.per_core for it in self.of(Load))])

    @property
    def calls(self) -> list[CallTruth]:
        """What the switch knows of each call."""
        return self.of(CallTruth)

    @property
    def stored(self) -> Stored:
        """What the database has at the end."""
        return stored(self.tables)

    def close(self) -> None:
        """Write to the file no more."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write(self, line: bytes) -> None:
        if self._file is not None:
            self._file.write(line + b"\n")


def read_history(lines: Iterable[bytes]) -> History:
    """The history that was written to a file. Raises ValueError for what is none."""
    history = History()
    tables: dict[str, list[Row]] = {}
    for line in lines:
        document = orjson.loads(line)
        kind = document.pop("kind", None)
        if kind == "row":
            tables.setdefault(document["table"], []).append(document["row"])
        elif kind == "call":
            history.add(_call(document))
        elif kind in _KINDS:
            history.add(_KINDS[kind](**document))
        else:
            raise ValueError(f"a line of kind {kind!r} belongs to no history")
    history.add_tables(tables)
    return history


def encoded(record: Record) -> bytes:
    """The line of one record."""
    if isinstance(record, CallTruth):
        document = attrs.asdict(record, filter=_fits)
        return orjson.dumps({"kind": "call", **document})
    return orjson.dumps({"kind": record.kind, **attrs.asdict(record)})


def _fits(field: Any, _value: Any) -> bool:
    return field.name not in ("invite", "variables", "heard")


def _call(document: dict[str, Any]) -> CallTruth:
    legs = tuple(LegTruth(**it) for it in document.pop("legs"))
    return CallTruth(**document | {"legs": legs, "proofs": tuple(document["proofs"])})


def overlapping(faults: Iterable[Fault], began: float, ended: float) -> Iterator[Fault]:
    """The faults that were there, or not recovered from, at some moment of this time."""
    return (it for it in faults if it.began <= ended and it.recovered >= began)
