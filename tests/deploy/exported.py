"""What the daemon exports, as its registry says, and whether a query fits it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from nizam.metrics import REGISTRY
from nizam.ops.metrics_page import Declared, declared
from tests.deploy.promql import Query, read

# What Prometheus adds when it asks an instance.
_ADDED = frozenset({"job", "instance"})
_OF_PROMETHEUS = {"up": frozenset[str](), "ALERTS": frozenset({"alertname", "alertstate"})}


@cache
def metrics() -> Mapping[str, Declared]:
    """Our metrics, by every name that a query may ask for."""
    return {name: it for it in declared() for name in it.exported}


@cache
def labels() -> Mapping[str, frozenset[str]]:
    """The labels of every name that a query may ask for."""
    found = dict(_OF_PROMETHEUS)
    for name, it in metrics().items():
        le = {"le"} if name.endswith("_bucket") else set[str]()
        found[name] = frozenset(it.labels) | le
    for family in REGISTRY.collect():
        if family.name.startswith(("process_", "python_")):
            for sample in family.samples:
                found[sample.name] = frozenset(sample.labels)
    return found


def wrong(expression: str, recorded: Mapping[str, frozenset[str]] | None = None) -> list[str]:
    """What in an expression nothing exports. `recorded` has the recording rules, with labels."""
    query: Query = read(expression)
    known = {**labels(), **(recorded or {})}
    found = [f"nothing exports {it}" for it in sorted(query.names - known.keys())]
    if not query.names:
        found.append(f"asks for no metric: {expression}")
    for name, chosen in sorted(query.metrics, key=str):
        found += [
            f"{name} has no label {label}"
            for label in sorted(chosen - known.get(name, chosen) - _ADDED)
        ]
    any_label = frozenset().union(*(known.get(it, frozenset()) for it in query.names)) | _ADDED
    found += [f"nothing that is asked for has the label {it}" for it in query.grouping - any_label]
    return found
