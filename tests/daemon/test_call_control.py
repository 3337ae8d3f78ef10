"""Calls are placed and steered through the API, and the switch does what was asked."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import attrs
import pytest
import pytest_twisted
import treq

from nizam.dev.demo import DOMAIN, sip_password
from nizam.embedded.process import free_port
from nizam.sim.people import Manner
from nizam.sim.settings import User
from tests.daemon.walking import Town
from tests.daemon.walking import town as town_of
from tests.event_types import check_event
from tests.fsxml.attacks import ATTACKS

pytestmark = pytest.mark.time_limit(90)


@pytest_twisted.async_yield_fixture
async def town(database: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Town]:
    from twisted.internet import reactor

    async with town_of(reactor, database, redis_url, tmp_path) as made:
        yield made


@attrs.frozen
class Asked:
    status: int
    json: Any


async def ask(town: Town, path: str, body: Any = None, method: str = "POST", **more: str) -> Asked:
    """An answer of the tenant's API, whatever it is."""
    api = town.site.api
    headers: dict[bytes | str, bytes | str] = {
        "Authorization": f"Bearer {api.key}",
        "Content-Type": "application/json",
    }
    headers |= {name.replace("_", "-"): value for name, value in more.items()}
    response = await treq.request(
        method,
        f"{town.site.daemon.base}/api/v1/tenants/{town.site.tenant_id}/{path}",
        headers=headers,
        data=None if body is None else json.dumps(body).encode(),
        agent=api.agent,
        timeout=30,
    )
    return Asked(response.code, json.loads(await response.content()))


async def done(town: Town, path: str, body: Any = None) -> Any:
    """What a command that is carried out answers."""
    answer = await ask(town, path, body)
    assert answer.status in (200, 202), answer
    return answer.json


async def talking(town: Town, to: str = "1002") -> str:
    """Anna talks to somebody; the id of the call."""
    call = town.anna.dials(to)
    await call.reaches("bridged")
    await town.calls_are_known(1)
    return town.anna.leg.uuid


async def click_to_call(town: Town) -> None:
    body = {"from": "1001", "to": "1002"}
    placed = await ask(town, "calls?wait=20", body, Idempotency_Key="click 1")
    assert (placed.status, placed.json["state"]) == (202, "answered"), placed
    call_id = placed.json["call_id"]
    assert town.anna.leg.uuid == placed.json["leg_id"] == call_id
    # Her phone shows whom it is for, his who calls.
    assert town.anna.shown.number == "1002"
    await town.ben.rings()
    assert (town.ben.shown.name, town.ben.shown.number) == ("Ada Lovelace", "1001")
    await town.stage.until(lambda: town.ben.leg.bridged)
    assert town.anna.heard == ["%(2000,4000,440,480)"]
    shown = (await ask(town, f"calls/{call_id}", method="GET")).json
    assert (shown["from"], shown["to"], shown["direction"]) == ("1001", "1002", "internal")
    again = await ask(town, "calls?wait=20", body, Idempotency_Key="click 1")
    assert (again.status, again.json) == (202, placed.json)
    assert len(town.anna.legs) == 1
    town.ben.hangs_up()
    await town.stage.until(lambda: not town.anna.legs)

    cdr = await _cdr(town, call_id)
    assert (cdr["from"], cdr["to"], cdr["result"], cdr["hangup_by"]) == (
        "1001",
        "1002",
        "answered",
        "callee",
    )


async def whoever_answers_of_two_phones(town: Town) -> None:
    user = User("1001", DOMAIN, sip_password("1001"), device="second")
    assert await town.site.switch.phones.register(user)
    second = town.stage.phone(user)
    # The first leg is that of the phone that was registered last.
    second.will(Manner("lets it ring"))
    await _phones_known(town, 4)
    placed = await done(town, "calls?wait=20", {"from": "1001", "to": "1003"})
    assert placed["state"] == "answered"
    assert placed["leg_id"] == town.anna.leg.uuid != placed["call_id"]
    await town.stage.until(lambda: bool(town.cora.legs) and town.cora.leg.bridged)
    shown = (await ask(town, f"calls/{placed['call_id']}", method="GET")).json
    assert (shown["state"], shown["from"], shown["to"]) == ("answered", "1001", "1003")
    await done(town, f"calls/{placed['call_id']}/hangup")
    await town.stage.until(lambda: not town.cora.legs and not town.anna.legs)
    cdr = await _cdr(town, placed["call_id"], legs=3)
    assert (cdr["from"], cdr["to"], cdr["result"]) == ("1001", "1003", "answered")


async def outcomes_are_told(town: Town) -> None:
    town.anna.will(Manner("is busy"))
    placed = await done(town, "calls?wait=20", {"from": "1001", "to": "1002"})
    assert (placed["state"], placed["cause"]) == ("failed", "USER_BUSY")
    outcome = await ask(town, f"calls/{placed['call_id']}/outcome", method="GET")
    assert outcome.json == placed
    await town.stage.until(lambda: not town.anna.legs)
    events = await _events(town, "call.originate_failed")
    assert [it["call_id"] for it in events] == [placed["call_id"]]
    assert check_event(events[0]) == "call.originate_failed"
    assert events[0]["data"] == {
        "kind": "originate",
        "from": "1001",
        "to": "1002",
        "cause": "USER_BUSY",
    }
    slow = town.anna.will(Manner("lets it ring"))
    ringing = await done(town, "calls", {"from": "1001", "to": "1002"})
    assert ringing["state"] == "dialling"
    await slow.rings()
    # Also before any event of the call has reached the API.
    await done(town, f"calls/{ringing['call_id']}/hangup", {"cause": "ORIGINATOR_CANCEL"})
    told = await ask(town, f"calls/{ringing['call_id']}/outcome?wait=10", method="GET")
    assert (told.json["state"], told.json["cause"]) == ("failed", "ORIGINATOR_CANCEL")


async def routing_has_a_say(town: Town) -> None:
    for to, outcome in (("7999", "not_found"), ("+4420794600000", "denied")):
        refused = await ask(town, "calls", {"from": "1001", "to": to})
        assert (refused.status, refused.json["code"]) == (409, "call_refused"), refused
        assert refused.json["outcome"] == outcome
    wrong = await ask(town, "calls", {"from": "1999", "to": "1002"})
    assert (wrong.status, wrong.json["errors"][0]["path"]) == (422, "/from")
    wrong = await ask(town, "calls", {"from": "1001", "to": "1002", "caller_id": "+12025559999"})
    assert (wrong.status, wrong.json["errors"][0]["path"]) == (422, "/caller_id")
    assert not town.anna.legs


async def a_call_ends_and_goes_elsewhere(town: Town) -> None:
    call_id = await talking(town)
    refused = await ask(town, f"calls/{call_id}/transfer", {"to": "7999"})
    assert (refused.status, refused.json["code"]) == (409, "call_refused")
    sent = await done(town, f"calls/{call_id}/transfer", {"to": "1003"})
    assert sent["leg_id"] == call_id
    await town.stage.until(lambda: bool(town.cora.legs) and town.cora.leg.bridged)
    assert not town.ben.legs
    await done(town, f"calls/{call_id}/hangup")
    await town.stage.until(lambda: not town.anna.legs and not town.cora.legs)
    gone = await ask(town, f"calls/{call_id}/hangup")
    assert gone.status == 404


async def calls_are_joined(town: Town) -> None:
    first = await talking(town)
    consulting = town.anna.dials("1003")
    await consulting.reaches("bridged")
    second = town.anna.leg.uuid
    await town.calls_are_known(2)
    body = {"type": "attended", "with_call_id": second}
    joined = await done(town, f"calls/{first}/transfer", body)
    assert joined["leg_id"] == town.ben.leg.uuid
    await town.stage.until(lambda: not town.anna.legs)
    assert town.ben.leg.other is town.cora.leg
    await town.rest()

    town.stage.everybody_will(Manner(ring=1.0), f"1002@{DOMAIN}", f"1003@{DOMAIN}")
    first = await talking(town)
    placed = await done(town, "calls?wait=20", {"from": "1003", "to": "*9196"})
    await town.calls_are_known(2)
    await done(town, f"calls/{first}/bridge", {"other_call_id": placed["call_id"]})
    await town.stage.until(lambda: not town.ben.legs)
    assert town.anna.leg.other is town.cora.leg


async def what_is_heard_and_said(town: Town) -> None:
    call_id = await talking(town)
    anna, ben = town.anna.leg, town.ben.leg
    await done(town, f"calls/{call_id}/hold", {"leg_id": ben.uuid})
    await town.stage.until(lambda: ben.held)
    await done(town, f"calls/{call_id}/resume", {"leg_id": ben.uuid})
    await town.stage.until(lambda: not ben.held)
    await done(town, f"calls/{call_id}/play", {"sound": "ivr/ivr-welcome.wav"})
    await town.anna.hears("ivr/ivr-welcome.wav")
    await town.ben.hears("ivr/ivr-welcome.wav")
    await done(town, f"calls/{call_id}/play/stop")
    await done(town, f"calls/{call_id}/dtmf", {"digits": "12w#", "leg_id": ben.uuid})
    assert ben.sent_keys == "12#"
    await done(town, f"calls/{call_id}/mute")
    assert [it.muted for it in (anna, ben)] == [True, False]
    await done(town, f"calls/{call_id}/unmute")
    assert [it.muted for it in (anna, ben)] == [False, False]
    refused = await ask(town, f"calls/{call_id}/say", {"text": "Hello"})
    assert (refused.status, refused.json["errors"][0]["code"]) == (422, "no_speech")


async def recordings_are_steered(town: Town) -> None:
    call_id = await talking(town)
    nothing = await ask(town, f"calls/{call_id}/record/stop")
    assert (nothing.status, nothing.json["code"]) == (409, "conflict")
    await done(town, f"calls/{call_id}/record/start")
    path = next(iter(town.anna.leg.recordings))
    assert f"/{town.site.tenant_id}/recordings/{call_id}-" in path

    async def shown() -> bool:
        found = (await ask(town, f"calls/{call_id}", method="GET")).json
        return bool(found["recording"] == path)

    await _until(town, shown)
    again = await ask(town, f"calls/{call_id}/record/start")
    assert (again.status, again.json["code"]) == (409, "conflict")
    await done(town, f"calls/{call_id}/record/pause")
    await done(town, f"calls/{call_id}/record/resume")
    await done(town, f"calls/{call_id}/record/stop")
    assert not town.anna.leg.recordings


async def a_call_waits(town: Town) -> None:
    await town.make("parking-lots", number="5900", name="Lot", slot_from="5901", slot_to="5903")
    call_id = await talking(town)
    wrong = await ask(town, f"calls/{call_id}/park", {"lot": "5999"})
    assert wrong.status == 422
    await done(town, f"calls/{call_id}/park")
    await town.stage.until(lambda: bool(town.site.switch.exchange.lots))
    assert not town.ben.legs
    # Whoever dials its slot gets it, also by the API.
    await done(town, "calls?wait=20", {"from": "1003", "to": "5901"})
    await town.stage.until(lambda: town.anna.leg.other is town.cora.leg)


async def a_supervisor_listens(town: Town) -> None:
    for how, heard in (("eavesdrop", "listens"), ("whisper", "whispers"), ("barge", "barges")):
        call_id = await talking(town)
        watched = town.anna.leg
        placed = await done(town, f"calls/{call_id}/{how}?wait=20", {"by": "1003"})
        assert (placed["kind"], placed["state"], placed["from"]) == (how, "answered", "1003")
        await town.stage.until(lambda: bool(watched.listeners))  # noqa: B023 - waited for here
        assert watched.listeners == [(heard, town.cora.leg.uuid)]
        own = await ask(town, f"calls/{call_id}/{how}", {"by": "1002"})
        assert (own.status, own.json["code"]) == (409, "conflict")
        await town.rest()
        await town.calls_are_known(0)


async def nothing_typed_is_more_than_an_argument(town: Town) -> None:
    call_id = await talking(town)
    ben = town.ben.leg.uuid
    received: list[bytes] = []
    for connection in town.site.switch.connections:
        _listen(connection, received)
    asked = 0
    for attack in ATTACKS:
        if len(attack) > 10_000:
            continue
        for path, body in (
            ("calls", {"from": attack, "to": "1002"}),
            ("calls", {"from": "1001", "to": attack}),
            ("calls", {"from": "1001", "to": "1002", "caller_id": attack}),
            (f"calls/{call_id}/hangup", {"leg_id": ben, "cause": attack}),
            (f"calls/{call_id}/hold", {"leg_id": attack}),
            (f"calls/{call_id}/transfer", {"to": attack}),
            (f"calls/{call_id}/park", {"lot": attack}),
            (f"calls/{call_id}/bridge", {"other_call_id": attack}),
            (f"calls/{call_id}/play", {"sound": attack, "leg_id": ben}),
            (f"calls/{call_id}/say", {"text": attack}),
            (f"calls/{call_id}/dtmf", {"digits": attack, "leg_id": ben}),
            (f"calls/{call_id}/eavesdrop", {"by": attack}),
        ):
            answer = await ask(town, path, body)
            asked += 1
            known = (200, 202, 400, 404, 409, 422)
            assert answer.status in known, (path, attack, answer)
    assert asked > 500
    said = b"".join(received).decode()
    # Sounds and keys that are what they look like are played and sent; nothing else is said.
    for command in filter(None, said.split("\n\n")):
        assert _HARMLESS.fullmatch(command), command


_UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_HARMLESS = re.compile(
    rf"bgapi (?:uuid_broadcast {_UUID} 'playback::[A-Za-z0-9_.%(),;=/:-]+' both"
    rf"|uuid_send_dtmf {_UUID} [0-9A-D*#wW]+@100"
    rf"|uuid_transfer {_UUID} [0-9+*#]+ XML acme\.example\.test)\nJob-UUID: {_UUID}"
    # What NIZAM asks by itself.
    r"|api (?:show|uuid_dump|sofia|global_getvar|xml_flush_cache|eval|reloadacl)[^\n]*"
)


def _listen(connection: Any, received: list[bytes]) -> None:
    take = connection.dataReceived

    def listened(data: bytes) -> None:
        received.append(data)
        take(data)

    connection.dataReceived = listened


async def another_instance_steers_calls(town: Town) -> None:
    """One that hears no events: it has links of its own, for commands alone."""
    first = town.site.daemon
    with TemporaryDirectory() as folder:
        second = first.another(free_port(), Path(folder) / "second.log")
        second.change({"NIZAM_ROLES": "api"})
        second.start()
        try:
            await second.ready()
            town.site.daemon = second
            placed = await done(town, "calls?wait=20", {"from": "1001", "to": "1002"})
            assert placed["state"] == "answered"
            await town.stage.until(lambda: bool(town.ben.legs) and town.ben.leg.bridged)
            await done(town, f"calls/{placed['call_id']}/mute")
            town.site.daemon = first
            outcome = await ask(town, f"calls/{placed['call_id']}/outcome", method="GET")
            assert outcome.json == placed
            town.site.daemon = second
            await done(town, f"calls/{placed['call_id']}/hangup")
            await town.stage.until(lambda: not town.anna.legs and not town.ben.legs)
            assert second.logged("error", "critical") == []
        finally:
            town.site.daemon = first
            second.kill()


WALKS: list[tuple[Callable[[Town], Awaitable[None]], ...]] = [
    (
        click_to_call,
        outcomes_are_told,
        routing_has_a_say,
        another_instance_steers_calls,
        whoever_answers_of_two_phones,
    ),
    (
        a_call_ends_and_goes_elsewhere,
        calls_are_joined,
        what_is_heard_and_said,
        recordings_are_steered,
        a_call_waits,
        a_supervisor_listens,
        nothing_typed_is_more_than_an_argument,
    ),
]


@pytest.mark.parametrize("walk", WALKS, ids=("placed", "steered"))
async def test_calls_are_controlled(
    town: Town, walk: tuple[Callable[[Town], Awaitable[None]], ...]
) -> None:
    for story in walk:
        await town.rest()
        await town.calls_are_known(0)
        await story(town)
    actions = (await ask(town, "audit-logs?resource_type=call&limit=200", method="GET")).json
    assert {it["action"] for it in actions["data"]} >= (
        {"originated"} if walk is WALKS[0] else {"transfer", "hold", "dtmf", "record_start"}
    )
    assert "12w#" not in json.dumps(actions)


async def _cdr(town: Town, call_id: str, legs: int = 2) -> Any:
    found: list[Any] = []

    async def there() -> bool:
        answer = await ask(town, f"cdrs/{call_id}", method="GET")
        found[:] = [answer.json]
        return answer.status == 200 and len(answer.json["legs"]) == legs

    await _until(town, there)
    return found[0]


async def _events(town: Town, kind: str) -> list[Any]:
    found: list[Any] = []

    async def there() -> bool:
        found[:] = (await ask(town, f"call-events?type={kind}", method="GET")).json["data"]
        return bool(found)

    await _until(town, there)
    return found


async def _phones_known(town: Town, count: int) -> None:
    async def known() -> bool:
        return len((await ask(town, "registrations", method="GET")).json["data"]) == count

    await _until(town, known)


async def _until(town: Town, condition: Callable[[], Awaitable[bool]]) -> None:
    from tests.daemon.process import until

    assert await until(town.site.reactor, condition, 8.0)
