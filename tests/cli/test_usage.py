"""Whether the ledger agrees with the CDRs is a command, which finds every kind of difference."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import psycopg2
import pytest
from click.testing import CliRunner, Result

from nizam.cli.root import commands
from nizam.client import Client
from tests.cli.conftest import Run
from tests.client.conftest import threaded
from tests.database_settings import database_settings

TENANT = UUID(int=7)
_CALL = """
insert into cdrs (call_id, started_at, ended_at, tenant_id, direction, country, gateway,
    duration_ms, billable_ms, result, hangup_by, source)
values (%(call)s, '2026-11-20Z', '2026-11-20T00:01Z', %(tenant)s, 'outbound', 'DE', 'one', 60000,
    59999, 'answered', 'caller', 'both')
"""
_BOOK = """
insert into usage_entries (call_id, at, tenant_id, kind, direction, country, gateway, calls,
    duration_ms, billable_ms)
values (%(call)s, '2026-11-20Z', %(tenant)s, 'call', %(direction)s, 'DE', 'one', %(calls)s,
    60000 * %(calls)s, %(billable)s)
"""


def injected(database: str, call: int, *, cdr: bool = True, booked: Any = ()) -> str:
    """A call, with what the ledger says of it: (direction, calls, billable) each."""
    call_id = str(UUID(int=call))
    with psycopg2.connect(database) as connection, connection.cursor() as cursor:
        args = {"call": call_id, "tenant": str(TENANT)}
        if cdr:
            cursor.execute(_CALL, args)
        for direction, calls, billable in booked:
            more = {"direction": direction, "calls": calls, "billable": billable}
            cursor.execute(_BOOK, args | more)
    return call_id


def reconcile(database: str, *more: str) -> Result:
    environment = database_settings(database)
    days = ("--first", "2026-11-20", "--last", "2026-11-20")
    return CliRunner().invoke(commands, ["usage", "reconcile", *days, *more], env=environment)


RIGHT = ("outbound", 1, 59_999)


def test_a_ledger_that_agrees(database: str) -> None:
    injected(database, 1, booked=[RIGHT])
    # Booked elsewhere first and taken back, and in two parts, is right too.
    injected(
        database,
        2,
        booked=[
            ("internal", 1, 7),
            ("internal", -1, -7),
            ("outbound", 1, 9),
            ("outbound", 0, 59990),
        ],
    )
    done = reconcile(database)
    assert done.exit_code == 0, done.output
    assert "2 calls, 119.998 s in CDRs, 119.998 s in the ledger: they agree" in done.output


@pytest.mark.parametrize(
    ("cdr", "booked", "reason"),
    [
        (True, [], "not in the ledger"),
        (False, [RIGHT], "not among the CDRs"),
        (True, [("outbound", 1, 59_998)], "other billable_ms"),
        (True, [("outbound", 2, 59_999)], "other calls, duration_ms"),
        (True, [("inbound", 1, 59_999)], "other direction"),
        (True, [RIGHT, ("inbound", 1, 3)], "there more than once"),
    ],
)
def test_every_difference_is_found(database: str, cdr: bool, booked: Any, reason: str) -> None:
    injected(database, 1, booked=[RIGHT])
    wrong = injected(database, 2, cdr=cdr, booked=booked)
    done = reconcile(database, "--json")
    found = json.loads(done.output)
    assert (done.exit_code, found["agree"], found["differences"]) == (1, False, 1)
    assert [(it["call_id"], it["reason"]) for it in found["shown"]] == [(wrong, reason)]
    text = reconcile(database)
    assert (text.exit_code, "1 differ" in text.output) == (1, True)


def test_what_cannot_be_compared(database: str) -> None:
    assert reconcile(database, "--tenant", "nobody").exit_code == 2
    assert reconcile(database, "--first", "2026-11-21").exit_code == 2
    assert reconcile("postgresql://u:p@127.0.0.1:1/x").exit_code == 3


@threaded
def test_use_is_shown(run: Run, api: Client, database: str) -> None:
    made = api.tenants.create(name="Acme", slug="acme", domain="acme.example.test")
    with psycopg2.connect(database) as connection, connection.cursor() as cursor:
        args = {"call": str(UUID(int=1)), "tenant": str(made.id), "direction": "outbound"}
        cursor.execute(_BOOK, args | {"calls": 1, "billable": 90_000})
    days = ("--first", "2026-11-19", "--last", "2026-11-21", "--tenant", "acme")
    shown = run("usage", "show", *days, "--by", "gateway").stdout.splitlines()
    assert shown[1].split() == ["2026-11-20", "1", "0.00", "1.50", "0.00", "0", "0", "0"]
    assert shown[-1].split() == ["one", "1", "1.50"]
    as_json = json.loads(run("usage", "show", *days, "--json").stdout)
    assert as_json["totals"]["outbound"]["billable_ms"] == 90_000
