"""A daemon at work exports and logs what rules, dashboards and examples ask for."""

from __future__ import annotations

import json
import os
import re
import subprocess
from datetime import UTC, datetime
from typing import Any

import yaml
from prometheus_client.parser import text_string_to_metric_families

from nizam.ops.metrics_page import declared
from tests.daemon.conftest import site
from tests.daemon.process import until
from tests.daemon.site import NODE, Site
from tests.deploy.exported import labels
from tests.deploy.files import DEPLOY, REPOSITORY, tool
from tests.pages import commands

__all__ = ["site"]
Samples = dict[str, list[tuple[dict[str, str], float]]]
LOGS = DEPLOY / "logs"
ALWAYS = ("timestamp", "level", "logger", "event")
LEVELS = {"debug", "info", "warning", "error", "critical"}
LOCAL_SECONDS = 10
# What a run of a few calls has measured. The others need a failure, a second instance or an hour.
MEASURED = (
    "nizam_active_calls",
    "nizam_build_info",
    "nizam_cdr_posts_total",
    "nizam_check_ok",
    "nizam_db_pool_in_use",
    "nizam_db_wait_seconds_count",
    "nizam_esl_connected",
    "nizam_esl_event_lag_seconds_count",
    "nizam_event_store_seconds_count",
    "nizam_events_stored_total",
    "nizam_http_request_seconds_count",
    "nizam_media_root_free_bytes",
    "nizam_media_root_size_bytes",
    "nizam_media_root_up",
    "nizam_reactor_stall_seconds_count",
    "nizam_registrations",
    "nizam_webhook_attempt_seconds_count",
    "nizam_webhook_queue_depth",
    "nizam_webhook_wait_seconds_count",
    "nizam_xml_request_seconds_count",
)


async def test_a_daemon_at_work_exports_and_logs_what_is_promised(site: Site) -> None:
    missing = set(MEASURED)

    async def measured() -> bool:
        found = await _scrape(site)
        missing.difference_update(
            name for name, given in found.items() if any(value > 0 for _, value in given)
        )
        return not missing

    # What it refuses waits for its next attempt: a queue that is always empty measures nothing.
    site.receiver.failing.add("")
    site.switch.calls.start(10.0)
    await until(site.reactor, measured, 10.0)
    site.receiver.failing.clear()
    site.switch.stop_calls()
    assert missing == set()
    await site.daemon.get("/api/v1/tenants/nobody")
    _is_sound((await site.daemon.get("/metrics"))[1])
    samples = await _scrape(site)
    _fits_the_registry(samples)
    assert {it["check"]: value for it, value in samples["nizam_check_ok"]} == dict.fromkeys(
        (
            *("app", "esl", "gateways", "live", "schema", "snapshot"),
            *("intake", "scheduler", "database", "redis"),
        ),
        1.0,
    )
    answers = {it["status"] for it, value in samples["nizam_cdr_posts_total"] if value > 0}
    refused = {(it["node"], value) for it, value in samples["nizam_esl_refusals_total"]}
    assert refused == {(NODE, 0.0)}
    assert answers == {"200"}

    async def nothing_spilled() -> bool:
        return _only(await _scrape(site), "nizam_events_spilled") == 0

    assert await until(site.reactor, nothing_spilled, 5.0)

    _the_page_asks_for_them(site)
    site.switch.refuse_connections()
    site.switch.cut()

    async def cut() -> bool:
        found = await _scrape(site)
        checks = {it["check"]: value for it, value in found["nizam_check_ok"]}
        return _only(found, "nizam_esl_connected") == 0 and checks["esl"] == 0

    assert await until(site.reactor, cut, 5.0)
    _logs_are_as_promised(site.daemon.log_tail(10_000_000))


async def _scrape(site: Site) -> Samples:
    status, body = await site.daemon.get("/metrics")
    assert status == 200
    found: Samples = {}
    for family in text_string_to_metric_families(body.decode()):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def _only(samples: Samples, name: str) -> float:
    ((_, value),) = samples[name]
    return value


def _fits_the_registry(samples: Samples) -> None:
    """Every line has the labels that rules and dashboards are checked against."""
    lines = {name: given for name, given in samples.items() if not name.endswith("_created")}
    for name, given in lines.items():
        assert {frozenset(it) for it, _ in given} == {labels().get(name)}, name
    unlabelled = {name for it in declared() if not it.labels for name in it.exported}
    assert unlabelled <= lines.keys()


def _the_page_asks_for_them(site: Site) -> None:
    """The command of docs/monitoring.md, at the port that this daemon has."""
    (command,) = [it for it in commands("monitoring.md") if it.startswith("curl ")]
    tool("curl", "curl")
    port = site.daemon.base.rpartition(":")[2]
    done = subprocess.run(
        ["sh", "-c", command.replace(":8080/", f":{port}/")],
        env={**os.environ, "NIZAM_METRICS_TOKEN": "any"},
        capture_output=True,
        timeout=LOCAL_SECONDS,
        check=True,
    )
    assert b"nizam_build_info" in done.stdout


def _is_sound(text: bytes) -> None:
    program = tool("promtool", "prometheus")
    done = subprocess.run(
        [program, "check", "metrics"],
        input=text,
        capture_output=True,
        timeout=LOCAL_SECONDS,
        check=False,
    )
    assert b"error while linting" not in done.stderr, done.stderr.decode()


# -- logs ----------------------------------------------------------------------------------------


def _logs_are_as_promised(text: str) -> None:
    lines: list[dict[str, Any]] = [json.loads(line) for line in text.splitlines()]
    assert len(lines) > 10
    for line in lines:
        assert [it for it in ALWAYS if not isinstance(line.get(it), str)] == [], line
        assert line["level"] in LEVELS
        assert all(isinstance(it, str) for it in line)
    answered = next(it for it in lines if it.get("status") == 404)
    assert answered.keys() >= _documented("of answered requests") | _documented("of requests")
    assert set(ALWAYS) == _documented("yes")
    known = frozenset().union(*lines) | {"error", "traceback"}
    _loki_takes(lines)
    _elasticsearch_takes(lines, known)
    _cloudwatch_takes(lines)


def _documented(when: str) -> set[str]:
    text = (REPOSITORY / "docs/monitoring.md").read_text()
    rows = re.findall(rf"^\| ([^|]+) \| {when} \|", text, re.MULTILINE)
    return set(re.findall(r"`(\w+)`", " ".join(rows)))


def _loki_takes(lines: list[dict[str, Any]]) -> None:
    document = yaml.safe_load((LOGS / "promtail.yml").read_text())
    stages: dict[str, Any] = {}
    for stage in document["scrape_configs"][0]["pipeline_stages"]:
        stages |= stage
    alloy = (LOGS / "alloy.alloy").read_text()
    for name, expression in stages["json"]["expressions"].items():
        assert all(isinstance(it[expression], str) for it in lines)
        assert f'{name} = "{expression}"' in alloy
    assert stages["timestamp"]["format"] == "RFC3339Nano"
    assert 'format = "RFC3339Nano"' in alloy
    assert stages["timestamp"]["source"] in stages["json"]["expressions"]
    for line in lines:
        moment = datetime.fromisoformat(line["timestamp"])
        assert line["timestamp"].endswith("Z")
        assert moment.tzinfo == UTC
    # A label with many values would make a stream of each.
    assert set(stages["labels"]) == {"level", "logger"}
    assert 'values = {level = "", logger = ""}' in alloy
    assert alloy.count("{") == alloy.count("}")


def _elasticsearch_takes(lines: list[dict[str, Any]], known: frozenset[str]) -> None:
    document = yaml.safe_load((LOGS / "filebeat.yml").read_text())
    parser = document["filebeat.inputs"][0]["parsers"][0]["ndjson"]
    assert all(parser["message_key"] in it for it in lines)
    processors: dict[str, Any] = {}
    for processor in document["processors"]:
        processors |= processor
    (layout,) = processors["timestamp"]["layouts"]
    shape = re.sub(r"\d", r"\\d", re.escape(layout))
    assert all(re.fullmatch(shape, it["timestamp"]) for it in lines)
    assert all(re.fullmatch(shape, it) for it in processors["timestamp"]["test"])
    prefix = f"{parser['target']}."
    moved = {it["from"] for it in processors["rename"]["fields"]}
    used = {*moved, *processors["drop_fields"]["fields"], processors["timestamp"]["field"]}
    assert {it.removeprefix(prefix) for it in used} <= known


def _cloudwatch_takes(lines: list[dict[str, Any]]) -> None:
    document = json.loads((LOGS / "amazon-cloudwatch-agent.json").read_text())
    (file,) = document["logs"]["logs_collected"]["files"]["collect_list"]
    assert file["timezone"] == "UTC"
    for line in lines:
        text, zone = line["timestamp"][:-1], line["timestamp"][-1]
        read = datetime.strptime(text, file["timestamp_format"]).replace(tzinfo=UTC)
        assert (read, zone) == (datetime.fromisoformat(line["timestamp"]), "Z")
    assert file["file_path"] in (REPOSITORY / "docs/monitoring.md").read_text()
