"""Which switch nodes there are links to."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from twisted.internet.testing import MemoryReactorClock

from nizam.errors import InternalError
from nizam.settings import NodeSettings
from nizam.settings.values import Secret
from nizam.switch.channel_index import ChannelIndex
from nizam.switch.intake import Intake
from nizam.switch.live import LiveState
from nizam.switch.nodes import SwitchNodes
from tests.routing.tenants import Tenants, identifier, reveal

FS2 = identifier("fs2")


async def nothing(*_arguments: Any) -> None:
    return


class Box:
    """Opens every secret but that of fs2."""

    def decrypt(self, sealed: str, resource: str, identifier: UUID | str, field: str) -> str:
        if identifier == FS2:
            raise InternalError("a stored secret needs the key 'k0', which is not configured")
        return reveal(sealed, resource, UUID(str(identifier)), field)


def test_a_node_whose_password_no_key_opens_costs_no_other_its_link() -> None:
    tenants = Tenants()
    for name in ("fs2", "fs3"):
        body = {"name": name, "esl_host": "10.0.0.5", "xml_username": name}
        tenants.put("switch_node", name, body, {"esl_password": "ClueCon"})
    reactor: Any = MemoryReactorClock()  # type: ignore[no-untyped-call]
    database: Any = None
    intake = Intake(
        reactor,
        database,
        None,
        LiveState(reactor),
        ChannelIndex(reactor),
        tenant_of_domain=lambda _domain: None,
        on_deliveries=nothing,
    )
    static = [NodeSettings("fs1", "10.0.0.4", 8021, Secret("ClueCon"))]
    nodes = SwitchNodes(reactor, intake, tenants.snapshot, Box(), None, static)
    nodes.startService()
    assert sorted(nodes.nodes) == ["fs1", "fs3"]
    nodes.stopService()
