"""How every benchmark reports: a JSON document on stdout, a readable table on stderr.

Machines are shared and noisy, so each document carries what is needed to judge it: the commit,
the load average before and after, every sample, and the peer measured in the same run.
"""

from __future__ import annotations

import json
import math
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs

REPOSITORY = Path(__file__).parent.parent


@attrs.frozen
class Row:
    """One measured figure, and what it is held against.

    `samples` are the single measurements behind `figure`, in the same unit. With a `peer` the
    bounds `must` and `aim` are on the ratio to `peer_figure`; without one, on `figure` itself.
    A ratio over 1 always means that ours is better.
    """

    what: str
    figure: float
    unit: str
    samples: Sequence[float] = ()
    peer: str = ""
    peer_figure: float | None = None
    peer_samples: Sequence[float] = ()
    must: float | None = None
    aim: float | None = None
    lower_is_better: bool = False

    @property
    def ratio(self) -> float | None:
        """Ours to the peer's, turned so that more is better; None without a peer."""
        if self.peer_figure is None:
            return None
        if self.lower_is_better:
            return self.peer_figure / self.figure if self.figure else math.inf
        return self.figure / self.peer_figure if self.peer_figure else math.inf

    @property
    def verdict(self) -> str:
        """`aim`, `must` or `missed`: the highest bound reached; empty where there is none."""
        ratio = self.ratio
        value = self.figure if ratio is None else ratio
        downwards = self.lower_is_better and ratio is None
        for name, bound in (("aim", self.aim), ("must", self.must)):
            if bound is not None and (value <= bound if downwards else value >= bound):
                return name
        return "" if self.must is None and self.aim is None else "missed"


def percentile(samples: Sequence[float], fraction: float) -> float:
    """The smallest sample that `fraction` (0 to 1) of all samples do not exceed (nearest rank)."""
    ordered = sorted(samples)
    if not ordered:
        return math.nan
    return ordered[max(0, math.ceil(fraction * len(ordered)) - 1)]


def median(samples: Sequence[float]) -> float:
    """The sample in the middle."""
    return percentile(samples, 0.5)


def commit() -> str:
    """The commit being measured, with `+changes` when files differ from it."""
    try:
        head = _git("rev-parse", "--short=12", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no", "--", "nizam", "benchmarks")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head + ("+changes" if changed else "")


def load_average() -> list[float]:
    """The machine's load over 1, 5 and 15 minutes."""
    return [round(load, 2) for load in os.getloadavg()]


@attrs.define
class Report:
    """One benchmark's run. Make it before measuring: it notes the load average at the start."""

    benchmark: str
    rows: list[Row] = attrs.Factory(list)
    notes: dict[str, Any] = attrs.Factory(dict)
    started: float = attrs.Factory(time.time)
    load_before: list[float] = attrs.Factory(load_average)

    def add(self, row: Row) -> None:
        """Add one figure."""
        self.rows.append(row)

    def document(self) -> dict[str, Any]:
        """The run as JSON data."""
        return {
            "benchmark": self.benchmark,
            "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.started)),
            "seconds": round(time.time() - self.started, 1),
            "commit": commit(),
            "python": platform.python_version(),
            "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
            "load_average": {"before": self.load_before, "after": load_average()},
            "rows": [_row_document(row) for row in self.rows],
            "notes": self.notes,
        }

    def publish(self) -> None:
        """Write the JSON document to stdout and the table to stderr."""
        document = self.document()
        print(self._table(document), file=sys.stderr)
        print(json.dumps(document, indent=2))

    def _table(self, document: dict[str, Any]) -> str:
        heading = ("what", "figure", "unit", "peer", "peer's", "ratio", "must", "aim", "reached")
        lines = [heading] + [
            (
                row.what,
                _short(row.figure),
                row.unit,
                row.peer,
                _short(row.peer_figure),
                _short(row.ratio),
                _short(row.must),
                _short(row.aim),
                row.verdict,
            )
            for row in self.rows
        ]
        widths = [max(len(line[column]) for line in lines) for column in range(len(heading))]
        text = [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in lines
        ]
        load = document["load_average"]
        text.append(
            f"{document['benchmark']} at {document['commit']}, Python {document['python']}, "
            f"{document['machine']}, load {load['before'][0]} before, {load['after'][0]} after"
        )
        return "\n".join(text)


def _row_document(row: Row) -> dict[str, Any]:
    document: dict[str, Any] = {"what": row.what, "figure": _rounded(row.figure), "unit": row.unit}
    if row.peer:
        document |= {
            "peer": row.peer,
            "peer_figure": _rounded(row.peer_figure),
            "ratio": _rounded(row.ratio),
        }
    document |= {"must": row.must, "aim": row.aim, "reached": row.verdict or None}
    for name, samples in (("samples", row.samples), ("peer_samples", row.peer_samples)):
        if samples:
            document[name] = _summary(samples)
    return document


def _summary(samples: Sequence[float]) -> dict[str, Any]:
    summary: dict[str, Any] = {
        "count": len(samples),
        "p50": _rounded(percentile(samples, 0.5)),
        "p99": _rounded(percentile(samples, 0.99)),
        "max": _rounded(max(samples)),
    }
    # Thousands of latencies are summed up; a handful of repetitions is worth seeing.
    if len(samples) <= 50:
        summary["values"] = [_rounded(sample) for sample in samples]
    return summary


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.5g}")


def _short(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _git(*arguments: str) -> str:
    run = subprocess.run(
        ["git", *arguments], cwd=REPOSITORY, check=True, capture_output=True, text=True
    )
    return run.stdout.strip()
