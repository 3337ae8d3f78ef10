"""Prompts, ring-back and music on hold: from what a tenant names to what FreeSWITCH is told."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from lxml import etree

from nizam.fsxml.dialplan import actions
from nizam.fsxml.ivr import ivr_conf
from nizam.fsxml.request import XmlRequest
from nizam.routing.decision import Decision
from nizam.routing.snapshot import Snapshot
from nizam.routing.tokens import menu_name
from tests.routing.tenants import MEDIA_ROOT, Tenants, identifier, recorded_tenants

FILE = identifier("file")
AUDIO = {
    "id": str(FILE),
    "sample_rate": 8000,
    "seconds": 1.0,
    "bytes": 16044,
    "sha256": "0" * 64,
    "source_format": "mp3",
    "source_sample_rate": 44100,
    "source_channels": 2,
}
UNUSABLE: dict[str, dict[str, Any]] = {
    "has no sound yet": {},
    "is disabled": {"audio": AUDIO, "enabled": False},
}


@pytest.fixture
def tenants() -> Tenants:
    return recorded_tenants()


def put_prompt(tenants: Tenants, **changes: Any) -> dict[str, str]:
    """The prompt Welcome of acme, as a sound."""
    made = tenants.put("prompt", "acme/welcome", {"name": "Welcome", "audio": AUDIO} | changes)
    return {"prompt_id": str(made)}


def prompt_path(tenant: str = "acme") -> str:
    folder = f"{identifier(tenant)}/prompts/{identifier('acme/welcome')}"
    return f"{MEDIA_ROOT}/{folder}/{FILE}.wav"


def put_music(tenants: Tenants, *files: str, **changes: Any) -> None:
    listed = [AUDIO | {"id": str(identifier(it)), "name": it} for it in files]
    body = {"name": "Piano", "is_default": True, "files": listed} | changes
    tenants.put("music_on_hold", "acme/piano", body)


def music_path(file: str) -> str:
    folder = f"{identifier('acme')}/music-on-hold/{identifier('acme/piano')}"
    return f"{MEDIA_ROOT}/{folder}/{identifier(file)}.wav"


def played(decision: Decision) -> list[tuple[str, str]]:
    """What FreeSWITCH is told about sounds."""
    words = ("playback", "ringback", "ring_ready", "hold_music")
    return [
        (name, data)
        for name, data in actions(decision.plan)
        if name in words or data.partition("=")[0] in words
    ]


def play_on_2100(tenants: Tenants, sound: dict[str, Any]) -> Decision:
    """The decision for a call to a menu's choice that plays the sound."""
    menu = {"number": "2100", "name": "Menu", "greeting_long": "ivr/hello.wav"}
    entries = [{"digits": "1", "destination": {"type": "play", **sound}}]
    made = tenants.put("ivr", "acme/menu", menu | {"entries": entries})
    return tenants.dial(f"{menu_name(made)}-e1", by=None)


def test_a_prompt_is_played_by_the_path_of_its_file(tenants: Tenants) -> None:
    decision = play_on_2100(tenants, put_prompt(tenants))
    assert played(decision) == [("playback", prompt_path())]
    assert ("prompt", "matched", "prompt Welcome") in noted(decision)


@pytest.mark.parametrize(("words", "changes"), UNUSABLE.items())
def test_a_prompt_that_cannot_be_played_is_passed_over(
    tenants: Tenants, words: str, changes: dict[str, Any]
) -> None:
    prompt = put_prompt(tenants, **{"audio": None} | changes)
    then = {"then": {"type": "extension", "id": str(identifier("acme/1002"))}}
    decision = play_on_2100(tenants, prompt | then)
    assert (decision.outcome, played(decision)) == ("routed", [])
    assert any(name == "bridge" for name, _ in actions(decision.plan))
    assert ("prompt", "failed", f"prompt Welcome {words}") in noted(decision)
    alone = play_on_2100(tenants, prompt)
    assert alone.outcome == "unreachable"


def test_without_a_media_root_prompts_are_not_played() -> None:
    tenants = Tenants()
    tenants.snapshot = Snapshot()
    tenants.tenant("acme")
    assert play_on_2100(tenants, put_prompt(tenants)).outcome == "unreachable"


def test_a_prompt_of_another_tenant_is_not_there(tenants: Tenants) -> None:
    tenants.put("prompt", "globex/welcome", {"name": "Theirs", "audio": AUDIO})
    theirs = {"prompt_id": str(identifier("globex/welcome"))}
    decision = play_on_2100(tenants, theirs)
    assert decision.outcome == "unreachable"
    assert "Theirs" not in str(noted(decision))


def noted(decision: Decision) -> list[tuple[str, str, str]]:
    return [(it.step, it.result, it.detail) for it in decision.trace]


def menu(tenants: Tenants, **sounds: Any) -> dict[str, str]:
    """The attributes of the menu that FreeSWITCH is given."""
    made = tenants.put("ivr", "acme/menu", {"number": "2100", "name": "Menu"} | sounds)
    body = urlencode({"section": "configuration", "Menu-Name": menu_name(made)}).encode()
    found = etree.fromstring(ivr_conf(tenants.snapshot, XmlRequest(body))).find(".//menu")
    assert found is not None
    return {str(name): str(value) for name, value in found.attrib.items()}


def test_a_menu_plays_prompts_and_sounds_of_the_switch(tenants: Tenants) -> None:
    prompt = put_prompt(tenants)
    attributes = menu(tenants, greeting_long=prompt, invalid_sound=prompt, exit_sound="ivr/bye.wav")
    assert attributes["greet-long"] == attributes["greet-short"] == prompt_path()
    assert attributes["invalid-sound"] == prompt_path()
    assert attributes["exit-sound"] == "ivr/bye.wav"


@pytest.mark.parametrize(("words", "changes"), UNUSABLE.items())
def test_a_menu_without_its_prompts_waits_for_digits_all_the_same(
    tenants: Tenants, words: str, changes: dict[str, Any]
) -> None:
    prompt = put_prompt(tenants, **{"audio": None} | changes)
    attributes = menu(tenants, greeting_long=prompt, greeting_short=prompt, invalid_sound=prompt)
    assert attributes["greet-long"] == attributes["greet-short"] == "tone_stream://%(200,100,500)"
    assert "invalid-sound" not in attributes
    decision = tenants.dial("2100")
    assert decision.outcome == "routed"
    assert ("prompt", "failed", f"prompt Welcome {words}") in noted(decision)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [({}, ("set", f"ringback={prompt_path()}")), ({"audio": None}, ("ring_ready", ""))],
)
def test_a_ring_group_rings_with_a_prompt_if_it_can(
    tenants: Tenants, changes: dict[str, Any], expected: tuple[str, str]
) -> None:
    members = [{"extension_id": str(identifier("acme/1001"))}]
    body = {"number": "2200", "name": "Sales", "members": members}
    tenants.put("ring_group", "acme/2200", body | {"ringback": put_prompt(tenants, **changes)})
    assert played(tenants.dial("2200")) == [expected]


@pytest.mark.parametrize(
    ("files", "value"),
    [
        (("one",), music_path("one")),
        (("one", "two"), f"file_string://{music_path('one')}!{music_path('two')}"),
    ],
)
def test_music_on_hold_is_given_to_both_legs_of_calls_that_can_be_held(
    tenants: Tenants, files: tuple[str, ...], value: str
) -> None:
    put_music(tenants, *files)
    for decision in (tenants.dial("1002"), tenants.arrive("+12025550101")):
        assert played(decision) == [("export", f"hold_music={value}")]
        assert ("hold_music", "matched", "Piano is heard on hold") in noted(decision)


@pytest.mark.parametrize("changes", [{"enabled": False}, {"is_default": False}, {"files": []}])
def test_music_that_is_not_to_be_heard_is_not(tenants: Tenants, changes: dict[str, Any]) -> None:
    put_music(tenants, "one", **changes)
    assert played(tenants.dial("1002")) == []


def test_music_is_not_told_to_calls_that_nobody_can_hold(tenants: Tenants) -> None:
    put_music(tenants, "one")
    assert played(tenants.dial("*9999")) == []
