"""FreeSWITCH's configuration as the doctor sees it: over the event socket and in the files."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor as installed_reactor
from twisted.web.resource import Resource
from twisted.web.server import Site

from nizam.fsxml.writer import NOT_FOUND
from nizam.ops.doctor import Area
from tests.ops.doctor.findings import FAILURE, NOTE, WARNING, found_with, is_right, is_wrong
from tests.ops.doctor.switches import XML_PASSWORD, Node

FREESWITCH = Area.FREESWITCH
XML_CURL = "autoload_configs/xml_curl.conf.xml"
JSON_CDR = "autoload_configs/json_cdr.conf.xml"
reactor: Any = installed_reactor


class Answering(Resource):
    """Answers who signs in as the node."""

    isLeaf = True  # noqa: N815 - Twisted's name

    def render_POST(self, request: Any) -> bytes:  # noqa: N802 - Twisted's name
        if (request.getUser(), request.getPassword()) != (b"fs1", XML_PASSWORD.encode()):
            request.setResponseCode(401)
        return NOT_FOUND


def _site() -> Site:
    return Site(Answering())  # type: ignore[no-untyped-call]


@pytest_twisted.async_yield_fixture
async def instance() -> AsyncIterator[str]:
    """The address of something that answers as NIZAM does."""
    port = reactor.listenTCP(0, _site(), interface="127.0.0.1")
    yield f"http://127.0.0.1:{port.getHost().port}"
    await port.stopListening()


async def test_a_configuration_as_it_is_shipped_is_well(node: Node, instance: str) -> None:
    node.hostname = socket.gethostname()
    node.write("vars.xml", "nizam_url_1=http://127.0.0.1:8080", f"nizam_url_1={instance}")
    node.write("vars.xml", "nizam_url_2=http://127.0.0.1:8081", f"nizam_url_2={instance}/")
    node.write(XML_CURL, "$${nizam_url_2}/", "$${nizam_url_2}")
    node.write(JSON_CDR, "$${nizam_url_2}/", "$${nizam_url_2}")
    found = await node.found(FREESWITCH)
    is_right(
        found,
        *("freeswitch.readable", "freeswitch.xml-credentials", "freeswitch.xml-answers"),
        *("freeswitch.cdr", "freeswitch.vanilla", "freeswitch.ports"),
    )
    is_wrong(found, "freeswitch.xml-curl", NOTE, "one URL alone")


async def test_an_instance_that_is_away_or_refuses_is_told_of(node: Node, instance: str) -> None:
    node.hostname = socket.gethostname()
    node.write("vars.xml", "nizam_url_1=http://127.0.0.1:8080", f"nizam_url_1={instance}")
    node.write("vars.xml", "nizam_url_2=http://127.0.0.1:8081", "nizam_url_2=http://127.0.0.1:1")
    node.write("vars.xml", f"nizam_xml_password={XML_PASSWORD}", "nizam_xml_password=other")
    found = await node.found(FREESWITCH)
    is_right(found, "freeswitch.xml-curl")
    is_wrong(found, "freeswitch.xml-answers", FAILURE, "answers 401")
    is_wrong(found, "freeswitch.xml-answers", FAILURE, "refused")
    is_wrong(found, "freeswitch.xml-credentials", FAILURE, "xml_curl.conf and json_cdr.conf have")
    assert XML_PASSWORD not in repr(found)


async def test_what_only_the_node_reaches_is_not_judged_from_elsewhere(node: Node) -> None:
    found = await node.found(FREESWITCH)
    is_wrong(found, "freeswitch.xml-answers", NOTE, "on the node itself")


@pytest.mark.parametrize(
    ("file", "before", "after", "check", "severity", "text"),
    [
        (XML_CURL, 'timeout" value="2"', 'timeout" value="60"', "xml-curl", WARNING, "waits 60 s"),
        (XML_CURL, 'timeout" value="2"', 'other" value="2"', "xml-curl", FAILURE, "for ever"),
        (XML_CURL, "|dialplan|", "|", "xml-curl", FAILURE, "not asked for: dialplan"),
        (XML_CURL, "/freeswitch/xml", "/fs.php", "xml-curl", FAILURE, "/fs.php, not"),
        (XML_CURL, "$${nizam_url_1}", "http://9.9.9.9", "xml-curl", FAILURE, "in clear"),
        (JSON_CDR, "/freeswitch/cdr", "/cdr.php", "cdr", FAILURE, "/cdr.php, not"),
        (JSON_CDR, 'name="url"', 'name="uri"', "cdr", FAILURE, "not posted"),
        (JSON_CDR, 'retries" value="2"', 'retries" value="0"', "cdr", WARNING, "posted once"),
        (JSON_CDR, 'log-b-leg" value="true"', 'log-b-leg" value="no"', "cdr", WARNING, "log-b-leg"),
        ("autoload_configs/switch.conf.xml", "16384", "20000", "ports", WARNING, "20000-32768"),
    ],
)
async def test_what_is_configured_otherwise_is_told_of(
    node: Node, file: str, before: str, after: str, check: str, severity: Any, text: str
) -> None:
    node.write(file, before, after)
    is_wrong(await node.found(FREESWITCH), f"freeswitch.{check}", severity, text)


async def test_a_password_in_a_url_is_not_shown(node: Node) -> None:
    node.write("vars.xml", "nizam_url_1=http://127", "nizam_url_1=http://u:h1dden@127")
    node.write(JSON_CDR, "/freeswitch/cdr", "/cdr.php")
    found = await node.found(FREESWITCH)
    is_wrong(found, "freeswitch.cdr", FAILURE, "http://127.0.0.1:8080/cdr.php, not")
    assert "h1dden" not in repr(found)


async def test_a_certificate_that_is_not_looked_at_is_told_of(node: Node) -> None:
    node.write("vars.xml", "nizam_url_1=http://127.0.0.1:8080", "nizam_url_1=https://192.0.2.7")
    node.write(XML_CURL, 'verifyhost" value="true"', 'verifyhost" value="false"')
    found = await node.found(FREESWITCH, NIZAM_XML_PASSWORD="", NIZAM_XML_USERNAME="")
    is_wrong(found, "freeswitch.xml-curl", WARNING, "certificate of 192.0.2.7")
    is_wrong(found, "freeswitch.xml-credentials", FAILURE, "NIZAM has none")


async def test_what_is_left_of_the_vanilla_configuration_is_told_of(node: Node) -> None:
    password = '<X-PRE-PROCESS cmd="set" data="default_password=1234"/>'
    node.write("vars.xml", "<include>", f"<include>{password}")
    node.write("vars.xml", "nizam_esl_acl=loopback.auto", "nizam_esl_acl=127.0.0.0/8")
    node.write(
        "freeswitch.xml",
        "</document>",
        '<section name="directory"><domain name="d"><user id="1000"/><user id="1001"/></domain>'
        '</section><section name="dialplan"><context name="public"/></section></document>',
    )
    node.write(
        "autoload_configs/sofia.conf.xml",
        "</configuration>",
        '<profiles><profile name="internal-ipv6"/></profiles></configuration>',
    )
    found = await node.found(FREESWITCH)
    for text in ("default_password", "2 users, such as 1000, 1001", "dialplan contexts: public"):
        is_wrong(found, "freeswitch.vanilla", FAILURE, text)
    is_wrong(found, "freeswitch.vanilla", WARNING, "SIP profiles: internal-ipv6")


async def test_a_node_that_is_away_says_nothing(node: Node) -> None:
    found = await node.found(FREESWITCH, ESL_PORT="1")
    is_wrong(found, "freeswitch.readable", FAILURE, "refused")


def test_files_as_they_are_shipped_are_well(node: Node) -> None:
    found = found_with({"DB_PORT": "1"}, FREESWITCH, freeswitch_folder=node.folder)
    # The password of this one stands for itself: those of the shipped one say CHANGE-ME.
    is_right(found, "freeswitch.files", "freeswitch.file-modes")


def test_what_is_left_of_the_vanilla_files_is_told_of(node: Node) -> None:
    for file in ("dialplan/default.xml", "dialplan/public.xml", "directory/default/1000.xml"):
        node.add(file, "<include/>")
    node.add("sip_profiles/internal.xml", "<include/>")
    node.add(
        "autoload_configs/event_socket.conf.xml",
        '<param name="listen-ip" value="::"/><param name="password" value="ClueCon"/>'
        '<!--<param name="apply-inbound-acl" value="loopback.auto"/>-->',
    )
    node.write("vars.xml", "<include>", '<X-PRE-PROCESS cmd="set" data="default_password=1234"/>')
    (node.folder / "vars.xml").chmod(0o644)
    found = found_with({"DB_PORT": "1"}, FREESWITCH, freeswitch_folder=node.folder)
    for file, text in {
        "dialplan/default.xml": "extensions for whoever is registered",
        "dialplan/public.xml": "calls from outside",
        "directory/default": "users 1000 to 1019",
        "event_socket.conf.xml": "the password is ClueCon",
        "vars.xml": "default_password",
    }.items():
        is_wrong(found, "freeswitch.files", FAILURE, f"{file}: ")
        is_wrong(found, "freeswitch.files", FAILURE, text)
    is_wrong(found, "freeswitch.files", WARNING, "listens on :: without an ACL")
    is_wrong(found, "freeswitch.files", WARNING, "the vanilla SIP profile for phones")
    is_wrong(found, "freeswitch.file-modes", WARNING, "vars.xml")


def test_passwords_as_they_are_shipped_are_told_of(tmp_path: Path) -> None:
    shipped = Path(__file__).parents[3] / "etc/freeswitch"
    found = found_with({"DB_PORT": "1"}, FREESWITCH, freeswitch_folder=shipped)
    is_wrong(found, "freeswitch.files", FAILURE, "nizam_esl_password is CHANGE-ME")
