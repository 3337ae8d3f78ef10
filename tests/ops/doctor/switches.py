"""A switch to look at: the simulated one with the configuration that NIZAM ships, or another."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import attrs
from twisted.internet import reactor as installed_reactor
from twisted.internet.threads import deferToThread

from nizam.ops.doctor import Area, Finding
from nizam.sim.switch import SimulatedSwitch
from tests.ops.doctor.findings import found_with

SHIPPED = Path(__file__).parents[3] / "etc/freeswitch"
PASSWORD = "e5d1-of-the-event-socket"
XML_PASSWORD = "x7f2-of-the-questions"
reactor: Any = installed_reactor


@attrs.define
class Node:
    """A folder with the shipped configuration, and the settings that go with it."""

    folder: Path
    environment: dict[str, str]
    name: str = "freeswitch"
    hostname: str = "fs1.example.test"
    tls_ports: dict[str, int] = attrs.field(factory=dict)

    @classmethod
    def made(cls, folder: Path, environment: dict[str, str]) -> Node:
        """As an operator sets it up."""
        shutil.copytree(SHIPPED, folder)
        node = cls(folder, environment)
        node.write("vars.xml", "nizam_esl_password=CHANGE-ME", f"nizam_esl_password={PASSWORD}")
        node.write("vars.xml", "nizam_xml_username=CHANGE-ME", "nizam_xml_username=fs1")
        node.write("vars.xml", "nizam_xml_password=CHANGE-ME", f"nizam_xml_password={XML_PASSWORD}")
        node.write(
            "vars.xml", "nizam_url_2=http://127.0.0.1:8080", "nizam_url_2=http://127.0.0.1:8081"
        )
        (folder / "vars.xml").chmod(0o640)
        return node

    def write(self, file: str, before: str, after: str) -> None:
        """Change a text in a file."""
        text = (self.folder / file).read_text()
        assert before in text, f"{before} is not in {file}"
        (self.folder / file).write_text(text.replace(before, after))

    def add(self, file: str, text: str) -> None:
        """Put a file there."""
        (self.folder / file).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / file).write_text(text)

    async def found(self, *areas: Area, **settings: str) -> list[Finding]:
        """What the doctor finds, while the switch runs."""
        switch = SimulatedSwitch(
            reactor, password=PASSWORD, hostname=self.hostname, configuration=self.folder
        )
        switch.core.tls_ports = self.tls_ports
        await switch.start()
        environment = {
            "ESL_HOST": "127.0.0.1",
            "ESL_PORT": str(switch.esl_port),
            "ESL_PASSWORD": PASSWORD,
            "NIZAM_NODE_NAME": self.name,
            "NIZAM_XML_USERNAME": "fs1",
            "NIZAM_XML_PASSWORD": XML_PASSWORD,
        }
        try:
            return await deferToThread(
                found_with, self.environment | environment | settings, *areas
            )
        finally:
            await switch.stop()
