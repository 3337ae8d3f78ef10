"""Which switch nodes there are to connect to: those of the settings and those of the database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol
from uuid import UUID

import attrs
from twisted.logger import Logger

from nizam.errors import InternalError
from nizam.model.switch_node import SwitchNode
from nizam.routing.snapshot import Snapshot
from nizam.settings import NodeSettings

_log: Final = Logger()


@attrs.frozen
class NodeSpec:
    """A switch node to connect to. `name` is its name everywhere; `host` and `port` lead to its
    event socket."""

    name: str
    host: str
    port: int
    password: str = attrs.field(repr=False)


class Decrypts(Protocol):
    """The secret box, as far as the nodes need it."""

    def decrypt(self, sealed: str, resource: str, identifier: UUID | str, field: str) -> str:
        """The text of a stored secret."""


def wanted_nodes(
    static: Sequence[NodeSettings], snapshot: Snapshot, secret_box: Decrypts
) -> dict[str, NodeSpec]:
    """The nodes by their names; one of the database counts before one of the settings."""
    wanted = {
        node.name: NodeSpec(node.name, node.esl_host, node.esl_port, node.esl_password.reveal())
        for node in static
    }
    for entry in snapshot.platform(SwitchNode):
        body, sealed = entry.body, entry.secrets.get("esl_password")
        if body.status == "out_of_service":
            wanted.pop(body.name, None)
            continue
        if sealed is None:
            _log.warn("switch node {name} has no ESL password", name=body.name)
            continue
        try:
            password = secret_box.decrypt(sealed, "switch_node", entry.id, "esl_password")
        except InternalError as error:
            _log.error("no link to {name}: {error}", name=body.name, error=str(error))
            continue
        wanted[body.name] = NodeSpec(body.name, body.esl_host, body.esl_port, password)
    return wanted
