"""Which switch nodes there are links to."""

from __future__ import annotations

from typing import Any
from unittest.mock import AsyncMock, Mock
from uuid import UUID

import pytest
from twisted.internet.testing import MemoryReactorClock

from nizam.errors import InternalError
from nizam.settings import NodeSettings
from nizam.settings.values import Secret
from nizam.switch.channel_index import ChannelIndex
from nizam.switch.intake import Intake
from nizam.switch.live import LiveState
from nizam.switch.node import NOT_READY_SECONDS, Node
from nizam.switch.node_specs import NodeSpec
from nizam.switch.nodes import SwitchNodes
from tests.routing.tenants import SIP, Tenants, identifier, recorded_tenants, reveal

FS2 = identifier("fs2")


async def nothing(*_arguments: Any) -> None:
    return


class Box:
    """Opens every secret but that of fs2."""

    def decrypt(self, sealed: str, resource: str, identifier: UUID | str, field: str) -> str:
        if identifier == FS2:
            raise InternalError("a stored secret needs the key 'k0', which is not configured")
        return reveal(sealed, resource, UUID(str(identifier)), field)


def intake_of(reactor: Any) -> Intake:
    database: Any = None
    return Intake(
        reactor,
        database,
        None,
        LiveState(reactor),
        ChannelIndex(reactor),
        tenant_of_domain=lambda _domain: None,
        on_deliveries=nothing,
    )


def nodes_of(tenants: Tenants, static: list[NodeSettings]) -> SwitchNodes:
    reactor: Any = MemoryReactorClock()  # type: ignore[no-untyped-call]
    return SwitchNodes(reactor, intake_of(reactor), tenants.snapshot, Box(), static, sip=SIP)


def test_a_node_whose_password_no_key_opens_costs_no_other_its_link() -> None:
    tenants = Tenants()
    for name in ("fs2", "fs3"):
        body = {"name": name, "esl_host": "10.0.0.5", "xml_username": name}
        tenants.put("switch_node", name, body, {"esl_password": "ClueCon"})
    nodes = nodes_of(tenants, [NodeSettings("fs1", "10.0.0.4", 8021, Secret("ClueCon"))])
    nodes.startService()
    assert sorted(nodes.nodes) == ["fs1", "fs3"]
    nodes.stopService()


@pytest.mark.parametrize(
    ("resource", "told"),
    [
        ("acl", {"reload_lists"}),
        ("sip_profile", {"profile_changed", "flush_directory"}),
        ("gateway", {"gateway_changed", "reload_lists"}),
        ("extension", {"flush_directory"}),
        ("ivr", set()),
    ],
)
def test_nodes_are_told_of_what_they_hold(resource: str, told: set[str]) -> None:
    tenant_id = identifier("acme") if resource in {"gateway", "extension", "ivr"} else None
    nodes, node = nodes_of(Tenants(), []), Mock()
    node.reload_lists, node.flush_directory = AsyncMock(), AsyncMock()
    nodes._nodes["fs1"] = node
    nodes.changed([(resource, tenant_id, identifier("changed"), "updated")])
    everything = ("reload_lists", "profile_changed", "gateway_changed", "flush_directory")
    assert {it for it in everything if getattr(node, it).called} == told


def test_nodes_let_each_other_in_as_soon_as_an_address_changes() -> None:
    tenants, node = Tenants(), Mock()
    nodes = nodes_of(tenants, [])
    node.reload_lists, node.flush_directory = AsyncMock(), AsyncMock()
    nodes._nodes["fs1"] = node

    def is_told(**fields: Any) -> tuple[bool, bool]:
        node.reload_lists.reset_mock()
        node.profile_changed.reset_mock()
        body = {"name": "fs2", "esl_host": "10.0.0.6", "xml_username": "fs2", **fields}
        made = tenants.put("switch_node", "fs2", body)
        nodes.changed([("switch_node", None, made, "updated")])
        return node.reload_lists.called, node.profile_changed.called

    address = {"sip_address": "10.0.0.6:5060"}
    assert is_told() == (False, False)
    assert is_told(**address) == (True, True)
    assert is_told(**address, status="draining", weight=5) == (False, False)
    assert is_told(sip_address="10.0.0.7:5060") == (True, True)
    assert is_told() == (True, True)


def test_lists_are_read_again_when_the_networks_of_an_extension_change() -> None:
    tenants, node = recorded_tenants(), Mock()
    nodes = nodes_of(tenants, [])
    node.reload_lists, node.flush_directory = AsyncMock(), AsyncMock()
    nodes._nodes["fs1"] = node
    body = {"number": "1001", "display_name": "Ada"}

    def is_told(**fields: Any) -> bool:
        node.reload_lists.reset_mock()
        made = tenants.put("extension", "acme/1001", body | fields, {"sip_password": "x"})
        nodes.changed([("extension", identifier("acme"), made, "updated")])
        return bool(node.reload_lists.called)

    assert not is_told()
    assert is_told(allowed_cidrs=["10.0.0.0/8"])
    assert is_told(allowed_cidrs=[])
    assert not is_told(ring_seconds=30)


def test_a_gateway_is_made_again_only_for_what_freeswitch_is_told_of_it() -> None:
    tenants, node = recorded_tenants(), Mock()
    nodes = nodes_of(tenants, [])
    node.reload_lists = AsyncMock()
    nodes._nodes["fs1"] = node
    body = {"name": "One", "host": "10.0.0.9"}
    tenants.put("gateway", "acme/one", body)
    assert identifier("acme/one") in set(nodes._gateways())

    def is_made_again(secrets: dict[str, str] | None = None, **fields: Any) -> bool:
        node.gateway_changed.reset_mock()
        made = tenants.put("gateway", "acme/one", body | fields, secrets)
        nodes.changed([("gateway", identifier("acme"), made, "updated")])
        return bool(node.gateway_changed.called)

    assert not is_made_again(max_channels=5)
    assert not is_made_again(number_format="national")
    assert is_made_again(port=5070)
    assert not is_made_again(port=5070, name="Two")
    assert is_made_again({"password": "another"}, port=5070)
    assert is_made_again(enabled=False)
    assert is_made_again()


def test_a_node_that_is_away_is_told_of_profiles_and_gateways_when_it_is_back() -> None:
    nodes, node = nodes_of(Tenants(), []), Mock()
    node.commands.connected = False
    nodes._nodes["fs1"] = node
    nodes.changed(
        [
            ("acl", None, identifier("a"), "updated"),
            ("sip_profile", None, identifier("p"), "updated"),
            ("gateway", identifier("acme"), identifier("g"), "updated"),
        ]
    )
    assert node.profile_changed.called
    assert node.gateway_changed.called
    assert not node.reload_lists.called
    assert not node.flush_directory.called


def test_an_extension_that_was_renumbered_is_flushed_under_both_numbers() -> None:
    tenants, node = recorded_tenants(), Mock()
    nodes = nodes_of(tenants, [])
    node.flush_directory = AsyncMock()
    nodes._nodes["fs1"] = node
    body = {"number": "1009", "display_name": "Renumbered"}
    changed = tenants.put("extension", "acme/1001", body, {"sip_password": "x"})
    change = ("extension", identifier("acme"), changed, "updated")
    nodes.changed([change])
    # Which number it had is not known yet: everything that is cached goes.
    node.flush_directory.assert_called_once_with(None, None)
    node.flush_directory.reset_mock()
    tenants.put("extension", "acme/1001", body | {"number": "1010"}, {"sip_password": "x"})
    nodes.changed([change])
    flushed = {call.args for call in node.flush_directory.call_args_list}
    assert flushed == {(it, "acme.example.test") for it in ("1009", "1010")}


def test_nodes_that_are_loaded_later_are_connected_to() -> None:
    tenants = Tenants()
    nodes = nodes_of(tenants, [])
    nodes.startService()
    assert not nodes.nodes
    body = {"name": "fs3", "esl_host": "10.0.0.5", "xml_username": "fs3"}
    made = tenants.put("switch_node", "fs3", body, {"esl_password": "ClueCon"})
    nodes.changed([("switch_node", None, made, "reloaded")])
    assert list(nodes.nodes) == ["fs3"]
    nodes.stopService()


def test_a_node_is_compared_once_it_is_known_whose_its_phones_are() -> None:
    reactor: Any = MemoryReactorClock()  # type: ignore[no-untyped-call]
    ready: list[bool] = []
    node = Node(
        reactor,
        NodeSpec("fs1", "10.0.0.4", 8021, "ClueCon"),
        intake_of(reactor),
        ready=lambda: bool(ready),
    )
    node.running = 1
    node._events = node._commands = Mock(connected=True, api=AsyncMock(return_value="{}"))
    node._reconcile_again()
    reactor.advance(5 * NOT_READY_SECONDS)
    assert node.last_reconciled is None
    ready.append(True)
    reactor.advance(NOT_READY_SECONDS)
    assert node.last_reconciled is not None
