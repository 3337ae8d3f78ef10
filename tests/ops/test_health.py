"""What `/api/health` and the probes say, for every state of what NIZAM leans on."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from nizam.errors import DatabaseUnavailable
from nizam.metrics import REGISTRY
from nizam.ops.health import Finding, Health, State, probe_resources

OK = Finding(State.OK)
DEGRADED = Finding(State.DEGRADED)
FAILED = Finding(State.FAILED)


@pytest.mark.parametrize(
    ("snapshot", "esl", "status", "code"),
    [
        (OK, OK, "healthy", 200),
        (OK, DEGRADED, "degraded", 200),
        (FAILED, OK, "unhealthy", 503),
        (FAILED, DEGRADED, "unhealthy", 503),
    ],
)
def test_the_worst_check_decides(snapshot: Finding, esl: Finding, status: str, code: int) -> None:
    health = Health(Clock(), {"snapshot": lambda: snapshot, "esl": lambda: esl}, {})
    answered, document = health.report()
    assert (answered, document["status"]) == (code, status)
    assert health.ready is (code == 200)


def test_the_document_has_the_shape_of_the_deployment_guide() -> None:
    checks = {
        "esl": lambda: Finding(State.OK, {"connected": True}),
        "gateways": lambda: Finding(State.OK, {"gateways": []}),
    }
    assert Health(Clock(), checks, {}).report()[1] == {
        "status": "healthy",
        "checks": {
            "app": {"status": "ok"},
            "esl": {"connected": True, "status": "ok"},
            "gateways": {"status": "ok", "gateways": []},
        },
    }


def test_a_draining_instance_is_taken_out_of_the_load_balancer() -> None:
    health = Health(Clock(), {}, {})
    was_ready = health.ready
    health.drain()
    assert was_ready
    assert health.report()[0] == 503
    assert not health.ready
    assert health.started_up


async def _unavailable() -> None:
    raise DatabaseUnavailable


async def _silent() -> None:
    silence: Deferred[None] = Deferred()
    await silence


async def _well() -> None:
    """It answers."""


@pytest.mark.parametrize(
    ("probe", "state"),
    [(_well, State.OK), (_unavailable, State.DEGRADED), (_silent, State.DEGRADED)],
)
def test_a_peer_that_fails_or_is_silent_degrades(probe: Any, state: State) -> None:
    clock = Clock()
    health = Health(clock, {}, {"database": probe})
    health.startService()
    clock.advance(1.0)
    assert health.findings()["database"].state is state
    assert health.ready
    health.stopService()
    assert not [it for it in clock.getDelayedCalls() if it.active()]


def test_the_probes_have_the_names_that_orchestrators_ask_for() -> None:
    assert set(probe_resources(Health(Clock(), {}, {}))) == {b"livez", b"readyz", b"startupz"}


def test_every_check_is_a_metric_too() -> None:
    checks = {"good": lambda: OK, "poor": lambda: DEGRADED, "bad": lambda: FAILED}
    Health(Clock(), checks, {}).measure()
    shown = {it: REGISTRY.get_sample_value("nizam_check_ok", {"check": it}) for it in checks}
    assert shown == {"good": 1.0, "poor": 0.0, "bad": 0.0}
