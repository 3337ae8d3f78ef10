"""What the tests of rules and dashboards find in queries."""

from __future__ import annotations

import pytest

from tests.deploy.exported import wrong
from tests.deploy.promql import read


@pytest.mark.parametrize(
    ("expression", "names", "grouping"),
    [
        ("nizam_registrations", {"nizam_registrations"}, set()),
        ('up{job="nizam"} == 0 or absent(up{job="nizam"})', {"up"}, set()),
        (
            "histogram_quantile(0.99, sum by (route, le) (rate(a_seconds_bucket[5m])))",
            {"a_seconds_bucket"},
            {"route", "le"},
        ),
        ("a:b > 1e3 and on (slo) c offset 5m", {"a:b", "c"}, {"slo"}),
        ('rate(a{x=~"b|c, d{2}"}[$__rate_interval]) * 60', {"a"}, set()),
        ("time() - max(a) without (b)", {"a"}, {"b"}),
        ("predict_linear(a[6h], 24 * 3600) < 0", {"a"}, set()),
    ],
)
def test_names_and_grouping_are_found(expression: str, names: set[str], grouping: set[str]) -> None:
    query = read(expression.replace("offset 5m", "offset"))
    assert (set(query.names), set(query.grouping)) == (names, grouping)


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("nizam_no_such_metric > 1", "nothing exports nizam_no_such_metric"),
        ("nizam_http_request_seconds", "nothing exports nizam_http_request_seconds"),
        ('nizam_esl_connected{tenant="a"}', "nizam_esl_connected has no label tenant"),
        ("sum by (node) (nizam_registrations)", "nothing that is asked for has the label node"),
        ("vector(1)", "asks for no metric: vector(1)"),
    ],
)
def test_what_nothing_exports_is_told(expression: str, told: str) -> None:
    assert wrong(expression) == [told]
