"""`docs/metrics.md`, written from the declarations in `nizam/metrics.py`.

`python -m nizam.ops.metrics_page`, run in the repository, writes it; a test checks that it is
current.
"""

from __future__ import annotations

from pathlib import Path

import attrs
from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

from nizam import metrics

_HEAD = """\
# Metrics

Written from the declarations in `nizam/metrics.py`: what `GET /metrics` shows beside the usual
`process_*` and `python_*`. A metric with labels has no line before something was measured. Of a
histogram `x` there are `x_bucket` with the label `le`, in seconds, `x_sum` and `x_count`;
quantiles are computed by the query ([monitoring.md](monitoring.md)).

| metric | kind | labels | tells |
|---|---|---|---|
"""


@attrs.frozen
class Declared:
    """A metric as `nizam/metrics.py` declares it: `name` as it is exported, without the suffixes
    of histograms."""

    name: str
    kind: str
    labels: tuple[str, ...]
    text: str
    buckets: tuple[float, ...] = ()

    @property
    def exported(self) -> frozenset[str]:
        """The names that queries use."""
        suffixes = ("_bucket", "_sum", "_count") if self.kind == "histogram" else ("",)
        return frozenset(self.name + it for it in suffixes)


def declared() -> list[Declared]:
    """All of them, in the order of their names."""
    found = [_read(it) for it in vars(metrics).values() if isinstance(it, MetricWrapperBase)]
    return sorted(found, key=lambda it: it.name)


def _read(metric: MetricWrapperBase) -> Declared:
    family = next(iter(metric.describe()))
    kind = {Counter: "counter", Gauge: "gauge", Histogram: "histogram"}[type(metric)]
    name = f"{family.name}_total" if kind == "counter" else family.name
    buckets = tuple(metric._upper_bounds) if isinstance(metric, Histogram) else ()
    return Declared(name, kind, tuple(metric._labelnames), family.documentation, buckets)


def page() -> str:
    """The whole page."""
    rows = [
        f"| `{it.name}` | {it.kind} | {', '.join(f'`{name}`' for name in it.labels) or '-'} |"
        f" {it.text} |"
        for it in declared()
    ]
    return _HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    Path("docs/metrics.md").write_text(page())
