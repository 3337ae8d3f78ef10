"""A node as the doctor sees it over its event socket: who gets in, what it runs."""

from __future__ import annotations

import psycopg2
import pytest
from twisted.internet import reactor
from twisted.internet.threads import deferToThread
from uuid6 import uuid7

from nizam.embedded.redis import PrivateRedis
from nizam.ops.doctor import Area, event_socket
from nizam.ops.doctor.known_nodes import KnownNode
from nizam.ops.doctor.nodes import judge_passwords, judge_profiles, judge_sessions, judge_version
from nizam.settings import SecretKey
from nizam.sim.switch import SimulatedSwitch
from nizam.store.secrets import SecretBox
from tests.ops.doctor.findings import FAILURE, WARNING, found_with, is_right, is_wrong
from tests.ops.doctor.switches import Node

NODES = Area.NODES
MODULES = "autoload_configs/modules.conf.xml"
SOCKET = "autoload_configs/event_socket.conf.xml"


async def test_a_node_as_nizam_wants_it_is_well(node: Node) -> None:
    node.name = node.hostname
    is_right(
        await node.found(NODES),
        *("nodes.reachable", "nodes.version", "nodes.name", "nodes.exposure"),
        *("nodes.modules", "nodes.api-expansion", "nodes.profiles", "nodes.sessions"),
    )


@pytest.mark.parametrize(
    ("listens", "lets_in", "severity", "text"),
    [
        ("0.0.0.0", "any_v4.auto", FAILURE, "everybody"),
        ("::", "0.0.0.0/0", FAILURE, "everybody"),
        ("10.0.0.5", "any_v6.auto", FAILURE, "everybody"),
        ("0.0.0.0", "10.0.0.0/24", WARNING, "only the ACL"),
        ("8.8.4.4", "10.0.0.0/24", WARNING, "only the ACL"),
        ("10.0.0.5", "10.0.0.0/24", None, ""),
        ("127.0.0.1", "any_v4.auto", None, ""),
    ],
)
async def test_an_event_socket_that_others_reach_is_told_of(
    node: Node, listens: str, lets_in: str, severity: object, text: str
) -> None:
    node.write("vars.xml", "nizam_esl_ip=127.0.0.1", f"nizam_esl_ip={listens}")
    node.write("vars.xml", "nizam_esl_acl=loopback.auto", f"nizam_esl_acl={lets_in}")
    found = await node.found(NODES)
    if severity is None:
        is_right(found, "nodes.exposure")
    else:
        assert severity in (FAILURE, WARNING)
        is_wrong(found, "nodes.exposure", severity, text)


async def test_modules_that_are_missing_or_open_a_door_are_told_of(node: Node) -> None:
    node.write(MODULES, "mod_json_cdr", "mod_xml_rpc")
    node.write(MODULES, "mod_conference", "mod_verto")
    found = await node.found(NODES)
    is_wrong(found, "nodes.modules", FAILURE, "not loaded: mod_json_cdr")
    is_wrong(found, "nodes.modules", WARNING, "not loaded: mod_conference")
    is_wrong(found, "nodes.modules", WARNING, "mod_xml_rpc is loaded")


async def test_commands_in_the_dialplan_and_another_name_are_told_of(node: Node) -> None:
    node.write("autoload_configs/switch.conf.xml", 'api-expansion" value="false"', 'x" value="y"')
    found = await node.found(NODES)
    is_wrong(found, "nodes.api-expansion", FAILURE, "on")
    is_wrong(found, "nodes.name", WARNING, "fs1.example.test")


async def test_a_node_that_lets_nobody_in_is_told_of(
    node: Node, redis_server: PrivateRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = await node.found(NODES, ESL_PASSWORD="wrong-one-of-the-socket")
    is_wrong(found, "nodes.reachable", FAILURE, "wrong password")
    is_wrong(await node.found(NODES, ESL_PORT="1"), "nodes.reachable", FAILURE, "refused")
    # It waits for a command, as the event socket waits for nothing.
    monkeypatch.setattr(event_socket, "ANSWER_SECONDS", 0.2)
    silent = await node.found(NODES, ESL_PORT=str(redis_server.port))
    is_wrong(silent, "nodes.reachable", FAILURE, "no answer to the greeting within 0.2 s")


def test_what_is_rare_is_judged_by_what_the_switch_prints() -> None:
    old = judge_version("fs", "FreeSWITCH Version 1.10.7-release~64bit ( 64bit)")
    is_wrong([old], "nodes.version", WARNING, "1.10.7")
    is_wrong([judge_version("fs", "?")], "nodes.version", WARNING, "?")
    head = f"{'Name':>25}\t{'Type':>7}\t{'Data':>42}\tState\n"
    row = "{:>25}\tprofile\t   sip:mod_sofia@10.0.0.5:5060\t{}\n"
    vanilla = head + row.format("internal", "RUNNING (0)") + row.format("external", "RUNNING (0)")
    vanilla += row.format("internal-ipv6", "RUNNING (0)")
    served = {"internal", "external"}
    is_wrong([judge_profiles("fs", vanilla, served)], "nodes.profiles", WARNING, "internal-ipv6")
    down = head + row.format("internal", "DOWN")
    is_wrong([judge_profiles("fs", down, served)], "nodes.profiles", FAILURE, "external, internal")
    full = "3900 session(s) - peak 4000, last 5min 4000 \n4000 session(s) max\n"
    is_wrong([judge_sessions("fs", full)], "nodes.sessions", WARNING, "3900 of 4000")


async def test_nodes_of_the_api_are_looked_at_too(
    database: str, environment: dict[str, str]
) -> None:
    box = SecretBox([SecretKey("stored", bytes(32))])
    switch = SimulatedSwitch(reactor, password="ClueCon")
    await switch.start()
    with psycopg2.connect(database) as connection, connection.cursor() as cursor:
        cursor.execute("insert into secret_keys (id, key) values ('stored', %s)", (bytes(32),))
        for name, xml_password in {"weak": "1234", "strong": "Xk29dk2lLd92kdl29dkW"}.items():
            identifier = str(uuid7())
            given = {"esl_password": "ClueCon", "xml_password": xml_password}
            sealed = {
                it: box.encrypt(text, "switch_node", identifier, it) for it, text in given.items()
            }
            body = {"name": name, "esl_host": "127.0.0.1", "esl_port": switch.esl_port}
            cursor.execute(
                "insert into switch_nodes (id, body, secrets) values (%s, %s, %s)",
                (identifier, body | {"xml_username": name}, sealed),
            )
    connection.close()
    there = environment | {"DB_DATABASE": database.rpartition("/")[2]}
    try:
        found = await deferToThread(found_with, there, NODES)
    finally:
        await switch.stop()
    is_right(found, "nodes.reachable")
    is_wrong(found, "nodes.password", FAILURE, "freeswitch weak 127.0.0.1")
    is_wrong(found, "nodes.password", FAILURE, "XML: a default password")
    is_wrong(found, "nodes.password", FAILURE, "event socket: a default password")
    assert "ClueCon" not in repr(found)


def test_passwords_that_cannot_be_guessed_are_well() -> None:
    node = KnownNode("fs", "10.0.0.5", 8021, "Xk29dk2lLd92kdl29dkW", "fs", "kf93jJkd2l3Kdl2k3dl")
    is_right(judge_passwords("fs", node), "nodes.password")
