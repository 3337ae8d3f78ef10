"""Dashboards: sound for Grafana and Prometheus, and about metrics that there are."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from nizam.ops.metrics_page import declared
from tests.deploy.exported import wrong
from tests.deploy.files import DEPLOY
from tests.deploy.promql import read
from tests.deploy.test_prometheus import promtool, recorded

FOLDER = DEPLOY / "grafana"
DASHBOARDS = sorted((FOLDER / "dashboards").glob("*.json"))
_INTERVALS = {"$__rate_interval": "5m", "$__interval": "1m"}


def dashboard(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text())
    return document


def expressions(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for panel in document["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], _plain(target["expr"])
    for annotation in document["annotations"]["list"]:
        yield annotation["name"], _plain(annotation["expr"])


def _plain(expression: str) -> str:
    for variable, value in _INTERVALS.items():
        expression = expression.replace(variable, value)
    return expression.replace("$instance", ".*")


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda it: it.stem)
def test_a_dashboard_asks_for_metrics_and_labels_that_the_daemon_exports(path: Path) -> None:
    found = [(title, wrong(it, recorded())) for title, it in expressions(dashboard(path))]
    assert len(found) > 5
    assert [it for it in found if it[1]] == []
    for _, expression in expressions(dashboard(path)):
        assert "$" not in expression, "a variable that no dashboard has"


def test_every_query_is_sound_for_prometheus(tmp_path: Path) -> None:
    found = [it for path in DASHBOARDS for _, it in expressions(dashboard(path))]
    listed = [{"record": f"query{n}", "expr": it} for n, it in enumerate(found)]
    document = {"groups": [{"name": "dashboards", "rules": listed}]}
    (tmp_path / "queries.yml").write_text(yaml.safe_dump(document))
    promtool("check", "rules", "queries.yml", folder=tmp_path)


def test_every_metric_is_on_a_dashboard() -> None:
    shown: frozenset[str] = frozenset().union(
        *(read(it).names for path in DASHBOARDS for _, it in expressions(dashboard(path)))
    )
    missing = [it.name for it in declared() if not it.exported & shown]
    # Of the version there is nothing to draw; the instances are chosen by it.
    assert missing == ["nizam_build_info"]
    assert all("label_values(nizam_build_info, instance)" in it.read_text() for it in DASHBOARDS)


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda it: it.stem)
def test_panels_have_their_own_place_and_the_chosen_source(path: Path) -> None:
    document = dashboard(path)
    panels = document["panels"]
    assert document["uid"] == f"nizam-{path.stem}"
    assert len({it["id"] for it in panels}) == len(panels)
    variables = {it["name"] for it in document["templating"]["list"]}
    assert variables == {"source", "instance"}
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        if panel["type"] != "row":
            assert panel["datasource"] == {"type": "prometheus", "uid": "${source}"}
            assert all(it["legendFormat"] or panel["type"] == "stat" for it in panel["targets"])
    for one, other in itertools.combinations((it["gridPos"] for it in panels), 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below, (one, other)


def test_provisioning_names_the_source_and_a_folder_for_the_dashboards() -> None:
    sources = yaml.safe_load((FOLDER / "provisioning/datasources/prometheus.yml").read_text())
    assert [it["type"] for it in sources["datasources"]] == ["prometheus"]
    scrape = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())
    interval = sources["datasources"][0]["jsonData"]["timeInterval"]
    assert interval == scrape["global"]["scrape_interval"]
    provider = yaml.safe_load((FOLDER / "provisioning/dashboards/nizam.yml").read_text())
    assert provider["providers"][0]["type"] == "file"
