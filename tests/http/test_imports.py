"""A CSV file of extensions or DIDs is imported as a whole, or not at all and with all reasons."""

from __future__ import annotations

from time import thread_time
from typing import Any

import pytest
from twisted.internet.task import LoopingCall

from nizam.http.imports import EXAMPLES
from nizam.model.registry import resource
from nizam.slices import at_once
from nizam.tables.read import MAX_BYTES, read_table
from tests.http.conftest import Answer, Server

CSV = "text/csv"
TWO = "number,display_name\r\n1001,Ada\r\n1002,Grace\r\n"


async def _import(
    server: Server,
    tenant: str,
    text: str | bytes,
    query: str = "",
    kind: str = "extensions",
    **more: Any,
) -> Answer:
    raw = text if isinstance(text, bytes) else text.encode()
    more.setdefault("Content_Type", CSV)
    return await server.request("POST", f"{tenant}/{kind}/import{query}", raw=raw, **more)


async def _extensions(server: Server, tenant: str) -> dict[str, Any]:
    answer = await server.request("GET", f"{tenant}/extensions?limit=200&sort=number")
    return {it["number"]: it for it in answer.json["data"]}


async def test_extensions_are_made_with_passwords_that_are_shown_once(server: Server) -> None:
    tenant = await server.make_tenant()
    answer = await _import(server, tenant, TWO)
    assert answer.status == 200, answer.body
    made = await _extensions(server, tenant)
    assert {it["display_name"] for it in made.values()} == {"Ada", "Grace"}
    counts = {name: it for name, it in answer.json.items() if name not in ("generated", "revision")}
    assert counts == {
        "dry_run": False,
        "rows": 2,
        "created": 2,
        "updated": 0,
        "unchanged": 0,
        "skipped": 0,
    }
    generated = answer.json["generated"]
    assert [(it["row"], it["number"]) for it in generated] == [(2, "1001"), (3, "1002")]
    for it in generated:
        revealed = await server.request("POST", f"{tenant}/extensions/{it['id']}/reveal")
        assert revealed.json["sip_password"] == it["sip_password"]


async def test_an_import_is_one_revision_and_audited_object_by_object(server: Server) -> None:
    tenant = await server.make_tenant()
    answer = await _import(server, tenant, TWO)
    logs = await server.request("GET", f"{tenant}/audit-logs?resource_type=extension")
    assert [it["action"] for it in logs.json["data"]] == ["created", "created"]
    assert {it["revision"] for it in logs.json["data"]} == {answer.json["revision"]}
    (whole,) = (await server.request("GET", f"{tenant}/audit-logs?action=imported")).json["data"]
    assert whole["after"]["create"] == 2
    for it in answer.json["generated"]:
        assert it["sip_password"] not in logs.body.decode()


async def test_numbers_are_referred_to_by_their_words(server: Server) -> None:
    tenant = await server.make_tenant()
    text = (
        (
            "number;display_name;forward.busy;forward.no_answer;follow_me\r\n"
            "1001;Ada;extension:1002;voicemail:1001;1002;+4930123456\r\n"
        )
        .replace("1002;+49", '"1002;+49')
        .replace("456\r\n", '456"\r\n')
    )
    answer = await _import(server, tenant, text + "1002;Grace;external:+4930;hangup:USER_BUSY;\r\n")
    assert answer.status == 200, answer.body
    made = await _extensions(server, tenant)
    ada, grace = made["1001"], made["1002"]
    assert ada["forward"]["busy"]["id"] == grace["id"]
    assert ada["forward"]["no_answer"] == {
        **ada["forward"]["busy"],
        "type": "voicemail",
        "id": ada["id"],
    }
    assert ada["follow_me"] == ["1002", "+4930123456"]
    assert grace["forward"]["no_answer"]["cause"] == "USER_BUSY"
    text = f"number,destination\n+12025550101,extension:{ada['id']}\n+12025550102,extension:1002\n"
    dids = await _import(server, tenant, text, kind="dids")
    assert (dids.status, dids.json["created"], dids.json["generated"]) == (200, 2, [])


async def test_everything_that_is_wrong_is_named_at_once_and_nothing_is_written(
    server: Server,
) -> None:
    tenant = await server.make_tenant()
    await server.make(f"{tenant}/extensions", {"number": "1001", "display_name": "Ada"})
    group = {"number": "2000", "name": "Sales", "members": [{"number": "+12025550100"}]}
    await server.make(f"{tenant}/ring-groups", group)
    before = await _extensions(server, tenant)
    answer = await _import(
        server,
        tenant,
        "number,display_name,ring_seconds,voicemail.email,forward.always,colour\n"
        "1001,Somebody,,,,\n"
        "1002,Grace,soon,nowhere,ring_group:4711,\n"
        "1003,,500,,extension,\n"
        "2000,Taken,,,,\n"
        "1005,Edsger,,,extension:1006,\n"
        "1006,Tony,,,extension:1005,\n"
        "1007,Alan,,,,\n"
        "1007,Alonzo,,,,\n"
        "1008,Kurt\n"
        ",Nobody,,,,\n",
    )
    assert (answer.status, answer.json["code"]) == (422, "validation_failed")
    rows = [it["row"] for it in answer.json["errors"]]
    assert rows == sorted(rows)
    assert {(it["row"], it["column"], it["code"]) for it in answer.json["errors"]} == {
        (1, "colour", "unknown_field"),
        (2, "number", "taken"),
        (3, "forward.always", "not_found"),
        (3, "ring_seconds", "int_type"),
        (3, "voicemail.email", "string_pattern_mismatch"),
        (4, "display_name", "missing"),
        (4, "ring_seconds", "less_than_equal"),
        (4, "forward.always", "model_type"),
        (5, "number", "taken"),
        (6, "forward.always", "loop"),
        (7, "forward.always", "loop"),
        (9, "number", "duplicate"),
        (10, None, "cell_count"),
        (11, "number", "missing"),
    }
    assert answer.json["error_count"] == len(rows) == 14
    by_row = {it["row"]: it["message"] for it in answer.json["errors"]}
    assert by_row[9] == "1007 stands in row 8, too"
    assert "ring group" in by_row[5]
    assert "is no destination such as extension:1001" in by_row[4]
    assert await _extensions(server, tenant) == before


async def test_the_error_list_is_bounded_and_says_how_many_there_are(server: Server) -> None:
    tenant = await server.make_tenant()
    rows = "".join(f"{number},\n" for number in range(1000, 1700))
    answer = await _import(server, tenant, f"number,display_name\n{rows}")
    assert (answer.status, len(answer.json["errors"]), answer.json["error_count"]) == (
        422,
        500,
        700,
    )


@pytest.mark.parametrize(
    ("on_existing", "status", "names", "counts"),
    [
        ("refuse", 409, {"Ada"}, None),
        ("skip", 200, {"Ada", "Grace"}, (1, 0, 0, 1)),
        ("update", 200, {"Augusta", "Grace"}, (1, 1, 0, 0)),
    ],
)
async def test_what_becomes_of_a_number_that_is_there(
    server: Server,
    on_existing: str,
    status: int,
    names: set[str],
    counts: tuple[int, ...] | None,
) -> None:
    tenant = await server.make_tenant()
    ada = {"number": "1001", "display_name": "Ada", "ring_seconds": 40}
    made = await server.make(f"{tenant}/extensions", ada)
    text = "number,display_name\n1001,Augusta\n1002,Grace\n"
    answer = await _import(server, tenant, text, f"?on_existing={on_existing}")
    assert answer.status == status, answer.body
    found = await _extensions(server, tenant)
    assert {it["display_name"] for it in found.values()} == names
    assert found["1001"]["ring_seconds"] == 40
    revealed = await server.request("POST", f"{tenant}/extensions/{made['id']}/reveal")
    assert revealed.json["sip_password"] == made["sip_password"]
    if counts is not None:
        told = [answer.json[it] for it in ("created", "updated", "unchanged", "skipped")]
        assert tuple(told) == counts


async def test_an_update_changes_what_cells_say_and_clears_what_they_call_null(
    server: Server,
) -> None:
    tenant = await server.make_tenant()
    body = {
        "number": "1001",
        "display_name": "Ada",
        "ring_seconds": 40,
        "voicemail": {"email": "ada@example.com", "attach_audio": False, "pin": "4711"},
        "forward": {"always": {"type": "external", "number": "+4930123456"}},
    }
    made = await server.make(f"{tenant}/extensions", body)
    answer = await _import(
        server,
        tenant,
        "number,display_name,ring_seconds,voicemail.email,voicemail.pin,forward.always\n"
        f"1001,,null,null,null,voicemail:{made['id']}\n",
        "?on_existing=update",
    )
    assert answer.status == 200, answer.body
    ada = (await _extensions(server, tenant))["1001"]
    assert (ada["display_name"], ada["ring_seconds"]) == ("Ada", 25)
    assert (ada["voicemail"]["email"], ada["voicemail"]["attach_audio"]) == (None, False)
    assert (ada["forward"]["always"]["type"], ada["forward"]["always"]["number"]) == (
        "voicemail",
        None,
    )
    revealed = await server.request("POST", f"{tenant}/extensions/{made['id']}/reveal")
    assert revealed.json["sip_password"] == made["sip_password"]
    assert revealed.json.get("voicemail") == {"pin": None}


async def test_a_dry_run_finds_the_same_and_changes_nothing(server: Server) -> None:
    tenant = await server.make_tenant()
    dry = await _import(server, tenant, TWO, "?dry_run=true")
    assert (dry.status, dry.json["dry_run"], dry.json["created"]) == (200, True, 2)
    assert dry.json["generated"] == []
    assert await _extensions(server, tenant) == {}
    wrong = "number,display_name\n1001,\n"
    errors = [
        (await _import(server, tenant, wrong, query)).json["errors"]
        for query in ("?dry_run=true", "")
    ]
    assert errors[0] == errors[1]


async def test_an_import_is_repeated_by_its_key_and_not_carried_out_again(server: Server) -> None:
    tenant = await server.make_tenant()
    first = await _import(server, tenant, TWO, idempotency_key="k1")
    again = await _import(server, tenant, TWO, idempotency_key="k1")
    assert (again.status, again.json) == (200, first.json)
    assert again.headers["idempotent-replayed"] == "true"
    other = await _import(server, tenant, TWO + "1003,Alan\r\n", idempotency_key="k1")
    assert (other.status, other.json["code"]) == (422, "idempotency_mismatch")


async def test_quotas_hold_for_the_whole_file(server: Server) -> None:
    tenant = await server.make_tenant()
    await server.request("PATCH", tenant, {"quotas": {"max_extensions": 1}})
    answer = await _import(server, tenant, TWO)
    assert (answer.status, answer.json["code"]) == (409, "quota_exceeded")
    assert answer.json["errors"][0]["row"] is None
    assert await _extensions(server, tenant) == {}


async def test_a_did_belongs_to_one_tenant(server: Server) -> None:
    tenant, rival = await server.make_tenant(), await server.make_tenant("rival")
    text = "number,destination\n+12025550101,hangup\n"
    assert (await _import(server, rival, text, kind="dids")).status == 200
    answer = await _import(server, tenant, text, kind="dids")
    assert (answer.status, answer.json["errors"][0]["code"]) == (409, "taken")
    assert (answer.json["errors"][0]["row"], answer.json["errors"][0]["column"]) == (2, "number")


WRONG: list[tuple[bytes, str, str, int, str]] = [
    (b"number\n\xe4", "", CSV, 400, "malformed_csv"),
    (b"number\n\xed\xa0\x80", "", CSV, 400, "malformed_csv"),
    (b"", "", CSV, 400, "malformed_csv"),
    (b'number,display_name\n"1001', "", CSV, 400, "malformed_csv"),
    (b"number,display_name\n1001,\x00", "", CSV, 422, "validation_failed"),
    (b"number,display_name\n1001," + b"x" * 5000, "", CSV, 422, "validation_failed"),
    (b'{"number": "1001"}', "", "application/json", 415, "unsupported_media_type"),
    (TWO.encode(), "", f"{CSV}; charset=iso-8859-1", 415, "unsupported_media_type"),
    (TWO.encode(), "?dry_run=perhaps", CSV, 422, "validation_failed"),
    (TWO.encode(), "?on_existing=replace", CSV, 422, "validation_failed"),
    (TWO.encode(), "?dry_run=true&dry_run=true", CSV, 422, "validation_failed"),
    (TWO.encode(), "?limit=1", CSV, 422, "validation_failed"),
    (b"number\n" + b"1" * MAX_BYTES, "", CSV, 413, "payload_too_large"),
]
HOSTILE = [
    '{"type": 99999999999999999999999999}',
    '{"type": "hangup", "colour": 1}',
    '{"then": ' * 20 + "1" + "}" * 20,
    '{"type": "extension", "id": "\\u0000"}',
    "[" * 3000,
    "{}",
    "hangup:\u202e",
    "extension:\x01",
    "1e400",
]


async def test_what_is_no_import(server: Server) -> None:
    tenant = await server.make_tenant()
    for raw, query, content_type, status, code in WRONG:
        answer = await _import(server, tenant, raw, query, Content_Type=content_type)
        assert (answer.status, answer.json["code"]) == (status, code), (raw[:40], query)
    assert await _extensions(server, tenant) == {}


async def test_hostile_cells_are_wrong_cells(server: Server) -> None:
    tenant = await server.make_tenant()
    cells = [cell.replace('"', '""') for cell in HOSTILE]
    rows = "".join(f'{1000 + number},Ada,"{cell}"\n' for number, cell in enumerate(cells))
    answer = await _import(server, tenant, f"number,display_name,forward.busy\n{rows}")
    assert answer.status == 422
    assert {it["row"] for it in answer.json["errors"]} == {2 + it for it in range(len(HOSTILE))}
    assert {it["column"].split(".")[0] for it in answer.json["errors"]} == {"forward"}


async def test_importing_needs_the_right_to_write(server: Server) -> None:
    tenant = await server.make_tenant()
    reader = await server.make_key("extensions:read", tenant=tenant)
    answer = await _import(server, tenant, TWO, key=reader)
    assert (answer.status, answer.json["scope"]) == (403, "extensions:write")
    rival = await server.make_tenant("rival")
    foreign = await server.make_key("*", tenant=rival)
    assert (await _import(server, tenant, TWO, key=foreign)).status == 404


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_the_examples_are_tables(name: str) -> None:
    table = at_once(read_table(EXAMPLES[name].encode(), resource(name)))
    assert (len(table.objects), table.faults) == (2, ())


@pytest.mark.time_limit(60)
async def test_a_large_file_does_not_hold_the_thread(server: Server) -> None:
    tenant = await server.make_tenant()
    rows = "".join(f"{number},Person {number},20\r\n" for number in range(10_000, 12_000))
    held: list[float] = []
    last = [thread_time()]

    def tick() -> None:
        # Time of the processor, so that the other processes of the machine do not count.
        now = thread_time()
        held.append(now - last[0])
        last[0] = now

    clock = LoopingCall(tick)
    clock.start(0)
    answer = await _import(server, tenant, f"number,display_name,ring_seconds\r\n{rows}")
    clock.stop()
    assert (answer.status, answer.json["created"]) == (200, 2000), answer.body[:500]
    assert max(held) < 0.06
