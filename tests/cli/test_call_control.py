"""`nizam call`: what each command asks for, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from tests.cli.conftest import nizam

CALL = "5f0f3b8e-6c1f-4d0b-9d7a-2f4f1d0c9b11"
LEG = "5f0f3b8e-6c1f-4d0b-9d7a-2f4f1d0c9b12"
TENANT = "01937a5e-0000-7000-8000-000000000001"
ENVIRONMENT = {"NIZAM_URL": "http://127.0.0.1", "NIZAM_API_KEY": "-", "NIZAM_TENANT": TENANT}


@pytest.mark.parametrize(
    ("command", "path", "body"),
    [
        ("originate 1001 1002", "calls", {"from": "1001", "to": "1002"}),
        (
            "originate 1001 1002 --auto-answer --ring-seconds 10 --caller-id +12025550101",
            "calls",
            {
                "from": "1001",
                "to": "1002",
                "auto_answer": True,
                "ring_seconds": 10,
                "caller_id": "+12025550101",
            },
        ),
        (f"hangup {CALL} --cause USER_BUSY", f"calls/{CALL}/hangup", {"cause": "USER_BUSY"}),
        (
            f"transfer {CALL} 1003 --leg {LEG}",
            f"calls/{CALL}/transfer",
            {"to": "1003", "leg_id": LEG},
        ),
        (
            f"join {CALL} {LEG}",
            f"calls/{CALL}/transfer",
            {"type": "attended", "with_call_id": LEG},
        ),
        (f"hold {CALL}", f"calls/{CALL}/hold", {}),
        (f"resume {CALL}", f"calls/{CALL}/resume", {}),
        (f"park {CALL} --lot 5900", f"calls/{CALL}/park", {"lot": "5900"}),
        (f"bridge {CALL} {LEG}", f"calls/{CALL}/bridge", {"other_call_id": LEG}),
        (
            f"play {CALL} ivr/x.wav --heard-by leg",
            f"calls/{CALL}/play",
            {"sound": "ivr/x.wav", "heard_by": "leg"},
        ),
        (
            f"play {CALL} --prompt {LEG}",
            f"calls/{CALL}/play",
            {"prompt_id": LEG, "heard_by": "both"},
        ),
        (f"stop-playing {CALL}", f"calls/{CALL}/play/stop", {}),
        (f"say {CALL} Hello", f"calls/{CALL}/say", {"text": "Hello", "heard_by": "both"}),
        (f"dtmf {CALL} 12#", f"calls/{CALL}/dtmf", {"digits": "12#"}),
        (f"record start {CALL}", f"calls/{CALL}/record/start", {}),
        (f"record pause {CALL}", f"calls/{CALL}/record/pause", {}),
        (f"mute {CALL}", f"calls/{CALL}/mute", {}),
        (f"unmute {CALL}", f"calls/{CALL}/unmute", {}),
        (f"supervise whisper {CALL} 1009", f"calls/{CALL}/whisper", {"by": "1009"}),
    ],
)
def test_each_command_asks_for_what_it_says(
    monkeypatch: pytest.MonkeyPatch, command: str, path: str, body: Mapping[str, Any]
) -> None:
    asked: list[tuple[str, str, Any]] = []

    def answer(client: httpx.Client, request: httpx.Request, **options: Any) -> httpx.Response:
        asked.append((request.method, request.url.path, json.loads(request.content)))
        return httpx.Response(202, json={"call_id": CALL, "state": "dialling"}, request=request)

    monkeypatch.setattr(httpx.Client, "send", answer)
    done = nizam("call", *command.split(), environment=ENVIRONMENT)
    assert done.exit_code == 0, done.output
    assert asked == [("POST", f"/api/v1/tenants/{TENANT}/{path}", body)]
    assert CALL in done.stdout


@pytest.mark.parametrize(("state", "status"), [("answered", 0), ("failed", 1)])
def test_a_call_that_did_not_come_about_ends_with_1(
    monkeypatch: pytest.MonkeyPatch, state: str, status: int
) -> None:
    def answer(client: httpx.Client, request: httpx.Request, **options: Any) -> httpx.Response:
        assert request.url.query == b"wait=10"
        return httpx.Response(202, json={"call_id": CALL, "state": state}, request=request)

    monkeypatch.setattr(httpx.Client, "send", answer)
    for arguments in (("originate", "1001", "1002"), ("outcome", CALL)):
        done = nizam("call", *arguments, "--wait", "10", environment=ENVIRONMENT)
        assert done.exit_code == status, done.output
