"""What is wrong with the graph of a call flow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from nizam.model.flow_nodes import INSTANT, FlowNode, exits

Fault = tuple[tuple[str | int, ...], str, str]
"""Where, as steps into the body; a stable code; words."""


def faults(start: str, nodes: Sequence[FlowNode]) -> Iterator[Fault]:
    """Ids that stand twice or lead nowhere, nodes that nothing leads to, and circles in which the
    caller hears nothing and presses nothing."""
    positions: dict[str, int] = {}
    for index, node in enumerate(nodes):
        if node.id in positions:
            yield ("nodes", index, "id"), "duplicate_node", f"'{node.id}' stands twice"
        positions.setdefault(node.id, index)
    if start not in positions:
        yield ("start",), "dead_end", f"there is no node '{start}'"
    for index, node in enumerate(nodes):
        for pointer, target in exits(node):
            if target not in positions:
                yield ("nodes", index, *_steps(pointer)), "dead_end", f"there is no node '{target}'"
    graph = {node.id: [target for _, target in exits(node)] for node in nodes}
    reached = _reached(start, graph)
    for index, node in enumerate(nodes):
        if start in positions and node.id not in reached:
            yield ("nodes", index), "unreachable_node", f"nothing leads to '{node.id}'"
    instant = {node.id for node in nodes if isinstance(node, INSTANT)}
    silent = {name: [it for it in graph[name] if it in instant] for name in instant}
    for index, node in enumerate(nodes):
        if node.id in instant and node.id in _reached_from(silent[node.id], silent):
            words = f"'{node.id}' leads back to itself without a digit or a sound"
            yield ("nodes", index), "loop", words


def reached_silently(start: str, nodes: Sequence[FlowNode]) -> frozenset[int]:
    """The positions of the nodes that a call comes to before the caller hears or presses
    anything."""
    graph = {
        node.id: [target for _, target in exits(node)] if isinstance(node, INSTANT) else []
        for node in nodes
    }
    reached = _reached(start, graph)
    return frozenset(index for index, node in enumerate(nodes) if node.id in reached)


def raise_faults(title: str, found: Iterable[Fault], value: Any) -> None:
    """Raise all of `found` as one ValidationError; nothing if there are none."""
    details = [
        InitErrorDetails(
            type=PydanticCustomError(code, "{words}", {"words": words}), loc=where, input=value
        )
        for where, code, words in found
    ]
    if details:
        raise ValidationError.from_exception_data(title, details)


def _steps(pointer: str) -> tuple[str | int, ...]:
    parts = pointer.split("/")[1:]
    return tuple(int(it) if it.isdigit() else it for it in parts)


def _reached(start: str, graph: Mapping[str, Sequence[str]]) -> set[str]:
    return _reached_from([start], graph)


def _reached_from(starts: Iterable[str], graph: Mapping[str, Sequence[str]]) -> set[str]:
    reached: set[str] = set()
    waiting = list(starts)
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting.extend(graph.get(name, ()))
    return reached
