"""Every list of the API with each of its orders and filters, and what PostgreSQL does for it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, cast
from uuid import UUID, uuid5

import attrs
from twisted.internet.defer import ensureDeferred

from nizam.model.registry import resources
from nizam.model.resource import Resource
from nizam.store import audit_list, cdr_history, history, queries, recordings, voicemail
from nizam.store.listing import Field, Filter, Kind, Listing, Page
from nizam.store.pool import Pool, scope_sql
from nizam.store.revisions import REVISION_FIELDS, list_revisions

SPACE = UUID("01937a5e-0000-7000-8000-00000000c0de")
TENANT, WEBHOOK, GATEWAY, OBJECT = (uuid5(SPACE, it) for it in ("tenant-1", "webhook", "gw", "obj"))
FEW = 5_000
_PLACES: Mapping[Kind, Any] = {
    "text": "+905551000500",
    "integer": 60_000,
    "uuid": OBJECT,
    "boolean": True,
}

_TYPES = {
    "call-events": "call.ended",
    "registration-events": "registration.created",
    "gateway-states": "gateway.down",
}
# What some rows have; of a hang-up cause one row in 50,000.
_VALUES: Mapping[str, Any] = {
    "direction": "inbound",
    "result": "missed",
    "hangup_cause": "USER_BUSY",
    "hangup_by": "caller",
    "gateway": "gw-1",
    "node": "fs1",
    "source": "events",
    "country": "TR",
    "did": "+902121000003",
    "user": "1042",
    "status": "dead",
    "event_type": "call.ended",
    "state": "available",
    "storage": "local",
    "actor_type": "api_key",
    "actor_name": "key 3",
    "action": "created",
    "resource_type": "extension",
    "response_status": 200,
}

ListOf = Callable[[Any, UUID, Listing], Awaitable[Page]]


@attrs.frozen
class List:
    """A list of the API: its fields, the order it has unless told, and what reads it."""

    name: str
    fields: Mapping[str, Field]
    sort: str
    read: ListOf
    id_kind: Kind = "uuid"
    bounded: bool = False
    """Whether a tenant's quotas say how many there are at most, so that its own may be sorted."""


@attrs.frozen
class Query:
    """One page of a list as SQL; `what` says which."""

    what: str
    sql: str
    args: Any


def lists() -> Iterator[List]:
    """All that grow with what happens, and all objects."""
    yield List("cdrs", cdr_history.CDR_FIELDS, "-started_at", cdr_history.list_cdrs)
    events = history.CALL_EVENT_FIELDS
    yield List("call-events", events, "-occurred_at", history.list_call_events, "text")
    yield List(
        "registration-events",
        history.REGISTRATION_EVENT_FIELDS,
        "-occurred_at",
        history.list_registration_events,
        "text",
    )
    yield List(
        "gateway-states",
        history.GATEWAY_STATE_FIELDS,
        "-occurred_at",
        lambda pool, tenant, it: history.list_gateway_states(pool, tenant, GATEWAY, it),
        "text",
    )
    yield List(
        "webhook-deliveries",
        history.DELIVERY_FIELDS,
        "-created_at",
        lambda pool, tenant, it: history.list_deliveries(pool, tenant, WEBHOOK, it),
    )
    yield List(
        "webhook-attempts",
        history.ATTEMPT_FIELDS,
        "-started_at",
        lambda pool, tenant, it: history.list_attempts(pool, tenant, WEBHOOK, it),
        "integer",
    )
    fields = recordings.RECORDING_FIELDS
    yield List("recordings", fields, "-started_at", recordings.list_recordings)
    yield List(
        "recording-receipts",
        recordings.RECEIPT_FIELDS,
        "-deleted_at",
        recordings.list_recording_receipts,
    )
    fields = voicemail.MESSAGE_FIELDS
    yield List("voicemail-messages", fields, "-received_at", voicemail.list_messages)
    yield List(
        "voicemail-receipts", voicemail.RECEIPT_FIELDS, "-deleted_at", voicemail.list_receipts
    )
    yield List("audit-logs", audit_list.AUDIT_FIELDS, "-occurred_at", audit_list.list_audit_logs)
    yield List("revisions", REVISION_FIELDS, "-revision", list_revisions, "integer")
    for it in resources().values():
        if it.scope == "tenant":
            yield List(
                it.path,
                queries.listing_fields(it),
                "-created_at",
                _objects(it),
                bounded=True,
            )


def _objects(of: Resource) -> ListOf:
    return lambda pool, tenant, listing: queries.page(pool, of, tenant, listing)


class _Recorder:
    """Takes what would be asked of a pool."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []

    async def tenant_query(self, tenant_id: UUID, sql: str, args: Any = ()) -> list[Any]:
        self.asked.append((sql, args))
        return []


def queries_of(it: List, now: str) -> Iterator[Query]:
    """Page one and a deep page in each order, and each filter in the usual order. `now` is a time
    in the middle of the rows."""
    places = {**_PLACES, "time": now}
    last: Any = {"uuid": OBJECT, "integer": 5, "text": "evt_5"}[it.id_kind]
    for name, field in it.fields.items():
        if field.sortable:
            for descending in (True, False):
                direction = "falling" if descending else "rising"
                for after in (None, (places[field.kind], last)):
                    listing = Listing(50, name, descending, (), None, after)
                    where = "page one" if after is None else "deep page"
                    yield _query(it, f"{it.name} by {name} {direction}, {where}", listing)
    by = it.sort.removeprefix("-")
    for name, field in it.fields.items():
        value = _TYPES.get(it.name) if name == "type" else _VALUES.get(name, places[field.kind])
        wanted = [Filter(name, "eq", value)]
        if field.kind == "time":
            wanted = [Filter(name, "gte", now), Filter(name, "lt", f"{now[:8]}20T00:00:00Z")]
        listing = Listing(50, by, it.sort.startswith("-"), tuple(wanted))
        yield _query(it, f"{it.name} where {name}", listing)


def _query(it: List, what: str, listing: Listing) -> Query:
    recorder = _Recorder()
    ensureDeferred(cast(Any, it.read(cast(Pool, recorder), TENANT, listing)))
    ((sql, args),) = recorder.asked
    return Query(what, sql, args)


# -- what PostgreSQL does ------------------------------------------------------------------------


@attrs.frozen
class Plan:
    """How it reads a page; milliseconds and rows looked at are there when it was run."""

    nodes: tuple[Mapping[str, Any], ...]
    milliseconds: float

    @property
    def whole(self) -> list[str]:
        """What is read from its beginning to its end, or sorted as a whole, for one page. Where it
        was run, a few rows may be."""
        return [
            f"{it['Node Type']} {it.get('Relation Name', it.get('Sort Key', ''))}"
            for it in self.nodes
            if it["Node Type"] in ("Seq Scan", "Sort") and _rows(it) > FEW
        ]

    @property
    def partitions(self) -> set[str]:
        """The tables that it may look into."""
        return {str(it["Relation Name"]) for it in self.nodes if "Relation Name" in it}

    @property
    def indexes(self) -> set[str]:
        """The indexes that it uses, without the month of a partition."""
        names = (str(it["Index Name"]) for it in self.nodes if "Index Name" in it)
        return {re.sub(r"_\d{4}_\d{2}|_default", "", it) for it in names}

    @property
    def looked_at(self) -> int:
        """How many rows were read, those included that did not fit."""
        return int(sum(_rows(it) for it in self.nodes if "Scan" in it["Node Type"]))


def _rows(node: Mapping[str, Any]) -> float:
    """How many it has read, or sorted; infinitely many where it was not run."""
    if "Actual Loops" not in node:
        return math.inf
    removed = node.get("Rows Removed by Filter", 0)
    return float((node["Actual Rows"] + removed) * node["Actual Loops"])


def plan_of(cursor: Any, query: Query, *, run: bool) -> Plan:
    """The plan, for the tenant's role under row-level security; with `run`, as it went."""
    how = "analyze, buffers, format json" if run else "format json"
    cursor.execute(scope_sql(TENANT))
    cursor.execute(f"explain ({how}) {query.sql}", query.args or None)
    (found,) = cursor.fetchone()[0]
    cursor.execute("rollback")
    nodes = tuple(_flat(found["Plan"]))
    return Plan(nodes, found.get("Execution Time", 0.0))


def _flat(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield node
    for it in node.get("Plans", ()):
        yield from _flat(it)


def shown(plan: Plan) -> str:
    """For people."""
    return json.dumps({"ms": round(plan.milliseconds, 2), "indexes": sorted(plan.indexes)})
