"""Rules and scrape configuration: sound for Prometheus, and about metrics that there are."""

from __future__ import annotations

import re
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from nizam.metrics import REGISTRY
from nizam.ops.metrics_page import page
from tests.deploy.exported import metrics, wrong
from tests.deploy.files import DEPLOY, REPOSITORY, tool

FOLDER = DEPLOY / "prometheus"
PROMTOOL_SECONDS = 120


@cache
def document(name: str) -> Any:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load((FOLDER / name).read_text(), loader)  # noqa: S506 - a safe loader


def rules(name: str) -> list[dict[str, Any]]:
    return [rule for group in document(name)["groups"] for rule in group["rules"]]


@cache
def recorded() -> dict[str, frozenset[str]]:
    return {it["record"]: frozenset(it["labels"]) for it in rules("recording.yml")}


def alerts() -> dict[str, dict[str, Any]]:
    return {it["alert"]: it for it in rules("alerts.yml")}


def promtool(*arguments: str, folder: Path = FOLDER) -> None:
    program = tool("promtool", "prometheus")
    done = subprocess.run(
        [program, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=PROMTOOL_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_rules_and_scrape_configuration_are_sound() -> None:
    promtool("check", "rules", "recording.yml", "alerts.yml")
    promtool("check", "config", "--syntax-only", "prometheus.yml")


@pytest.mark.parametrize("name", ["alerts_test.yml", "slo_test.yml"])
def test_alerts_fire_when_they_should_and_only_then(name: str) -> None:
    promtool("test", "rules", name)


def test_every_alert_is_shown_firing_and_not_firing() -> None:
    shown: dict[str, set[bool]] = defaultdict(set)
    for name in ("alerts_test.yml", "slo_test.yml"):
        for test in document(name)["tests"]:
            for case in test.get("alert_rule_test", ()):
                shown[case["alertname"]].add(bool(case["exp_alerts"]))
    assert {name: shown[name] for name in alerts()} == {it: {True, False} for it in alerts()}


def test_rules_ask_for_metrics_and_labels_that_the_daemon_exports() -> None:
    for rule in rules("recording.yml") + rules("alerts.yml"):
        name = rule.get("record") or rule["alert"]
        assert (name, wrong(rule["expr"], recorded())) == (name, [])


def test_bounds_in_rules_are_buckets_of_the_histogram() -> None:
    found = 0
    for metric, bound in _bounds():
        found += 1
        written = [str(it) for it in metrics()[metric].buckets]
        assert bound in written, f"{metric} has {', '.join(written)}"
    assert found > 5


def _bounds() -> Iterator[tuple[str, str]]:
    for rule in rules("recording.yml") + rules("alerts.yml"):
        yield from re.findall(r'(\w+_bucket)\{[^}]*le="([^"]+)"', rule["expr"])


def test_every_alert_has_a_severity_and_a_chapter_of_its_own_that_says_what_to_do() -> None:
    text = (REPOSITORY / "docs/monitoring.md").read_text()
    chapters = dict(re.findall(r"^### (\w+)\n\n(.+?)(?=\n#|\Z)", text, re.MULTILINE | re.DOTALL))
    for name, alert in alerts().items():
        assert alert["labels"]["severity"] in ("page", "ticket"), name
        assert alert["annotations"]["runbook"] == f"docs/monitoring.md#{name.lower()}"
        assert len(chapters.get(name, "")) > 80, f"docs/monitoring.md says nothing of {name}"
    assert chapters.keys() <= alerts().keys(), "a chapter of an alert that there is not"


def test_every_objective_is_in_the_documentation_with_its_budget() -> None:
    text = (REPOSITORY / "docs/monitoring.md").read_text()
    budgets = {}
    for rule in rules("recording.yml"):
        if rule["record"] == "nizam_slo:burn:rate1h":
            budgets[rule["labels"]["slo"]] = float(rule["expr"].rpartition("/")[2])
    assert len(budgets) == 7
    for slo, budget in budgets.items():
        assert re.search(rf"^\| `{slo}` \|.*\| {budget * 100:g} % \|", text, re.MULTILINE), slo


def test_every_metric_is_in_the_documentation() -> None:
    """Where this fails: `python -m nizam.ops.metrics_page`."""
    text = (REPOSITORY / "docs/metrics.md").read_text()
    assert text == page()
    families = {it.name for it in REGISTRY.collect() if it.name.startswith("nizam_")}
    documented = {it.removesuffix("_total") for it in re.findall(r"^\| `(\w+)`", text, re.M)}
    assert families == documented
