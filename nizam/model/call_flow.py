"""A call flow: a graph of steps that a call goes through. Calls follow the published version."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, Field, model_validator

from nizam.model.base import Body, Value
from nizam.model.flow_graph import faults, raise_faults, reached_silently
from nizam.model.flow_nodes import FlowNode, NodeId
from nizam.model.resource import Column, Fields, Resource
from nizam.model.values import InternalNumber, Label

Nodes = Annotated[tuple[FlowNode, ...], Field(min_length=1, max_length=200)]


class PublishedFlow(Value):
    """The version that calls follow."""

    version: int
    """Which of the published versions it is."""
    published_at: AwareDatetime
    """Since when calls follow it."""
    start: NodeId
    """The id of the node where calls begin."""
    nodes: Nodes
    """The nodes."""


class CallFlow(Body):
    """What a caller goes through, as a graph of nodes. The fields are the draft; calls follow what
    was published. `status` is published while the draft is what calls follow, and draft
    otherwise."""

    number: InternalNumber | None = None
    """The number to dial inside the tenant."""
    name: Label
    """Its name, for people."""
    start: NodeId
    """The id of the node where calls begin."""
    nodes: Nodes
    """The nodes; every one of them must be reached from the start."""
    status: Literal["draft", "published"] = "draft"
    """published while the draft is what calls follow."""
    published: PublishedFlow | None = None
    """The version that calls follow; null before the first."""

    @model_validator(mode="after")
    def _sound_graph(self) -> Self:
        raise_faults("CallFlow", faults(self.start, self.nodes), self.nodes)
        return self


def _status(values: Fields) -> dict[str, Any]:
    published = values.get("published") or {}
    same = all(values[name] == published.get(name) for name in ("start", "nodes"))
    return {"status": "published" if same else "draft"}


def _passes(body: CallFlow, path: str) -> bool:
    steps = path.split("/")[1:]
    flow = body.published if steps[0] == "published" else body
    if flow is None:
        return False
    position = int(steps[steps.index("nodes") + 1])
    return position in reached_silently(flow.start, flow.nodes)


RESOURCE = Resource(
    name="call_flow",
    path="call-flows",
    body=CallFlow,
    columns=(Column("number"), Column("name"), Column("status"), Column("enabled", "boolean")),
    search=("number", "name"),
    dialable=True,
    destination=True,
    passes=_passes,
    read_only=("status", "published"),
    in_documents=("published",),
    derive=_status,
    example={
        "number": "5100",
        "name": "Order status",
        "start": "welcome",
        "nodes": [
            {
                "id": "welcome",
                "type": "play",
                "sound": "ivr/ivr-welcome.wav",
                "next": "order",
            },
            {
                "id": "order",
                "type": "collect",
                "variable": "order",
                "max_digits": 8,
                "branches": [{"digits": "0", "next": "desk"}],
                "next": "look_up",
                "timeout_next": "bye",
            },
            {
                "id": "look_up",
                "type": "http",
                "url": "https://example.com/orders",
                "next": "desk",
                "error_next": "bye",
            },
            {
                "id": "desk",
                "type": "bridge",
                "destination": {
                    "type": "extension",
                    "id": "01937a5e-0000-7000-8000-000000000001",
                },
                "next": "bye",
            },
            {"id": "bye", "type": "hangup"},
        ],
    },
)
