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
    published_at: AwareDatetime
    start: NodeId
    nodes: Nodes


class CallFlow(Body):
    """The writable fields are the draft. `status` is published while the draft is what calls
    follow, and draft otherwise."""

    number: InternalNumber | None = None
    name: Label
    start: NodeId
    nodes: Nodes
    status: Literal["draft", "published"] = "draft"
    published: PublishedFlow | None = None

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
