"""Which metrics a PromQL expression asks for, and by which labels."""

from __future__ import annotations

import re

import attrs

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_GROUPING = re.compile(
    r"\b(by|without|on|ignoring|group_left|group_right)\s*\(([^()]*)\)", re.IGNORECASE
)
_RANGE = re.compile(r"\[[^\]]*\]")
_NAME = re.compile(r"(?<![\w:.$])([a-zA-Z_:][\w:]*)\s*(\{[^}]*\})?(?!\s*\(|[\w:])")
_LABEL = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
_WORDS = frozenset({"and", "or", "unless", "bool", "offset", "Inf", "NaN"})


@attrs.frozen
class Query:
    """What one expression names: metrics with the labels by which they are chosen, and the labels
    that group or match."""

    metrics: frozenset[tuple[str, frozenset[str]]]
    grouping: frozenset[str]

    @property
    def names(self) -> frozenset[str]:
        """The metrics alone."""
        return frozenset(name for name, _ in self.metrics)


def read(expression: str) -> Query:
    """Read it; whether it is sound PromQL is for promtool to say."""
    text = _RANGE.sub("", _STRING.sub("", expression))
    grouping = {
        label.strip()
        for _, labels in _GROUPING.findall(text)
        for label in labels.split(",")
        if label.strip()
    }
    text = _GROUPING.sub(" ", text)
    metrics = {
        (name, frozenset(_LABEL.findall(labels)))
        for name, labels in _NAME.findall(text)
        if name not in _WORDS
    }
    return Query(frozenset(metrics), frozenset(grouping))
