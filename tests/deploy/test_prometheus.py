"""Rules and scrape configuration: sound for Prometheus, and about metrics that there are."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from nizam.metrics import REGISTRY
from nizam.ops import metrics_page
from tests.deploy.exported import metrics, wrong
from tests.deploy.files import DEPLOY, REPOSITORY, tool
from tests.pages import blocks, commands

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


def test_the_scrape_configuration_is_sound() -> None:
    promtool("check", "config", "--syntax-only", "prometheus.yml")


COMMANDS = [it for it in commands("monitoring.md") if it.startswith("promtool ")]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda it: it.split()[1])
def test_the_commands_of_the_page_find_rules_sound_and_alerts_right(command: str) -> None:
    promtool(*shlex.split(command)[1:], folder=REPOSITORY)


def test_the_commands_of_the_page_ask_about_every_file() -> None:
    named = {Path(word).name for command in COMMANDS for word in command.split()[3:]}
    assert named == {it.name for it in FOLDER.iterdir()} - {"prometheus.yml"}


def test_queries_of_the_page_ask_for_metrics_that_there_are() -> None:
    queries = blocks("monitoring.md", "promql")
    assert [wrong(it) for it in queries] == [[]] * len(queries)


@pytest.mark.parametrize("page", ["monitoring.md", "security.md"])
def test_settings_that_the_page_names_exist(page: str) -> None:
    text, settings = (REPOSITORY / "docs" / page).read_text(), REPOSITORY / "docs/settings.md"
    named = set(re.findall(r"\b(?:NIZAM|DB|REDIS|ESL|MAIL)_[A-Z][A-Z_]+\b", text))
    known = set(re.findall(r"`([A-Z][A-Z_]+)`", settings.read_text()))
    assert len(named) > 3
    assert named - known == set()


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


def test_counters_whose_first_increment_is_an_alert_are_there_from_the_start() -> None:
    awaited = [
        (metric, {label: value})
        for rule in rules("alerts.yml")
        for metric, label, values in re.findall(
            r'\bincrease\((\w+_total)\{(\w+)=~?"([^"]+)"\}', rule["expr"]
        )
        for value in values.split("|")
    ]
    assert len(awaited) > 6
    assert [it for it in awaited if REGISTRY.get_sample_value(*it) is None] == []


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
    assert text == metrics_page.page()
    families = {it.name for it in REGISTRY.collect() if it.name.startswith("nizam_")}
    documented = {it.removesuffix("_total") for it in re.findall(r"^\| `(\w+)`", text, re.M)}
    assert families == documented
