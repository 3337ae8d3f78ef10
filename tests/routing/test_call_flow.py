"""Call flows: each node, the way from one to the next, and what a call remembers in between."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from nizam.routing.flow_state import MAX_HOPS
from nizam.routing.plan import CollectDigits, Hangup
from nizam.routing.tokens import FlowStep, read_token, write_token
from tests.routing.flow_calls import FLOW, Caller, put_flow, to_extension
from tests.routing.tenants import CALL, MEDIA_ROOT, Tenants, identifier, last, recorded_tenants

HELLO = {"id": "hello", "type": "play", "sound": "ivr/hello.wav", "next": "end"}
BYE = {"id": "bye", "type": "play", "sound": "ivr/bye.wav", "next": "end"}
END = {"id": "end", "type": "hangup"}


@pytest.fixture
def tenants() -> Tenants:
    return recorded_tenants()


def collect(**changes: Any) -> dict[str, Any]:
    return {
        "id": "choice",
        "type": "collect",
        "sound": "ivr/choice.wav",
        "variable": "choice",
        "branches": [{"digits": "1", "next": "hello"}],
        "next": "bye",
    } | changes


def branch(variable: str, *ways: tuple[str, str], otherwise: str = "end") -> dict[str, Any]:
    branches = [{"value": value, "next": target} for value, target in ways]
    return {
        "id": "branch",
        "type": "branch",
        "variable": variable,
        "branches": branches,
        "next": otherwise,
    }


# -- one node after the other ------------------------------------------------------------------


def test_a_sound_is_played_on_an_answered_call(tenants: Tenants) -> None:
    put_flow(tenants, [HELLO, END])
    caller = Caller(tenants).call()
    assert caller.heard == ["playback ivr/hello.wav", "ends NORMAL_CLEARING"]
    assert caller.answered
    assert caller.decisions[0].route == "call flow 5100"


def test_a_call_that_hears_nothing_is_not_answered(tenants: Tenants) -> None:
    put_flow(tenants, [{"id": "a", "type": "hangup", "cause": "USER_BUSY"}])
    caller = Caller(tenants).call()
    assert (caller.heard, caller.answered) == (["ends USER_BUSY"], False)


def test_what_cannot_be_played_is_passed_over(tenants: Tenants) -> None:
    tenants.put("prompt", "acme/empty", {"name": "Empty"})
    sound = {"prompt_id": str(identifier("acme/empty"))}
    put_flow(tenants, [HELLO | {"sound": sound, "next": "bye"}, BYE, END])
    caller = Caller(tenants).call()
    assert caller.heard == ["playback ivr/bye.wav", "ends NORMAL_CLEARING"]
    assert "hello: cannot be played" in caller.words


@pytest.mark.parametrize(
    ("pressed", "changes", "heard"),
    [
        ("1", {}, "ivr/hello.wav"),
        ("2", {}, "ivr/bye.wav"),
        ("", {}, "ivr/bye.wav"),
        ("", {"timeout_next": "hello"}, "ivr/hello.wav"),
        ("12", {"min_digits": 3, "max_digits": 4, "timeout_next": "hello"}, "ivr/hello.wav"),
        ("1234", {"min_digits": 3, "max_digits": 4, "timeout_next": "hello"}, "ivr/bye.wav"),
        ("*1", {"max_digits": 2, "branches": [{"digits": "*1", "next": "hello"}]}, "ivr/hello.wav"),
    ],
)
def test_what_is_pressed_decides_where_a_collecting_node_leads(
    tenants: Tenants, pressed: str, changes: dict[str, Any], heard: str
) -> None:
    put_flow(tenants, [collect(**changes), HELLO, BYE, END])
    caller = Caller(tenants, presses=[pressed]).call()
    assert caller.heard[:2] == ["collects at ivr/choice.wav", f"playback {heard}"]


def test_how_digits_are_taken_is_what_the_node_says(tenants: Tenants) -> None:
    node = collect(
        sound=None,
        min_digits=2,
        max_digits=8,
        terminator="",
        attempts=5,
        timeout_seconds=2.5,
        digit_timeout_seconds=0.5,
    )
    put_flow(tenants, [node, HELLO, BYE, END])
    (step,) = [it for it in tenants.dial("5100").plan if isinstance(it, CollectDigits)]
    assert step == CollectDigits("nizam_flow_choice", 2, 8, 5, 2500, 500, "", None)


@pytest.mark.parametrize("pressed", ["${system id}", "1|2", "1 2", "a", "1" * 31, "１"])
def test_what_is_no_digits_is_as_if_nothing_was_pressed(tenants: Tenants, pressed: str) -> None:
    put_flow(tenants, [collect(max_digits=30, timeout_next="hello"), HELLO, BYE, END])
    caller = Caller(tenants)
    caller.ask("5100")
    caller.variables |= {"nizam_flow_choice": pressed, "nizam_callflow_next": _after("choice")}
    decision = caller.ask(_after("choice"))
    assert any("nothing was pressed that counts" in it.detail for it in decision.trace)


@pytest.mark.parametrize(
    ("value", "heard"),
    [("gold", "ivr/hello.wav"), ("silver", "ivr/bye.wav"), ("Gold", None), ("", None)],
)
def test_the_value_of_a_variable_decides_where_a_branch_leads(
    tenants: Tenants, value: str, heard: str | None
) -> None:
    given = {"id": "set", "type": "set", "variable": "tier", "value": value, "next": "branch"}
    put_flow(
        tenants, [given, branch("tier", ("gold", "hello"), ("silver", "bye")), HELLO, BYE, END]
    )
    expected = [] if heard is None else [f"playback {heard}"]
    assert Caller(tenants).call().heard == [*expected, "ends NORMAL_CLEARING"]


@pytest.mark.parametrize(
    ("variable", "value"), [("caller_number", "1001"), ("called_number", "5100")]
)
def test_a_branch_knows_who_calls_what(tenants: Tenants, variable: str, value: str) -> None:
    put_flow(tenants, [collect(next="branch", branches=[]), branch(variable, (value, "hello")),
                       HELLO, END])  # fmt: skip
    assert "playback ivr/hello.wav" in Caller(tenants, presses=["7"]).call().heard


def test_variables_outlive_re_entries_and_can_be_put_together(tenants: Tenants) -> None:
    nodes = [
        {"id": "a", "type": "set", "variable": "area", "value": "0", "next": "choice"},
        collect(next="b", branches=[]),
        {"id": "b", "type": "set", "variable": "whole", "value": "{area}{choice}", "next": "again"},
        collect(id="again", variable="other", next="say", branches=[]),
        {"id": "say", "type": "say", "text": "{whole}{other}", "next": "end"},
        END,
    ]
    put_flow(tenants, nodes)
    caller = Caller(tenants, presses=["4", "2"]).call()
    assert "say en number iterated 042" in caller.heard


def test_a_text_is_spoken_where_there_is_an_engine_and_passed_over_where_not(
    tenants: Tenants,
) -> None:
    say = {"id": "say", "type": "say", "text": "Hello, caller {caller_number}!", "next": "end"}
    put_flow(tenants, [say, END])
    caller = Caller(tenants).call()
    assert caller.heard == ["ends NORMAL_CLEARING"]
    assert "say: is not spoken: there is no text-to-speech engine" in caller.words
    tenants.snapshot.speech = ("flite", "slt")
    assert "speak flite|slt|Hello, caller 1001!" in Caller(tenants).call().heard


def test_a_recording_lies_in_the_tenants_folder(tenants: Tenants) -> None:
    record = {"id": "rec", "type": "record", "max_seconds": 30, "silence_seconds": 4, "next": "end"}
    put_flow(tenants, [record, END])
    path = f"{MEDIA_ROOT}/{identifier('acme')}/recordings/{CALL}-rec-0.wav"
    assert f"record {path} 30 200 4" in Caller(tenants).call().heard


def test_a_message_is_taken_for_an_extension(tenants: Tenants) -> None:
    node = {"id": "vm", "type": "voicemail", "extension_id": str(identifier("acme/1002"))}
    put_flow(tenants, [node])
    assert "voicemail default acme.example.test 1002" in Caller(tenants).call().heard


# -- bridge ------------------------------------------------------------------------------------


def bridge(destination: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"id": "bridge", "type": "bridge", "destination": destination} | changes


def test_without_next_a_destination_does_all_that_it_does(tenants: Tenants) -> None:
    put_flow(tenants, [bridge(to_extension("1002"))])
    caller = Caller(tenants, rings=["NO_ANSWER"]).call()
    assert caller.heard[1] == "voicemail default acme.example.test 1002"


@pytest.mark.parametrize("cause", ["NO_ANSWER", "USER_BUSY", "USER_NOT_REGISTERED"])
def test_with_next_the_flow_goes_on_when_nobody_answers(tenants: Tenants, cause: str) -> None:
    nodes = [bridge(to_extension("1002"), next="branch"),
             branch("disposition", (cause, "hello")), HELLO, END]  # fmt: skip
    put_flow(tenants, nodes)
    caller = Caller(tenants, rings=[cause]).call()
    assert caller.heard == [
        "rings user/1002@acme.example.test",
        "playback ivr/hello.wav",
        "ends NORMAL_CLEARING",
    ]
    assert f"bridge: nobody has answered: {cause}" in caller.words


def test_with_next_a_call_that_was_answered_ends(tenants: Tenants) -> None:
    put_flow(tenants, [bridge(to_extension("1002"), next="hello"), HELLO, END])
    assert Caller(tenants).call().heard[-1] == "ends SUCCESS"


def test_a_ring_group_gives_the_call_back_in_the_place_of_its_fallback(tenants: Tenants) -> None:
    group = {"type": "ring_group", "id": str(identifier("acme/2000"))}
    put_flow(tenants, [bridge(group, next="hello"), HELLO, END])
    caller = Caller(tenants, rings=["NO_ANSWER"]).call()
    assert "playback ivr/hello.wav" in caller.heard
    assert not any(it.startswith("voicemail") for it in caller.heard)


def test_gateways_fail_over_on_their_causes_and_every_other_cause_goes_on(tenants: Tenants) -> None:
    put_flow(
        tenants,
        [bridge({"type": "external", "number": "+12025550777"}, next="hello"), HELLO, END],
    )
    caller = Caller(tenants)
    caller.ask("5100")
    token = _after("bridge")
    plan = list(caller.decisions[0].plan)
    assert [getattr(it, "value", None) for it in plan].count(f"true {token} XML acme.example.test")
    assert plan[-1].destination == token  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "changes", [{"enabled": False}, {"do_not_disturb": True}], ids=["disabled", "do not disturb"]
)
def test_a_destination_that_cannot_be_rung_leads_on_at_once(
    tenants: Tenants, changes: dict[str, Any]
) -> None:
    tenants.extension("acme/1002", **changes)
    put_flow(tenants, [bridge(to_extension("1002"), next="hello"), HELLO, END])
    caller = Caller(tenants).call()
    assert (caller.heard[0], len(caller.decisions)) == ("playback ivr/hello.wav", 1)
    assert caller.decisions[0].outcome == "routed"


def test_a_flow_can_lead_to_another_flow(tenants: Tenants) -> None:
    put_flow(tenants, [BYE, END], name="acme/5200")
    flow = {"type": "call_flow", "id": str(identifier("acme/5200"))}
    put_flow(tenants, [HELLO | {"next": "bridge"}, bridge(flow)])
    assert Caller(tenants).call().heard[:2] == ["playback ivr/hello.wav", "playback ivr/bye.wav"]


# -- other servers -----------------------------------------------------------------------------


def http(**changes: Any) -> dict[str, Any]:
    return {
        "id": "ask",
        "type": "http",
        "url": "https://example.com/orders?v=1",
        "variable": "order",
        "next": "branch",
        "error_next": "bye",
    } | changes


def test_the_members_of_an_answer_become_variables(tenants: Tenants) -> None:
    put_flow(tenants, [http(), branch("order_open", ("true", "say"), otherwise="bye"),
                       {"id": "say", "type": "say", "text": "{order_count}", "next": "end"},
                       BYE, END])  # fmt: skip
    answer = {"open": True, "count": 12, "list": [1], "nothing": None, "Bad Name": "x", "x" * 50: 1}
    caller = Caller(tenants, answers={"ask": answer}).call()
    assert "say en number iterated 12" in caller.heard
    set_here = {it for it in caller.variables if it.startswith("nizam_flow_")}
    assert set_here == {"nizam_flow_order_open", "nizam_flow_order_count"}


def test_a_server_is_told_about_the_call_and_what_is_known(tenants: Tenants) -> None:
    put_flow(tenants, [collect(next="ask", branches=[]), http(timeout_seconds=7),
                       branch("x", ("y", "end")), BYE, END])  # fmt: skip
    (asked,) = Caller(tenants, presses=["7"]).call().asked
    assert (asked.url, asked.method, asked.timeout_seconds) == (http()["url"], "POST", 7)
    assert asked.body == {
        "call_id": CALL,
        "tenant_id": str(identifier("acme")),
        "call_flow": {"id": str(identifier(FLOW)), "name": "acme", "version": 1},
        "node": "ask",
        "caller_number": "1001",
        "caller_name": "1001",
        "called_number": "5100",
        "variables": {"choice": "7"},
    }


def test_a_get_has_the_same_in_its_query(tenants: Tenants) -> None:
    given = {"id": "a", "type": "set", "variable": "q", "value": "a b", "next": "ask"}
    put_flow(tenants, [given, http(method="GET", next="bye"), BYE, END])
    (asked,) = Caller(tenants).call().asked
    assert asked.body == {}
    assert asked.url.startswith(f"https://example.com/orders?v=1&call_id={CALL}&")
    assert asked.url.endswith("&variables%5Bq%5D=a+b")


def test_no_good_answer_leads_to_the_error(tenants: Tenants) -> None:
    put_flow(tenants, [http(), branch("x", ("y", "end")), BYE, END])
    caller = Caller(tenants, answers={"ask": "no answer within 5 s"}).call()
    assert "playback ivr/bye.wav" in caller.heard
    assert "ask: no good answer: no answer within 5 s" in caller.words


def test_a_call_waits_for_a_slow_server_and_asks_for_the_same_answer_again(
    tenants: Tenants,
) -> None:
    put_flow(tenants, [http(), branch("order_open", ("true", "hello")), HELLO, BYE, END])
    caller = Caller(tenants, answers={"ask": "later"})
    waiting = caller._carry_out(caller.ask("5100"))
    assert waiting is not None
    waiting = caller._carry_out(caller.ask(waiting))
    assert waiting is not None
    caller.answers["ask"] = {"open": True}
    assert caller._carry_out(caller.ask(waiting)) is None
    assert caller.heard[0] == "playback ivr/hello.wav"
    assert len({it.key for it in caller.asked}) == 1


def test_a_node_that_is_come_to_twice_asks_twice(tenants: Tenants) -> None:
    put_flow(tenants, [http(next="choice"), collect(branches=[], next="ask"), BYE, END])
    caller = Caller(tenants, answers={"ask": {}}, presses=["1"])
    first = caller._carry_out(caller.ask("5100"))
    assert first is not None
    caller.ask(first)
    assert len({it.key for it in caller.asked}) == 2


@pytest.mark.parametrize(
    "value",
    [
        "${system touch /tmp/x}",
        "$${domain}",
        "a',b|c",
        "{x=y}[z]sofia/gateway/a/1",
        "]]>\r\nX: 1",
        "\ud800".encode("utf-8", "replace").decode(),
        "\u2028" + "x" * 3000,
    ],
)
def test_whatever_a_server_says_is_harmless(tenants: Tenants, value: str) -> None:
    tenants.snapshot.speech = ("flite", "slt")
    nodes = [
        http(next="say"),
        {"id": "say", "type": "say", "text": "It is {order_x}", "next": "set"},
        {"id": "set", "type": "set", "variable": "y", "value": "{order_x}", "next": "choice"},
        collect(branches=[], next="branch"),
        branch("y", (value.replace("${", "").replace("$$", "")[:200].encode("ascii", "ignore")
                     .decode().replace("\r\n", "") or "x", "end")),
        BYE,
        END,
    ]  # fmt: skip
    put_flow(tenants, nodes)
    caller = Caller(tenants, answers={"ask": {"x": value}}, presses=["1"]).call()
    kept = caller.variables["nizam_flow_y"]
    assert not set("${}[]|,'\r\n\u2028") & set(kept)
    assert len(kept) <= 200


# -- who may be where --------------------------------------------------------------------------


def _after(node: str, version: int = 1, flow: str = FLOW) -> str:
    return write_token(FlowStep(identifier(flow), version, node, "after"))


def test_a_token_is_read_as_it_was_written() -> None:
    flow = UUID(int=7)
    for token in (
        FlowStep(flow, 3, "hello-1_x", "at"),
        FlowStep(flow, 3, "after-x", "after"),
        FlowStep(flow, 999, "wait3-a", "wait", 12),
    ):
        assert read_token(write_token(token)) == token
    assert read_token(f"flow-{flow.hex}-1-at-") is None
    assert read_token(f"flow-{flow.hex}-1-later-x") is None


@pytest.mark.parametrize("kind", ["at", "after"])
@pytest.mark.parametrize("node", ["bridge", "hello", "nothing"])
def test_a_token_dialled_by_hand_is_a_number_that_nobody_has(
    tenants: Tenants, node: str, kind: Any
) -> None:
    put_flow(tenants, [bridge(to_extension("1002"), next="hello"), HELLO, END])
    token = write_token(FlowStep(identifier(FLOW), 1, node, kind))
    decision = Caller(tenants).ask(token)
    assert (decision.outcome, last(decision)) == ("not_found", Hangup("UNALLOCATED_NUMBER"))


def test_a_flow_sends_a_call_to_no_other_node_than_the_next(tenants: Tenants) -> None:
    put_flow(tenants, [collect(), HELLO, BYE, END])
    caller = Caller(tenants)
    caller._carry_out(caller.ask("5100"))
    decision = caller.ask(write_token(FlowStep(identifier(FLOW), 1, "hello")))
    assert decision.outcome == "not_found"


def test_the_flow_of_another_tenant_is_out_of_reach(tenants: Tenants) -> None:
    put_flow(tenants, [HELLO, END], name="globex/5100")
    token = write_token(FlowStep(identifier("globex/5100"), 1, "hello"))
    caller = Caller(tenants, variables={"nizam_callflow_next": token})
    assert caller.ask(token).outcome == "unreachable"


# -- versions and endless ways -----------------------------------------------------------------


def test_a_call_goes_on_in_a_version_that_is_published_meanwhile(tenants: Tenants) -> None:
    put_flow(tenants, [collect(), HELLO, BYE, END])
    caller = Caller(tenants, presses=["1"])
    token = caller._carry_out(caller.ask("5100"))
    put_flow(tenants, [collect(branches=[], next="bye"), BYE, END], version=2)
    assert token is not None
    caller._carry_out(caller.ask(token))
    assert "playback ivr/bye.wav" in caller.heard
    assert "version 2 was published since the call came in" in caller.words


def test_a_call_begins_again_where_its_node_is_gone(tenants: Tenants) -> None:
    put_flow(tenants, [collect(), HELLO, BYE, END])
    caller = Caller(tenants, presses=["1"])
    token = caller._carry_out(caller.ask("5100"))
    put_flow(tenants, [BYE | {"id": "choice"}, END], version=2)
    assert token is not None
    caller._carry_out(caller.ask(token))
    assert "playback ivr/bye.wav" in caller.heard
    assert any("begins again" in it for it in caller.words)


@pytest.mark.parametrize("changes", [{"enabled": False}, {"published": None}])
def test_a_call_ends_where_its_flow_is_gone(tenants: Tenants, changes: dict[str, Any]) -> None:
    put_flow(tenants, [collect(), HELLO, BYE, END])
    caller = Caller(tenants)
    token = caller._carry_out(caller.ask("5100"))
    content = {"start": "end", "nodes": [END]}
    tenants.put("call_flow", FLOW, {"number": "5100", "name": "F", **content, **changes})
    assert token is not None
    assert caller.ask(token).outcome == "unreachable"


@pytest.mark.parametrize(
    "nodes",
    [
        [HELLO | {"next": "bye"}, BYE | {"next": "hello"}],
        [collect(timeout_next="choice"), HELLO | {"next": "choice"}, BYE | {"next": "choice"}],
        [bridge(to_extension("1002"), next="bridge")],
    ],
    ids=["plays", "collects", "rings"],
)
def test_what_goes_round_and_round_is_cut(tenants: Tenants, nodes: list[dict[str, Any]]) -> None:
    put_flow(tenants, nodes)
    caller = Caller(tenants, rings=["NO_ANSWER"] * 500).call()
    assert caller.heard[-1] == "ends EXCHANGE_ROUTING_ERROR"
    assert len(caller.decisions) == MAX_HOPS + 2
    assert caller.decisions[-1].outcome == "loop"


def test_ringing_nobody_round_and_round_within_one_plan_is_cut_too(tenants: Tenants) -> None:
    tenants.extension("acme/1002", enabled=False)
    put_flow(tenants, [bridge(to_extension("1002"), next="bridge")])
    assert Caller(tenants).call().heard == ["ends EXCHANGE_ROUTING_ERROR"]
